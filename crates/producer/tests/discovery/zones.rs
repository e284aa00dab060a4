//! A producer in a zone: brokers of the zone are sent to, and others only when it has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use posthaste::{Message, Producer, StartError};
use posthaste_protocol::request::{BrokerData, RouteOf, TopicRoute};

use crate::fake::{Broker, broker_data, queue_data, soon, until};
use crate::scripted::{Reply, Server};

/// A broker in each of two zones, and a name server as those of 5.x are.
struct Zones {
    east: Broker,
    west: Broker,
    names: Server,
    /// Whether the broker in the east may be written.
    east_is_open: Arc<AtomicBool>,
}

impl Zones {
    async fn start() -> Self {
        let (east, west) = (Broker::start("east").await, Broker::start("west").await);
        let east_is_open = Arc::new(AtomicBool::new(true));
        let open = east_is_open.clone();
        let addresses = [("east", east.address()), ("west", west.address())];
        let names = Server::start(move |request| {
            let topic = request.read::<RouteOf>().unwrap().topic;
            if !["t", "TBW102"].contains(&&*topic) {
                return Reply::refuse(17, "no route");
            }
            let only = request.fields.get("__ZONE_MODE") == Some("true");
            let zone = request.fields.get("__ZONE_NAME").filter(|_| only);
            let in_zone = |name: &str| zone.is_none_or(|zone| zone == name);
            let mut route = TopicRoute::default();
            for (name, address) in addresses.iter().filter(|(name, _)| in_zone(name)) {
                let perm = if *name == "west" || open.load(Ordering::Relaxed) { 6 } else { 4 };
                let data = broker_data(name, address);
                route.brokers.push(BrokerData { zone_name: Some((*name).to_owned()), ..data });
                route.queues.push(queue_data(name, 4, perm));
            }
            Reply::ok(route)
        })
        .await;
        Self { east, west, names, east_is_open }
    }

    async fn producer(&self, zone: Option<&str>) -> Producer {
        let builder = Producer::builder("zones", &*self.names.address)
            .send_timeout(Duration::from_secs(20))
            .route_poll_interval(Duration::from_millis(100));
        let builder = match zone {
            Some(zone) => builder.zone(zone),
            None => builder,
        };
        builder.start().await.unwrap()
    }

    fn stored(&self) -> (usize, usize) {
        (self.east.stored_count(), self.west.stored_count())
    }
}

async fn send(producer: &Producer, topic: &str, count: usize) {
    for n in 0..count {
        soon(producer.send(Message::new(topic, format!("{n}")))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_in_a_zone_sends_to_its_brokers_alone() {
    let zones = Zones::start().await;
    send(&zones.producer(Some("east")).await, "t", 20).await;
    assert_eq!(zones.stored(), (20, 0));
    // So does a topic that the first send creates.
    send(&zones.producer(Some("west")).await, "new", 20).await;
    assert_eq!(zones.stored(), (20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_zone_nothing_is_said_of_zones_and_all_brokers_are_sent_to() {
    let zones = Zones::start().await;
    send(&zones.producer(None).await, "t", 40).await;
    let (east, west) = zones.stored();
    assert!(east > 0 && west > 0, "{east} {west}");
    let asked = zones.names.asked();
    assert!(asked.iter().all(|one| one.fields.get("__ZONE_NAME").is_none()));
}

/// Java would fail until the zone is repaired.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_without_a_queue_that_may_be_written_is_helped_by_the_others() {
    let zones = Zones::start().await;
    let producer = zones.producer(Some("east")).await;
    zones.east_is_open.store(false, Ordering::Relaxed);
    send(&producer, "t", 10).await;
    assert_eq!(zones.stored(), (0, 10));
    // Back in its zone, once a poll has shown it.
    zones.east_is_open.store(true, Ordering::Relaxed);
    let asked = zones.names.asked().len();
    until("it is asked twice again", || zones.names.asked().len() > asked + 2).await;
    let mut sent = 10;
    while zones.east.stored_count() == 0 {
        send(&producer, "t", 1).await;
        sent += 1;
        assert!(sent < 10_000, "it never comes back");
    }
    let west = zones.west.stored_count();
    send(&producer, "t", 10).await;
    assert_eq!(zones.west.stored_count(), west);
    // A zone without brokers is a zone without queues.
    send(&zones.producer(Some("nowhere")).await, "t", 10).await;
}

#[tokio::test]
async fn a_zone_has_a_name() {
    let error = Producer::builder("zones", "127.0.0.1:1").zone(" ").start().await.unwrap_err();
    assert!(matches!(&error, StartError::Setting(why) if why.contains("zone")), "{error}");
}
