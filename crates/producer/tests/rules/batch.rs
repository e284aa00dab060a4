//! Batches under load: how they form, and how each of their messages ends on its own.

mod ends;
mod lost;
mod refused;

use std::collections::HashSet;

use posthaste::{Delivery, Message, Producer, ProducerBuilder};
use posthaste_broker::{Broker, Cluster, Fault, On};

use crate::servers::{broker, message, producer, text, until_in_flight};
use crate::support::{HANG, soon, until};

/// A producer with room for one request at a time: what waits meanwhile leaves together.
fn narrow(name_server: std::net::SocketAddr) -> ProducerBuilder {
    producer(name_server).max_window(1).topics(["t"])
}

/// A broker, and a producer with room for one request at a time.
async fn one_narrow() -> (Broker, Producer) {
    let broker = broker(1).await;
    let producer = narrow(broker.name_server()).start().await.unwrap();
    (broker, producer)
}

/// Two brokers with a queue each.
async fn two_narrow() -> Cluster {
    Cluster::builder().brokers(2).topic("t", 1).topic("plug", 1).start().await.unwrap()
}

/// Paused brokers, each with a message behind which others wait.
struct Plugs<'a>(&'a [Broker]);

impl Plugs<'_> {
    /// Has them answered, so that what has come meanwhile leaves.
    async fn pull(self) {
        for broker in self.0 {
            broker.resume().await.unwrap();
        }
    }
}

/// Pauses brokers, and sends something to each behind which others wait. The route of the producer's
/// topics is known by then: a message that waits for one does not wait behind the plug.
async fn plug<'a>(producer: &Producer, brokers: &'a [Broker]) -> Plugs<'a> {
    producer.ready(HANG).await.unwrap();
    // The route of the plug, and a connection to each broker.
    for _ in brokers {
        soon(producer.send(Message::new("plug", "warm"))).await.unwrap();
    }
    until_in_flight(producer, 0).await;
    for broker in brokers {
        broker.pause().await.unwrap();
    }
    for _ in brokers {
        drop(producer.enqueue(Message::new("plug", "plug")).await.unwrap());
    }
    let plugged = || producer.stats().brokers.iter().filter(|one| one.in_flight == 1).count();
    until("the plugs have left", || plugged() == brokers.len()).await;
    Plugs(brokers)
}

/// Messages `0..count` of topic `t`, which wait behind a plug and leave together.
async fn enqueue(producer: &Producer, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for n in 0..count {
        deliveries.push(producer.enqueue(message(n)).await.unwrap());
    }
    deliveries
}

/// A rule for batches of `t`.
fn batches() -> Fault {
    Fault::on(On::Send.batch()).topic("t")
}

/// What is stored is this many messages, each once.
async fn assert_stored_once(cluster: &Cluster, count: usize) {
    let stored = cluster.messages("t").await.unwrap();
    let found: HashSet<String> = stored.iter().map(text).collect();
    assert_eq!((stored.len(), found.len()), (count, count));
}
