//! Large bodies, which are written from the memory where the caller has them. They reach the official
//! consumer unchanged: alone, in batches that the caller makes, and in batches that form under load.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use posthaste::{Message, Producer};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const TOPIC: &str = "large";
const LIMIT: Duration = Duration::from_secs(60);
/// Around the length from which on bodies are not copied, and up to what brokers take.
const LENGTHS: [usize; 6] = [65_535, 65_536, 65_537, 300_000, 1 << 20, 3 << 20];
/// Enough to have some wait, and share batches.
const TOGETHER: usize = 60;

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 2)?;
    let mut sent = BTreeMap::new();
    let batched = cluster.block_on(send(cluster.entrance(), &mut sent))?;
    let count = sent.len();
    let consumer = cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC))?;
    consumer.take_bodies(sent, LIMIT)?;
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{count} messages, {batched} of them in batches"))
}

/// Gives how many messages went in batches.
async fn send(name_server: String, sent: &mut BTreeMap<String, Vec<u8>>) -> Result<u64> {
    let builder = Producer::builder(TOPIC, name_server).send_timeout(LIMIT);
    let producer = builder.compress_from(usize::MAX).start().await?;
    let mut message = |kind: &str, length: usize| {
        let key = format!("{kind}-{}", sent.len());
        // No two places of a body, and no two bodies, are alike.
        let body: Vec<u8> =
            (0..length).map(|at| ((at * 31 + at / 251 + sent.len()) % 256) as u8).collect();
        sent.insert(key.clone(), body.clone());
        Message::new(TOPIC, body).key(key)
    };
    for length in LENGTHS {
        producer.send(message("alone", length)).await?;
    }
    let batch: Vec<Message> =
        [100, 70_000, 200, 90_000, 80_000].map(|length| message("batch", length)).into();
    ensure!(producer.send_batch(batch).await?.len() == 5, "a receipt is missing");
    let mut deliveries = Vec::new();
    for number in 0..TOGETHER {
        let length = if number % 3 == 0 { 50 } else { 66_000 + number };
        deliveries.push(producer.enqueue(message("together", length)).await?);
    }
    for delivery in deliveries {
        delivery.await?;
    }
    let batched = producer.stats().batched;
    ensure!(batched > 0, "nothing left in a batch");
    ensure!(producer.close(LIMIT).await.is_clean(), "not all were stored");
    Ok(batched)
}
