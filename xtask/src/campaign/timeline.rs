//! The story of the messages that a lie is about, in the order of time.

use std::fmt::Write as _;
use std::time::Duration;

use super::broker::name_of;
use super::facts::{Facts, Index};
use super::journal::Call;
use super::oracle::{Lie, Rule};
use super::record::Number;

/// At most this many lines are printed for a lie.
const MOST_LINES: usize = 60;

/// Tells it.
pub(super) fn of(facts: &Facts, lie: &Lie) -> String {
    let index = Index::of(facts);
    let mut lines = Vec::new();
    for number in &lie.numbers {
        tell_message(&index, *number, &mut lines);
    }
    let (from, to) =
        match (lines.iter().map(|line| line.0).min(), lines.iter().map(|line| line.0).max()) {
            (Some(from), Some(to)) => (from, to),
            _ => (Duration::ZERO, Duration::MAX),
        };
    for (at, text) in &facts.record.events {
        // What began before may still go on, or have left something behind.
        let lasts = if lie.rule == Rule::NotStoredInCalm { to } else { Duration::from_secs(1) };
        if *at <= to && *at + lasts >= from {
            lines.push((*at, text.clone()));
        }
    }
    if let Some(close) = &facts.close {
        lines.push((close.begun, "the producer is closed".into()));
    }
    lines.sort();
    lines.dedup();
    let mut out = String::new();
    for (at, text) in lines.iter().take(MOST_LINES) {
        let _ = writeln!(out, "  {:>9.1} ms  {text}", at.as_secs_f64() * 1_000.0);
    }
    if lines.len() > MOST_LINES {
        let _ = writeln!(out, "  and {} lines more", lines.len() - MOST_LINES);
    }
    out
}

fn tell_message(index: &Index<'_>, number: Number, lines: &mut Vec<(Duration, String)>) {
    if let Some(call) = index.call(number) {
        tell_call(call, number, lines);
    }
    let record = &index.facts.record;
    for request in index.requests(number) {
        let broker = name_of(request.broker);
        let others = match request.numbers.len() {
            1 => String::new(),
            count => format!(" with {} others", count - 1),
        };
        let fault = request.fault.map_or("", |fault| fault.text());
        let oneway = if request.oneway { ", one-way" } else { "" };
        lines.push((
            request.at,
            format!(
                "{number}: comes to {broker}, queue {}{others}, on connection {} with number {}{oneway}{}{fault}",
                request.queue,
                request.link,
                request.opaque,
                if fault.is_empty() { "" } else { ": the broker " },
            ),
        ));
        for (at, done) in &request.done {
            lines.push((*at, format!("{number}: {broker} {done}")));
        }
        if let Some(link) = record.links.get(request.link) {
            lines.push((link.at, format!("connection {} to {broker} begins", request.link)));
            if let Some(ended) = link.ended_at {
                lines.push((ended, format!("connection {} to {broker} ends", request.link)));
            }
        }
    }
}

fn tell_call(call: &Call, number: Number, lines: &mut Vec<(Duration, String)>) {
    let mut begun = format!("{number}: {}, topic {}", call.verb.text(), call.topic);
    let _ = write!(begun, ", {:.0?} to its deadline", call.timeout);
    if let Some(unit) = &call.unit {
        let _ = write!(begun, ", in order with {unit:?}");
    }
    if let Some((broker, queue)) = &call.given {
        let _ = write!(begun, ", for queue {queue} of {broker}");
    }
    lines.push((call.begun, begun));
    lines.push((call.deadline(), format!("{number}: its deadline")));
    if let Some(accepted) = call.accepted {
        lines.push((accepted, format!("{number}: its caller has the handle")));
    }
    for (at, end) in &call.ends {
        lines.push((*at, format!("{number}: its caller is told: {end:?}")));
    }
    if let Some(decided) = call.decided {
        lines.push((decided.at, format!("{number}: its caller is told: {decided:?}")));
    }
}
