//! Batches: made by the caller, to be stored together; and made by load, with nothing to do for it.

mod support;

use std::error::Error;
use std::time::Duration;

use posthaste::{Batch, Message, Producer};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    let producer = Producer::builder("batch", cluster.name_servers.as_str()).start().await?;

    // All of it is stored, one after another in one queue, or nothing is.
    let order = [
        Message::new("batch-topic", "reserved").key("o-1"),
        Message::new("batch-topic", "paid").key("o-1"),
    ];
    for receipt in producer.send_batch(order).await? {
        println!("{} in {} at {}", receipt.message_id(), receipt.queue(), receipt.queue_offset());
    }

    // More than a request may have goes in parts, each stored or not on its own.
    let many: Batch =
        (0..100).map(|n| Message::new("batch-topic", format!("message {n}"))).collect();
    for part in many.split(4 * 1024) {
        let count = part.messages().len();
        if let Err(error) = producer.send_batch(part).await {
            println!("{count} messages to send again: {error}");
            drop(error.into_messages());
        }
    }

    // Sends that have to wait for a busy connection share requests by themselves.
    let mut deliveries = Vec::new();
    for n in 0..1_000 {
        deliveries.push(producer.enqueue(Message::new("batch-topic", format!("load {n}"))).await?);
    }
    for delivery in deliveries {
        delivery.await?;
    }
    let stats = producer.stats();
    println!("{} messages in {} requests", stats.acked, stats.requests);

    producer.close(Duration::from_secs(3)).await;
    if stats.acked == 1_102 { Ok(()) } else { Err("not all were stored".into()) }
}
