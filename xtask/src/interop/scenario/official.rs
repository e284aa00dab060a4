//! The suite itself: official clients against official servers. Without this, a failure elsewhere could
//! be the suite's own.

use anyhow::{Result, ensure};

use super::exchange::{self, Sent};
use crate::interop::cluster::Cluster;
use crate::interop::envelope::Envelope;

const QUEUES: u32 = 4;

pub(crate) fn java(cluster: &mut Cluster) -> Result<String> {
    const TOPIC: &str = "official-java";
    cluster.create_topic(TOPIC, QUEUES)?;
    let sent = exchange::send_all(cluster.agent(), TOPIC)?;
    exchange::receive_all(cluster.agent(), TOPIC, &sent)?;
    check_stored(cluster, TOPIC, &sent)?;
    check_choice(cluster, &sent)?;
    Ok(format!("{} messages", sent.len()))
}

pub(crate) fn go(cluster: &mut Cluster) -> Result<String> {
    const TOPIC: &str = "official-go";
    cluster.create_topic(TOPIC, QUEUES)?;
    let agent = cluster.go_agent()?;
    let sent = exchange::send_all(&agent, TOPIC)?;
    exchange::receive_all(&agent, TOPIC, &sent)?;
    check_stored(cluster, TOPIC, &sent)?;
    Ok(format!("{} messages", sent.len()))
}

fn check_stored(cluster: &Cluster, topic: &str, sent: &Sent) -> Result<()> {
    let mut awaited = sent.clone();
    for message in cluster.agent().stored(topic)? {
        exchange::compare(&mut awaited, &message)?;
    }
    ensure!(awaited.is_empty(), "not stored: {awaited:?}");
    ensure!(cluster.count(topic, sent.len())? == sent.len(), "the offsets do not add up");
    Ok(())
}

/// The hash selector, asked directly, names the queue that keyed messages went to.
fn check_choice(cluster: &Cluster, sent: &Sent) -> Result<()> {
    for (message, receipt) in sent.values().filter(|(message, _)| is_keyed(message)) {
        let keys: Vec<String> = message.order_key.iter().cloned().collect();
        let chosen = cluster.agent().choose(QUEUES, &keys)?;
        ensure!(chosen.first().copied() == receipt.queue, "{receipt:?} but {chosen:?}");
    }
    Ok(())
}

fn is_keyed(message: &Envelope) -> bool {
    message.order_key.as_ref().is_some_and(|key| key.starts_with("Keyed"))
}
