//! Messages of a key stay in the order of sending, in the queue that Java would choose too.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use posthaste::{Message, Producer};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;
use crate::interop::version::Version;

const TOPIC: &str = "ordered";
const QUEUES: u32 = 7;
const KEYS: usize = 60;
const MESSAGES: usize = 3_000;
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    run_on(cluster, TOPIC)
}

pub(super) fn run_on(cluster: &Cluster, topic: &str) -> Result<String> {
    cluster.create_topic(topic, QUEUES)?;
    let keys = keys(cluster.version());
    let queues = cluster.block_on(send_all(cluster.producer(topic)?, topic, &keys))?;
    let java: Vec<i32> = cluster.agent().choose(QUEUES, &keys)?;
    for (key, java) in keys.iter().zip(java) {
        ensure!(queues.get(key) == Some(&java), "{key:?}: {:?}, Java: {java}", queues.get(key));
    }
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic).orderly())?;
    let received = consumer.take(MESSAGES, LIMIT)?;
    check_order(received.iter().map(|delivery| delivery.message.text()))?;
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{MESSAGES} messages of {KEYS} keys"))
}

/// Keys whose hashes are of every kind: small, negative, of characters outside of ASCII and of the
/// basic plane.
fn keys(version: Version) -> Vec<String> {
    let special = ["a", "order-1", "größer", "日本語", "🦀", "zzzzzzzzzz"];
    let mut keys: Vec<String> = special.map(str::to_owned).to_vec();
    // The least hash of all has no absolute value, and 4.7.0 fails on it.
    if version != Version::V4_7_0 {
        keys.push("polygenelubricants".to_owned());
    }
    keys.extend((keys.len()..KEYS).map(|number| format!("key-{}", number * 7_919)));
    keys
}

/// Enqueues without waiting for answers, so that order is put to the test; gives each key's queue.
async fn send_all(
    producer: Producer,
    topic: &str,
    keys: &[String],
) -> Result<BTreeMap<String, i32>> {
    // Hundreds wait in each queue's line for a broker that is still cold.
    let producer = producer.with_timeout(LIMIT);
    let mut deliveries = Vec::new();
    for number in 0..MESSAGES {
        let key = keys.get(number % keys.len()).context("a key")?;
        let message = Message::new(topic, format!("{key}:{number}")).order_by(key.as_str());
        deliveries.push((key, producer.enqueue(message).await?));
    }
    let mut queues = BTreeMap::new();
    for (key, delivery) in deliveries {
        let queue = delivery.await?.queue().id();
        let first = *queues.entry(key.clone()).or_insert(queue);
        ensure!(first == queue, "{key} went to {first} and to {queue}");
    }
    let stats = producer.stats();
    ensure!(stats.batched > stats.batches, "nothing that waited in line left together: {stats:?}");
    producer.close(LIMIT).await;
    Ok(queues)
}

/// Checks that the numbers behind each key, in bodies such as `key:17`, rise.
pub(crate) fn check_order(texts: impl Iterator<Item = String>) -> Result<()> {
    let mut last = BTreeMap::new();
    for text in texts {
        let Some((key, number)) = text.rsplit_once(':') else { bail!("strange body {text}") };
        let number: i64 = number.parse().with_context(|| text.clone())?;
        let before = last.insert(key.to_owned(), number);
        ensure!(before < Some(number), "{key}: {number} came after {before:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_a_matter_of_each_key() {
        let check = |texts: &[&str]| check_order(texts.iter().map(|text| (*text).to_owned()));
        assert!(check(&["a:1", "b:7", "a:2", "b:9"]).is_ok());
        assert!(check(&["a:1", "b:7", "a:2", "b:6"]).is_err());
        assert!(check(&["a:1", "a:1"]).is_err());
    }
}
