//! Producers for the fake servers.

use posthaste::{Producer, ProducerBuilder};

use super::broker::Broker;
use super::name_server::NameServer;
use super::{HANG, HOUR};

/// A producer that gives sends and connects all the time they need, however busy the machine is, and
/// sends bodies as they are. A test that is about a deadline sets it.
pub fn producer(servers: &[&NameServer]) -> ProducerBuilder {
    let list: Vec<String> = servers.iter().map(|server| server.address()).collect();
    Producer::builder("faults", list.join(";"))
        .send_timeout(HOUR)
        .connect_timeout(HANG)
        .compress_from(usize::MAX)
}

/// A broker, its name server, and a producer for them.
pub async fn one_broker() -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    (broker, server, producer)
}

/// Two brokers, their name server, and a producer for them.
pub async fn two_brokers() -> (Broker, Broker, NameServer, Producer) {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let server = NameServer::of(&[&a, &b], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    (a, b, server, producer)
}
