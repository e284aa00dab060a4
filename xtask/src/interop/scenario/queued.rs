//! Messages stay in order in the queue that their sender picks: by a function, or by its name.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::{Delivery, Message, MessageQueue, Producer};

use super::ordered;
use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const TOPIC: &str = "queued";
const QUEUES: usize = 5;
const CUSTOMERS: usize = 12;
const MESSAGES: usize = 1_200;
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, QUEUES as u32)?;
    let producer = cluster.producer(TOPIC)?.with_timeout(LIMIT);
    cluster.block_on(send_all(&producer))?;
    let consumer = cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC).orderly())?;
    let received = consumer.take(2 * MESSAGES, LIMIT)?;
    ordered::check_order(received.iter().map(|delivery| delivery.message.text()))?;
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{MESSAGES} messages by a function, {MESSAGES} to given queues"))
}

/// Enqueues without waiting for answers, and compares where each was stored with what was picked.
async fn send_all(producer: &Producer) -> Result<()> {
    let queues = producer.admin().publish_queues(TOPIC).await?;
    ensure!(queues.len() == QUEUES, "{queues:?}");
    let mut picked: Vec<(&MessageQueue, Delivery)> = Vec::new();
    for number in 0..MESSAGES {
        let customer = number % CUSTOMERS;
        let message = Message::new(TOPIC, format!("customer {customer}:{number}"));
        let message = message.select_queue(move |queues| customer % queues.len());
        let queue = queues.get(customer % QUEUES).context("a queue")?;
        picked.push((queue, producer.enqueue(message).await?));

        let queue = queues.get(number % QUEUES).context("a queue")?;
        let message = Message::new(TOPIC, format!("{queue}:{number}"));
        picked.push((queue, producer.enqueue(message.queue(queue.clone()).ordered()).await?));
    }
    for (queue, delivery) in picked {
        let receipt = delivery.await?;
        ensure!(receipt.queue() == queue, "{receipt:?}, and not in {queue}");
    }
    ensure!(producer.close(LIMIT).await.is_clean(), "not all were stored");
    Ok(())
}
