//! The test kit, with our own producer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod changes;
mod clusters;
mod lines;
mod outages;
mod pages;
mod putting;
mod questions;
#[path = "../support/mod.rs"]
mod support;
mod waiting;
mod wire;

use std::time::Duration;

use posthaste::{Message, MessageQueue, Producer, ProducerBuilder};
use posthaste_broker::Broker;

/// Far longer than anything here takes.
const HANG: Duration = Duration::from_secs(60);

fn member(broker: &Broker) -> ProducerBuilder {
    Producer::builder("orders-service", broker.name_server().to_string()).send_timeout(HANG)
}

async fn start() -> (Broker, Producer) {
    let broker = Broker::builder().topic("orders", 4).start().await.unwrap();
    let producer = member(&broker).start().await.unwrap();
    (broker, producer)
}

/// A message for one queue of `orders`.
fn to_queue(queue: i32, body: String) -> Message {
    Message::new("orders", body).queue(MessageQueue::new("orders", "dev", queue))
}
