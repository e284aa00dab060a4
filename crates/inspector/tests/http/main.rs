//! The server over real sockets, as curl, browsers and careless clients use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod bounds;
mod client;
mod description;
mod faults;
mod guard;
mod listings;
mod messages;
mod pages;
mod refusals;
mod schema;
mod wire;

use std::time::Duration;

use posthaste::{Message, MessageQueue, Producer};
use posthaste_broker::Broker;
use posthaste_inspector::{Inspector, serve};

/// Far longer than anything here takes.
const HANG: Duration = Duration::from_secs(60);

/// Every path that there is, with one that is there to be found.
const PATHS: [&str; 13] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/messages?topic=orders",
    "/api/v1/messages/none",
    "/api/v1/topics",
    "/api/v1/topics/orders",
    "/api/v1/groups",
    "/api/v1/clients",
    "/api/v1/faults",
    "/api/v1/faults/1",
    "/api/v1/wire",
    "/api/v1/openapi.json",
];

/// A broker with a topic of one queue, and its server.
async fn start() -> (Broker, Inspector) {
    let broker = Broker::builder().topic("orders", 1).start().await.unwrap();
    let inspector = serve(&broker, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    (broker, inspector)
}

async fn producer(broker: &Broker) -> Producer {
    let producer = Producer::builder("orders-service", broker.name_server().to_string());
    producer.send_timeout(HANG).start().await.unwrap()
}

fn order(body: impl Into<Vec<u8>>) -> Message {
    Message::new("orders", body.into()).queue(MessageQueue::new("orders", "dev", 0))
}
