//! Compressed bodies, alone, in batches that load makes and in batches that a caller makes, reach the
//! official consumer as they were.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use posthaste::{Compression, Message, Producer, ProducerBuilder};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;
use crate::interop::version::Version;

const TOPIC: &str = "packed";
const LIMIT: Duration = Duration::from_secs(60);
/// Enough to have some wait, and share batches.
const MESSAGES: usize = 400;
/// Of a batch that a caller makes.
const IN_A_BATCH: usize = 12;

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    run_on(cluster, TOPIC)
}

pub(super) fn run_on(cluster: &Cluster, topic: &'static str) -> Result<String> {
    cluster.create_topic(topic, 2)?;
    let kinds: &[Compression] = match cluster.version() {
        Version::V5_5_0 => &[Compression::Zlib, Compression::Lz4, Compression::Zstd],
        Version::V4_7_0 | Version::V4_9_7 => &[Compression::Zlib],
    };
    let mut sent = BTreeMap::new();
    let mut batched = 0;
    for kind in kinds {
        let builder = Producer::builder(topic, cluster.entrance()).send_timeout(LIMIT);
        batched += cluster.block_on(send(builder.compression(*kind), topic, *kind, &mut sent))?;
    }
    let count = sent.len();
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic))?;
    consumer.take_bodies(sent, LIMIT)?;
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{count} messages, {batched} of them in batches, {} kinds", kinds.len()))
}

/// Sends long bodies among short ones; gives how many of them went in batches.
async fn send(
    builder: ProducerBuilder,
    topic: &'static str,
    kind: Compression,
    sent: &mut BTreeMap<String, Vec<u8>>,
) -> Result<u64> {
    let producer = builder.start().await?;
    let mut deliveries = Vec::new();
    for number in 0..MESSAGES {
        let (key, body) = sample(kind, number);
        let message = Message::new(topic, body.clone()).key(key.as_str());
        deliveries.push(producer.enqueue(message).await?);
        sent.insert(key, body);
    }
    for delivery in deliveries {
        delivery.await?;
    }
    explicitly(&producer, topic, kind, sent).await?;
    let stats = producer.stats();
    ensure!(stats.batched > 0, "nothing left in a batch: {stats:?}");
    ensure!(producer.close(LIMIT).await.is_clean(), "not all were stored");
    Ok(stats.batched)
}

/// A batch that a caller makes: one flag says that all its bodies are compressed. So short bodies are
/// compressed too.
async fn explicitly(
    producer: &Producer,
    topic: &'static str,
    kind: Compression,
    sent: &mut BTreeMap<String, Vec<u8>>,
) -> Result<()> {
    let samples: Vec<_> = (MESSAGES..MESSAGES + IN_A_BATCH).map(|n| sample(kind, n)).collect();
    let batch: Vec<_> = samples
        .iter()
        .map(|(key, body)| Message::new(topic, body.clone()).key(key.as_str()))
        .collect();
    let receipts = producer.send_batch(batch).await?;
    ensure!(receipts.len() == IN_A_BATCH, "{} receipts", receipts.len());
    sent.extend(samples);
    Ok(())
}

/// A key and a body; every third is so short that it is sent as it is when it is alone.
fn sample(kind: Compression, number: usize) -> (String, Vec<u8>) {
    let key = format!("{kind:?}-{number}");
    let times = if number.is_multiple_of(3) { 2 } else { 500 };
    let body = format!("{key} größer ").repeat(times).into_bytes();
    (key, body)
}
