//! Messages that linger are stored when they are flushed, and when the producer closes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use posthaste::{Delivery, Message, Producer};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const TOPIC: &str = "lingering";
const QUEUES: u32 = 4;
const MESSAGES: usize = 500;
/// A linger takes at most half of the time that a send has: half an hour here.
const LINGER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(60);
const A_MOMENT: Duration = Duration::from_millis(500);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, QUEUES)?;
    let builder = Producer::builder(TOPIC, cluster.name_server()).linger(LINGER, 1 << 20);
    let producer = cluster.block_on(builder.send_timeout(PATIENCE).start())?;
    let requests = cluster.block_on(flush_and_close(&producer))?;
    let consumer = cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC))?;
    let mut numbers: Vec<usize> = Vec::new();
    for delivery in consumer.take(2 * MESSAGES, LIMIT)? {
        numbers.push(delivery.message.text().parse().context("a number")?);
    }
    numbers.sort_unstable();
    ensure!(numbers.iter().copied().eq(0..2 * MESSAGES), "{numbers:?}");
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{} messages in {requests} batches", 2 * MESSAGES))
}

/// Gives how many batches the messages left in.
async fn flush_and_close(producer: &Producer) -> Result<u64> {
    let flushed = enqueue(producer, 0).await?;
    tokio::time::sleep(A_MOMENT).await;
    let early = stored(producer).await?;
    ensure!(early == 0, "{early} did not linger");
    let began = Instant::now();
    producer.flush().await;
    ensure!(began.elapsed() < LIMIT, "the flush took {:?}", began.elapsed());
    ensure!(producer.stats().acked == MESSAGES as u64, "{:?}", producer.stats());
    let closed = enqueue(producer, MESSAGES).await?;
    tokio::time::sleep(A_MOMENT).await;
    // A broker may enter messages into its queues well after it has answered.
    while stored(producer).await? < MESSAGES as i64 {
        ensure!(began.elapsed() < LIMIT, "not all that were flushed are in the queues");
        tokio::time::sleep(A_MOMENT).await;
    }
    let early = stored(producer).await? - MESSAGES as i64;
    ensure!(early == 0, "{early} did not linger");
    let report = producer.close(LIMIT).await;
    ensure!(report.is_clean(), "{report:?}");
    for delivery in flushed.into_iter().chain(closed) {
        delivery.await?;
    }
    let batches = producer.stats().batches;
    ensure!((1..=20).contains(&batches), "{batches} batches");
    Ok(batches)
}

async fn enqueue(producer: &Producer, first: usize) -> Result<Vec<Delivery>> {
    let mut deliveries = Vec::new();
    for number in first..first + MESSAGES {
        deliveries.push(producer.enqueue(Message::new(TOPIC, number.to_string())).await?);
    }
    Ok(deliveries)
}

/// How many messages the broker has.
async fn stored(producer: &Producer) -> Result<i64> {
    let admin = producer.admin();
    let mut sum = 0;
    for queue in admin.publish_queues(TOPIC).await? {
        sum += admin.max_offset(&queue).await?;
    }
    Ok(sum)
}
