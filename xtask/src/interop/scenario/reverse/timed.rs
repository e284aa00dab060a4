//! Messages that an official producer wants delivered later, and messages that it takes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::interop::agent::Mode;
use crate::interop::consumer::Subscription;
use crate::interop::embedded::Embedded;
use crate::interop::envelope::{Envelope, Outcome};

const LIMIT: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(3);

/// Property, value, and the delay that it means.
const DELAYS: [(&str, &str, Duration); 4] = [
    ("TIMER_DELAY_MS", "500", Duration::from_millis(500)),
    ("DELAY", "1", Duration::from_secs(1)),
    ("TIMER_DELAY_SEC", "2", Duration::from_secs(2)),
    ("TIMER_DELAY_MS", "3300", Duration::from_millis(3_300)),
];

/// Each comes in its time: not before, and not long after.
pub(crate) fn timed(embedded: &Embedded) -> Result<String> {
    const TOPIC: &str = "timed";
    let agent = embedded.agent();
    let consumer = agent.start_consumer(&Subscription::new("timed", TOPIC))?;
    agent.start_producer("timer", "timers")?;
    let messages: Vec<Envelope> =
        DELAYS.iter().map(|(name, value, _)| later(TOPIC, name, value)).collect();
    let sent_at = Instant::now();
    for outcome in agent.send("timer", Mode::Sync, &messages)? {
        ensure!(outcome.is_ok(), "{outcome:?}");
    }
    let sent_by = Instant::now();
    let mut awaited = DELAYS.to_vec();
    while !awaited.is_empty() {
        let delivery = consumer.take(1, LIMIT)?.remove(0);
        let now = Instant::now();
        let is_this = |(name, value, _): &(&str, &str, Duration)| {
            delivery.message.text() == format!("{name}={value}")
        };
        let at = awaited.iter().position(is_this);
        let (name, value, delay) =
            awaited.remove(at.with_context(|| format!("not awaited: {delivery:?}"))?);
        // The broker counts in whole milliseconds.
        ensure!(now + Duration::from_millis(1) >= sent_at + delay, "{name}={value} came early");
        ensure!(now <= sent_by + delay + Duration::from_secs(10), "{name}={value} came late");
    }
    agent.stop("timer")?;
    agent.stop("timed")?;
    Ok(format!("{} messages", DELAYS.len()))
}

/// Messages that were taken back do not come; the others do.
pub(crate) fn recalled(embedded: &Embedded) -> Result<String> {
    const TOPIC: &str = "recalled";
    let agent = embedded.agent();
    let consumer = agent.start_consumer(&Subscription::new("recalled", TOPIC))?;
    agent.start_producer("recaller", "recallers")?;
    let messages = [later(TOPIC, "TIMER_DELAY_SEC", "4"), later(TOPIC, "TIMER_DELAY_MS", "4001")];
    let outcomes = agent.send("recaller", Mode::Sync, &messages)?;
    let first = outcomes.first().context("no outcome")?;
    let id = agent.recall("recaller", TOPIC, handle_of(first)?)?;
    ensure!(Some(&id) == first.msg_id.as_ref(), "{id}: {first:?}");
    let come = consumer.take(1, LIMIT)?.remove(0);
    ensure!(come.message.text() == "TIMER_DELAY_MS=4001", "{come:?}");
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "it came: {surplus:?}");
    for gone in &outcomes {
        let again = agent.recall("recaller", TOPIC, handle_of(gone)?);
        ensure!(again.is_err(), "taken back though it is gone: {again:?}");
    }
    agent.stop("recaller")?;
    agent.stop("recalled")?;
    Ok("one of two".to_owned())
}

fn handle_of(outcome: &Outcome) -> Result<&str> {
    outcome.recall_handle.as_deref().with_context(|| format!("no handle: {outcome:?}"))
}

fn later(topic: &str, name: &str, value: &str) -> Envelope {
    let mut message = Envelope::new(topic, format!("{name}={value}"));
    message.system.insert(name.to_owned(), value.to_owned());
    message
}
