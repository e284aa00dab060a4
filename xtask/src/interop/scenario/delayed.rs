//! Delayed messages reach the official consumer, and none before its time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use posthaste::{Message, Producer};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;
use crate::interop::version::Version;

const TOPIC: &str = "delayed";
const LIMIT: Duration = Duration::from_secs(60);
/// Brokers keep a timer to a second, rounded down.
const PRECISION: Duration = Duration::from_millis(1_000);

/// When each message may come at the earliest, by its body.
type Due = BTreeMap<String, Instant>;

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    run_on(cluster, TOPIC)
}

pub(super) fn run_on(cluster: &Cluster, topic: &'static str) -> Result<String> {
    cluster.create_topic(topic, 2)?;
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic))?;
    let timers = cluster.version() == Version::V5_5_0;
    let mut due = cluster.block_on(send(cluster.patient_producer(topic)?, topic, timers))?;
    let count = due.len();
    while !due.is_empty() {
        for delivery in consumer.take(1, LIMIT).with_context(|| format!("{:?}", due.keys()))? {
            let (text, now) = (delivery.message.text(), Instant::now());
            let earliest = due.remove(&text).with_context(|| format!("not awaited: {text}"))?;
            ensure!(now >= earliest, "{text} came {:?} early", earliest - now);
        }
    }
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{count} messages, {}", if timers { "timers too" } else { "levels alone" }))
}

async fn send(producer: Producer, topic: &'static str, timers: bool) -> Result<Due> {
    let mut due = Due::new();
    let message = |body: &str| Message::new(topic, body.to_owned());
    for (body, delayed, delay) in [
        ("level 1", message("level 1").delay_level(1), Duration::from_secs(1)),
        ("level 2", message("level 2").delay_level(2), Duration::from_secs(5)),
        ("at once", message("at once"), Duration::ZERO),
    ] {
        let earliest = Instant::now() + delay;
        producer.send(delayed).await?;
        due.insert(body.to_owned(), earliest);
    }
    if timers {
        let after = message("after 4 s").deliver_after(Duration::from_secs(4));
        let at = message("at 6 s").deliver_at(SystemTime::now() + Duration::from_secs(6));
        for (body, timer, seconds) in [("after 4 s", after, 4), ("at 6 s", at, 6)] {
            let earliest = Instant::now() + Duration::from_secs(seconds) - PRECISION;
            let receipt = producer.send(timer).await?;
            ensure!(receipt.recall_handle().is_some(), "no handle: {receipt:?}");
            due.insert(body.to_owned(), earliest);
        }
    }
    ensure!(producer.close(LIMIT).await.is_clean(), "not all were stored");
    Ok(due)
}
