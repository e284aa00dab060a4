//! Messages of one order must arrive in their order; those of different orders need not.
//!
//! Messages of the same key go to the same queue, one request at a time, and consumers read a
//! queue in its order. The key's hash is Java's, so producers in both languages agree.

mod support;

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use posthaste::{Message, Producer};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    let producer = Producer::builder("ordered", cluster.name_servers.as_str()).start().await?;

    // No need to wait for each before the next: order is that of acceptance.
    let mut deliveries = Vec::new();
    for step in ["created", "paid", "shipped"] {
        for order in ["order-1", "order-2", "order-3"] {
            let message = Message::new("ordered-topic", step).key(order).order_by(order);
            deliveries.push((order, step, producer.enqueue(message).await?));
        }
    }

    let mut last = HashMap::new();
    for (order, step, delivery) in deliveries {
        let receipt = delivery.await?;
        println!("{order} {step:<8} {} at {}", receipt.queue(), receipt.queue_offset());
        let place = (receipt.queue().clone(), receipt.queue_offset());
        let before = last.insert(order, place.clone());
        if before.is_some_and(|before| before.0 != place.0 || before.1 >= place.1) {
            return Err(format!("{order} is out of order").into());
        }
    }
    producer.close(Duration::from_secs(3)).await;
    Ok(())
}
