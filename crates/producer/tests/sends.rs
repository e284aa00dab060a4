//! Sends to the embedded broker.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use posthaste::{ErrorKind, Message, MessageQueue, Outcome, Producer};
use posthaste_broker::Broker;

/// Long, for a machine under load.
const TIME: Duration = Duration::from_secs(60);

async fn start() -> (Broker, Producer) {
    let broker = Broker::builder().start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let producer =
        Producer::builder("sends", name_server).send_timeout(TIME).start().await.unwrap();
    (broker, producer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_verb_stores_its_message() {
    let (broker, producer) = start().await;
    let receipt = producer.send(Message::new("verbs", "sync").tag("t").key("k")).await.unwrap();
    assert_eq!(receipt.queue_offset(), 0);
    assert_eq!(receipt.queue().topic(), "verbs");
    let delivery = producer.enqueue(Message::new("verbs", "async")).await.unwrap();
    let id = delivery.message_id();
    assert_eq!(delivery.await.unwrap().message_id(), id);
    producer.send_oneway(Message::new("verbs", "oneway")).await.unwrap();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let delivery = producer.try_enqueue(Message::new("verbs", "callback")).unwrap();
    delivery.on_complete(move |result| sender.send(result).unwrap());
    receiver.await.unwrap().unwrap();
    let report = producer.close(Duration::from_secs(5)).await;
    assert!(report.is_clean());
    let stats = producer.stats();
    assert_eq!((stats.sent, stats.acked, stats.oneway, stats.in_flight), (4, 3, 1, 0));
    assert_eq!(broker.stats().messages, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_at_once_are_all_stored() {
    let (broker, producer) = start().await;
    let mut deliveries = Vec::new();
    for n in 0..30_000 {
        let message = Message::new("many", format!("m{n}"));
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    let mut per_queue = std::collections::BTreeMap::new();
    for delivery in deliveries {
        let receipt = delivery.await.unwrap();
        *per_queue.entry(receipt.queue().clone()).or_insert(0) += 1;
    }
    assert_eq!(per_queue.len(), 4, "{per_queue:?}");
    assert!(per_queue.values().all(|count| (6_750..=8_250).contains(count)), "{per_queue:?}");
    assert_eq!(broker.stats().messages, 30_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_keeps_its_order() {
    let (_broker, producer) = start().await;
    let mut deliveries = Vec::new();
    for n in 0..2_000 {
        let key = format!("key-{}", n % 10);
        let message = Message::new("ordered", format!("{n}")).order_by(key.clone());
        deliveries.push((key, producer.enqueue(message).await.unwrap()));
    }
    let mut last = std::collections::HashMap::new();
    for (key, delivery) in deliveries {
        let receipt = delivery.await.unwrap();
        let place = (receipt.queue().clone(), receipt.queue_offset());
        if let Some(before) = last.insert(key.clone(), place.clone()) {
            assert!(before < place && before.0 == place.0, "{key}: {before:?} then {place:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_valid_is_refused_before_anything_is_sent() {
    let producer = Producer::builder("invalid", "127.0.0.1:1").start().await.unwrap();
    for message in [
        Message::new("a/b", "x"),
        Message::new("", "x"),
        Message::new("t", ""),
        Message::new("t", vec![0; 5 << 20]),
        Message::new("t", "x").property("TAGS", "y"),
        Message::new("t", "x").property("n", "a\u{1}b"),
        Message::new("t", "x").key("a b"),
        Message::new("t", "x").queue(MessageQueue::new("other", "b", 0)),
        Message::new("TBW102", "x"),
    ] {
        let error = producer.send(message).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Invalid, Outcome::NotStored));
    }
}
