//! Embedded brokers with topic `t`, producers for them, and what they have stored.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use posthaste::{Message, Producer, ProducerBuilder};
use posthaste_broker::{Broker, Cluster, Fault, On, StoredMessage};

use crate::support::{HANG, HOUR, soon, until};

/// A broker with so many queues of `t`.
pub(crate) async fn broker(queues: u32) -> Broker {
    Broker::builder().topic("t", queues).start().await.unwrap()
}

/// A producer that gives sends and connects all the time they need, however busy the machine is. A
/// test that is about a deadline sets it.
pub(crate) fn producer(name_server: SocketAddr) -> ProducerBuilder {
    let builder = Producer::builder("faults", name_server.to_string());
    builder.send_timeout(HOUR).connect_timeout(HANG)
}

/// A broker with one queue, in which the order of storing shows, and a producer for it.
pub(crate) async fn one_broker() -> (Broker, Producer) {
    let broker = broker(1).await;
    let producer = producer(broker.name_server()).start().await.unwrap();
    (broker, producer)
}

/// A broker with one queue, and a producer that has a connection to it and one message there.
pub(crate) async fn one_warm_broker() -> (Broker, Producer) {
    let (broker, producer) = one_broker().await;
    soon(producer.send(message("warm"))).await.unwrap();
    until_in_flight(&producer, 0).await;
    (broker, producer)
}

/// Two brokers, `dev-0` and `dev-1`, with four queues each.
pub(crate) async fn cluster() -> Cluster {
    Cluster::builder().brokers(2).topic("t", 4).start().await.unwrap()
}

/// Two brokers, and a producer for them.
pub(crate) async fn two_brokers() -> (Cluster, Producer) {
    let cluster = cluster().await;
    let producer = producer(cluster.name_server()).start().await.unwrap();
    (cluster, producer)
}

/// A rule for sends to `t`.
pub(crate) fn send() -> Fault {
    Fault::on(On::Send).topic("t")
}

/// A rule for questions for the route of `t`.
pub(crate) fn route() -> Fault {
    Fault::on(On::Route).topic("t")
}

pub(crate) fn message(body: impl ToString) -> Message {
    Message::new("t", body.to_string())
}

pub(crate) fn keyed(body: impl ToString, key: &str) -> Message {
    message(body).order_by(key)
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Waits until this many messages are with brokers, unanswered. A paused broker holds them.
pub(crate) async fn until_in_flight(producer: &Producer, messages: usize) {
    let in_flight = || {
        let brokers = producer.stats().brokers;
        brokers.iter().map(|one| one.messages_in_flight).sum::<usize>()
    };
    until("they have left", || in_flight() == messages).await;
}

/// The texts of what is stored in `t`; those of a queue in the order of storing.
pub(crate) async fn texts(broker: &Broker) -> Vec<String> {
    broker.messages("t").await.unwrap().iter().map(text).collect()
}

pub(crate) fn text(stored: &StoredMessage) -> String {
    stored.text().unwrap().to_owned()
}

pub(crate) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// The first copy of each stored message, in the order of storing.
pub(crate) fn first_copies(stored: Vec<StoredMessage>) -> Vec<StoredMessage> {
    let mut known = HashSet::new();
    stored.into_iter().filter(|one| known.insert(one.unique_id.clone())).collect()
}
