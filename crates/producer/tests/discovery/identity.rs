//! Who a producer is to brokers.

use std::time::Duration;

use posthaste::{Message, Producer, StartError};
use posthaste_protocol::request::HeartbeatAnswer;

use crate::fake::{Broker, NameServer, one_broker, producer, soon, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_id_has_address_instance_and_unit() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let builder = producer(&[&server])
        .client_ip([10, 1, 2, 3].into())
        .instance_name("orders-7")
        .unit_name("east")
        .unit_mode(true);
    let producer = builder.start().await.unwrap();
    let receipt = soon(producer.send(Message::new("t", "x"))).await.unwrap();
    assert!(receipt.message_id().starts_with("0A010203"), "{receipt:?}");
    assert!(broker.seen()[0].unit_mode);
    let heartbeat = broker.heartbeats().remove(0);
    assert_eq!(heartbeat.client_id, "10.1.2.3@orders-7@east");
    assert_eq!(heartbeat.producers[0].group_name, "faults");
    soon(producer.close(Duration::from_secs(5))).await;
    let left = broker.goodbye().await;
    assert_eq!(left.client_id, "10.1.2.3@orders-7@east");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_without_a_name_differ() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    for _ in 0..2 {
        let producer = producer(&[&server]).start().await.unwrap();
        soon(producer.send(Message::new("t", "x"))).await.unwrap();
        assert!(!broker.seen().iter().any(|seen| seen.unit_mode));
    }
    let ids: Vec<String> = broker.heartbeats().into_iter().map(|one| one.client_id).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_of_a_broker_is_known_from_its_answer() {
    let (broker, _server, producer) = one_broker().await;
    broker.answer_others(false);
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    assert_eq!(producer.stats().brokers[0].version, None);
    broker.answer_others(true);
    broker.down();
    broker.up().await;
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    until("it is known", || producer.stats().brokers[0].version == Some(513)).await;
}

/// 5.x: what the broker knows already is left out, as long as it says that it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_with_a_fingerprint_say_all_until_the_broker_knows_it() {
    let answer = |supports: bool, changed: bool| HeartbeatAnswer {
        supports_v2: Some(supports),
        subscriptions_changed: Some(changed),
    };
    for (on, answer, fingerprint, left_out) in [
        (false, answer(true, false), 0, false),
        (true, answer(true, false), -1_269_792_886, true),
        (true, answer(true, true), -1_269_792_886, false),
        (true, answer(false, false), -1_269_792_886, false),
        (true, HeartbeatAnswer::default(), -1_269_792_886, false),
    ] {
        let broker = Broker::start("a").await;
        broker.answer_heartbeats(answer.clone());
        let server = NameServer::of(&[&broker], 4).await;
        let producer = Producer::builder("orders", server.address())
            .heartbeat_v2(on)
            .heartbeat_interval(Duration::from_millis(50))
            .start()
            .await
            .unwrap();
        soon(producer.send(Message::new("t", "x"))).await.unwrap();
        until("three heartbeats", || broker.heartbeats().len() >= 3).await;
        let heartbeats = broker.heartbeats();
        let without: Vec<bool> =
            heartbeats.iter().take(3).map(|one| one.without_subscriptions).collect();
        assert_eq!(without, [false, left_out, left_out], "{on} {answer:?}");
        assert!(heartbeats.iter().all(|one| one.fingerprint == fingerprint), "{heartbeats:?}");
        // On a new connection the broker is a new one.
        broker.down();
        broker.up().await;
        let count = broker.heartbeats().len();
        soon(producer.send(Message::new("t", "x"))).await.unwrap();
        until("a heartbeat", || broker.heartbeats().len() > count).await;
        assert!(!broker.heartbeats()[count].without_subscriptions);
    }
}

#[tokio::test]
async fn what_cannot_be_a_part_of_an_identity_is_refused() {
    let builder = || Producer::builder("faults", "127.0.0.1:9876");
    for (builder, words) in [
        (builder().unit_name("a b"), "unit name"),
        (builder().instance_name(""), "instance name"),
        (builder().namespace(""), "namespace is empty"),
        (builder().namespace("a%b"), "namespace"),
        (builder().namespace_v2(" "), "namespace_v2"),
        (builder().topics(["good", "not good"]), "not good"),
        (builder().heartbeat_interval(Duration::from_secs(120)), "heartbeat_interval"),
        (builder().heartbeat_interval(Duration::ZERO), "heartbeat_interval"),
        (builder().route_poll_interval(Duration::ZERO), "route_poll_interval"),
        (builder().lookup_timeout(Duration::ZERO), "lookup_timeout"),
    ] {
        let error = builder.start().await.unwrap_err();
        assert!(matches!(error, StartError::Setting(_)), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // The limit is that of the names on the wire.
    let error = Producer::builder("g".repeat(115), "127.0.0.1:9876").namespace("names").start();
    assert!(matches!(error.await.unwrap_err(), StartError::Group(_)));
}
