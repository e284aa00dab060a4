//! Producers for the fake servers, and what must hold of a producer when all has ended.

use std::time::{Duration, Instant};

use posthaste::{Producer, ProducerBuilder, Stats};

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

/// What the producer has counted when all have ended: the part that ends a message counts it a
/// moment after its end can be seen.
pub fn settled(producer: &Producer) -> Stats {
    let begun = Instant::now();
    while producer.stats().in_flight > 0 && begun.elapsed() < HANG {
        std::thread::sleep(Duration::from_millis(1));
    }
    producer.stats()
}

/// Every message has ended, each once, and none holds anything any more.
#[track_caller]
pub fn assert_all_ended(producer: &Producer) {
    let stats = settled(producer);
    let ended = stats.acked + stats.not_stored + stats.unknown + stats.oneway + stats.withdrawn;
    assert_eq!((stats.sent, stats.in_flight), (ended, 0), "{stats:?}");
}
