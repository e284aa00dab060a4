//! What leaves in batches, because it had to wait or because its caller made one, the official Java
//! consumer receives message by message, as it was sent.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::{Delivery, Message, Producer};

use super::arrival::{self, Sent, Way};
use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const TOPIC: &str = "batched";
/// How often each shape of message is sent at once.
const COPIES: usize = 150;
const IN_A_BATCH: usize = 32;
const LIMIT: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_millis(300);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    run_on(cluster, TOPIC)
}

pub(super) fn run_on(cluster: &Cluster, topic: &'static str) -> Result<String> {
    cluster.create_topic(topic, 4)?;
    let (sent, batches) = cluster.block_on(send_all(cluster.patient_producer(topic)?, topic))?;
    let stored = cluster.count(topic, sent.len())?;
    ensure!(stored == sent.len(), "{stored} stored of {}", sent.len());
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic))?;
    arrival::receive(&consumer, sent.clone(), LIMIT)?;
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "arrived twice: {surplus:?}");
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{} messages in {batches} batches and singly", sent.len()))
}

async fn send_all(producer: Producer, topic: &'static str) -> Result<(Sent, u64)> {
    let mut sent = Sent::new();
    at_once(&producer, topic, &mut sent).await?;
    oneway(&producer, topic, &mut sent).await?;
    explicitly(&producer, topic, &mut sent).await?;
    let stats = producer.stats();
    ensure!(stats.acked + stats.oneway == sent.len() as u64, "{stats:?}");
    ensure!(stats.batched > stats.batches * 4, "hardly any batches: {stats:?}");
    let report = producer.close(LIMIT).await;
    ensure!(report.is_clean(), "{report:?}");
    Ok((sent, stats.batches))
}

/// Many of every shape, none waiting for another: they have to share requests.
async fn at_once(producer: &Producer, topic: &'static str, sent: &mut Sent) -> Result<()> {
    let mut deliveries: Vec<(Message, Delivery)> = Vec::new();
    for copy in 0..COPIES {
        for message in arrival::small_shapes(topic, &format!("{:?} {copy}", Way::Enqueue)) {
            let delivery = producer.enqueue(message.clone()).await?;
            deliveries.push((message, delivery));
        }
    }
    for (message, delivery) in deliveries {
        let receipt = delivery.await.with_context(|| format!("{message:?}"))?;
        sent.insert(message.body().to_vec(), (message, Some(receipt)));
    }
    Ok(())
}

async fn oneway(producer: &Producer, topic: &'static str, sent: &mut Sent) -> Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for copy in 0..COPIES {
        for message in arrival::small_shapes(topic, &format!("{:?} {copy}", Way::Oneway)) {
            let (producer, copy) = (producer.clone(), message.clone());
            tasks.spawn(async move { producer.send_oneway(copy).await });
            sent.insert(message.body().to_vec(), (message, None));
        }
    }
    while let Some(written) = tasks.join_next().await {
        written??;
    }
    Ok(())
}

/// Batches that a caller makes: one after another in one queue, with a receipt for each.
async fn explicitly(producer: &Producer, topic: &'static str, sent: &mut Sent) -> Result<()> {
    for copy in 0..4 {
        let name = format!("batch {copy}");
        let mut messages = arrival::small_shapes(topic, &name);
        messages.retain(|message| message.tag_text() != Some(arrival::UNFLUSHED));
        let rest = messages.len()..IN_A_BATCH;
        messages.extend(rest.map(|n| Message::new(topic, format!("{name} filling {n}"))));
        let receipts = producer.send_batch(messages.clone()).await?;
        ensure!(receipts.len() == IN_A_BATCH, "{} receipts", receipts.len());
        for (message, receipt) in messages.into_iter().zip(receipts) {
            sent.insert(message.body().to_vec(), (message, Some(receipt)));
        }
    }
    Ok(())
}
