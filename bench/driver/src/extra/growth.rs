//! What a message costs as callers, brokers, topics and the number of messages grow.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Outcome;
use crate::case::{Case, Scenario, ServerKind};
use crate::client::Client;
use crate::curve::{Chart, Line};
use crate::record::Record;
use crate::round::measure_with;
use crate::server::{Server, TOPIC};
use crate::table::{Spread, digits};
use crate::workshop::Workshop;

const TRIES: usize = 3;
const LENGTH: Duration = Duration::from_secs(1);
const IN_FLIGHT: [usize; 6] = [32, 128, 512, 1024, 4096, 10_000];
const BROKERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const TOPICS: [usize; 4] = [1, 10, 100, 1000];
const MESSAGES: [usize; 3] = [100_000, 1_000_000, 10_000_000];

/// What is run for one point.
#[derive(Clone, Copy)]
struct Setup {
    client: Client,
    in_flight: usize,
    brokers: usize,
    topics: usize,
    messages: Option<usize>,
}

const USUAL: Setup = Setup {
    client: Client::PosthasteUnbatched,
    in_flight: 1024,
    brokers: 1,
    topics: 1,
    messages: None,
};

pub(crate) fn run(workshop: &Workshop) -> Result<Outcome> {
    let unbatched = [
        (
            "callers",
            curve(workshop, &IN_FLIGHT, |n| Setup { in_flight: n, ..USUAL }, Record::client_cpu)?,
        ),
        (
            "brokers",
            curve(workshop, &BROKERS, |n| Setup { brokers: n, ..USUAL }, Record::client_cpu)?,
        ),
        (
            "brokers with 128 callers for each",
            curve(
                workshop,
                &BROKERS,
                |n| Setup { brokers: n, in_flight: 128 * n, ..USUAL },
                Record::client_cpu,
            )?,
        ),
        ("topics", curve(workshop, &TOPICS, |n| Setup { topics: n, ..USUAL }, Record::client_cpu)?),
    ];
    let batched = |n| Setup { client: Client::Posthaste, in_flight: n, ..USUAL };
    let cost = curve(workshop, &IN_FLIGHT, batched, Record::client_cpu)?;
    let batch = |record: &Record| {
        record.measurement.messages as f64 / record.measurement.requests.unwrap_or(1).max(1) as f64
    };
    let size = curve(workshop, &IN_FLIGHT, batched, batch)?;
    let sent = |n| Setup { client: Client::Posthaste, messages: Some(n), ..USUAL };
    let memory = curve(workshop, &MESSAGES, sent, Record::peak_rss_mib)?;

    let mut findings: Vec<String> =
        unbatched.iter().map(|(what, points)| flatness(what, points)).collect();
    findings.push(rise(&cost));
    findings.push(format!(
        "batching on, peak memory after 10^5, 10^6, 10^7 messages: {} MiB",
        list(&memory)
    ));
    let [callers, brokers, spread, topics] = unbatched.map(|(_, points)| points);
    let charts = vec![
        chart(
            "growth-callers",
            "Client CPU per message",
            "callers in flight",
            "µs",
            vec![
                Line { name: "batching off".into(), points: callers },
                Line { name: "batching on".into(), points: cost },
            ],
        ),
        chart(
            "growth-batch",
            "Messages per request, batching on",
            "callers in flight",
            "messages",
            vec![Line { name: "batch size".into(), points: size }],
        ),
        chart(
            "growth-spread",
            "Client CPU per message, batching off",
            "brokers, topics",
            "µs",
            vec![
                Line { name: "over brokers, 1,024 in all".into(), points: brokers },
                Line { name: "over brokers, 128 each".into(), points: spread },
                Line { name: "over topics".into(), points: topics },
            ],
        ),
        chart(
            "growth-memory",
            "Peak memory, 1,024 in flight",
            "messages sent",
            "MiB",
            vec![Line { name: "peak RSS".into(), points: memory }],
        ),
    ];
    Ok(Outcome { findings, charts })
}

fn chart(name: &str, title: &str, x: &str, y: &str, lines: Vec<Line>) -> Chart {
    let title = format!("{title} (null broker, 128 B)");
    Chart { name: name.into(), title, x: x.into(), y: y.into(), log_x: true, lines }
}

/// The median of a figure at each place.
fn curve(
    workshop: &Workshop,
    places: &[usize],
    setup: impl Fn(usize) -> Setup,
    figure: impl Fn(&Record) -> f64,
) -> Result<Vec<(f64, f64)>> {
    let point = |place: &usize| {
        let tries = (0..TRIES).map(|_| Ok(figure(&measure(workshop, setup(*place))?)));
        let median = Spread::of(tries.collect::<Result<Vec<f64>>>()?).context("no tries")?.median;
        Ok((*place as f64, median))
    };
    places.iter().map(point).collect()
}

fn measure(workshop: &Workshop, setup: Setup) -> Result<Record> {
    let mut server = Server::start_null(workshop, setup.brokers)?;
    let scenario = Scenario::InFlight(setup.in_flight);
    let case = Case { server: ServerKind::Null, scenario, body: 128, client: setup.client };
    let mut arguments = case.arguments(server.name_server(), TOPIC, LENGTH);
    arguments.with.push(format!("topics={}", setup.topics));
    arguments.messages = setup.messages.map(|messages| messages as u64);
    measure_with(workshop, &case, 0, &arguments, &mut server)
}

fn list(points: &[(f64, f64)]) -> String {
    points.iter().map(|point| digits(point.1)).collect::<Vec<_>>().join(", ")
}

/// Whether a cost stays within 20 % of where it begins.
fn flatness(what: &str, points: &[(f64, f64)]) -> String {
    let first = points.first().map_or(f64::NAN, |point| point.1);
    let worst = points
        .iter()
        .map(|point| 100.0 * (point.1 / first - 1.0))
        .fold(0.0, |worst: f64, off| if off.abs() > worst.abs() { off } else { worst });
    let (from, to) = (points.first().map_or(0.0, |p| p.0), points.last().map_or(0.0, |p| p.0));
    let verdict = if worst.abs() <= 20.0 { "met" } else { "**lost**" };
    format!(
        "batching off, client CPU per message over {from} to {to} {what}: {} µs; wanted within 20 % of the first, worst {worst:+.0} %: {verdict}",
        list(points)
    )
}

/// Whether a cost ever rises; 5 % is what the same run differs by.
fn rise(points: &[(f64, f64)]) -> String {
    let pairs = points.iter().zip(points.iter().skip(1));
    let worst = pairs.map(|(a, b)| 100.0 * (b.1 / a.1 - 1.0)).fold(f64::MIN, f64::max);
    let verdict = if worst <= 5.0 { "met" } else { "**lost**" };
    format!(
        "batching on, client CPU per message over 32 to 10,000 callers: {} µs; wanted never rising, largest step {worst:+.0} %: {verdict}",
        list(points)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_falls_far_is_not_flat_either() {
        assert!(flatness("callers", &[(32.0, 2.0), (64.0, 1.0)]).ends_with("-50 %: **lost**"));
        assert!(flatness("callers", &[(32.0, 2.0), (64.0, 2.3)]).ends_with("+15 %: met"));
    }

    #[test]
    fn a_cost_that_only_falls_never_rises() {
        assert!(rise(&[(32.0, 2.0), (64.0, 1.0)]).ends_with("-50 %: met"));
        assert!(rise(&[(32.0, 1.0), (64.0, 1.2)]).ends_with("+20 %: **lost**"));
    }
}
