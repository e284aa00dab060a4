//! Sends to the embedded broker.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::time::Duration;

use posthaste::{ErrorKind, Message, MessageQueue, Outcome, Producer, ReadFrom};
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
async fn sixty_thousand_at_once_are_all_stored_in_equal_shares() {
    let (broker, producer) = start().await;
    let mut deliveries = Vec::new();
    for n in 0..60_000 {
        let message = Message::new("many", format!("m{n}"));
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    let mut per_queue = std::collections::BTreeMap::new();
    for delivery in deliveries {
        let receipt = delivery.await.unwrap();
        *per_queue.entry(receipt.queue().clone()).or_insert(0) += 1;
    }
    assert_eq!(per_queue.len(), 4, "{per_queue:?}");
    assert!(per_queue.values().all(|count| (13_500..=16_500).contains(count)), "{per_queue:?}");
    assert_eq!(broker.stats().messages, 60_000);
    let stats = producer.stats();
    assert!(stats.batched > 0 && stats.requests < 60_000, "{stats:?}");
}

/// As many properties as brokers take beside their own: the longest header that there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_properties_of_two_letters_as_brokers_take_arrive() {
    // The producer adds "WAIT" and "true", and what is behind each.
    const LENGTH: usize = 32_511 - 10;
    let (_broker, producer) = start().await;
    let letters = || ('a'..='z').chain('A'..='Z').chain('0'..='9');
    let names = letters().flat_map(|a| letters().map(move |b| format!("{a}{b}")));
    // A name, a value of four letters, and what is behind each.
    let mut properties: Vec<(String, String)> =
        names.take(LENGTH / 8).map(|name| (name, "four".to_owned())).collect();
    let left = LENGTH - 8 * properties.len();
    properties[0].1.push_str(&"x".repeat(left));
    let mut message = Message::new("full", "x");
    for (name, value) in &properties {
        message = message.property(name.as_str(), value.as_str());
    }
    let receipt = producer.send(message).await.unwrap();
    let got = producer.admin().view("full", receipt.offset_message_id()).await.unwrap().unwrap();
    for (name, value) in &properties {
        assert_eq!(got.property(name), Some(value.as_str()));
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_stored_together_with_a_receipt_each() {
    let (broker, producer) = start().await;
    let batch: Vec<Message> =
        (0..100).map(|n| Message::new("batch", format!("b{n}")).key(format!("k{n}"))).collect();
    let receipts = producer.send_batch(batch).await.unwrap();
    assert_eq!(receipts.len(), 100);
    let ids: std::collections::BTreeSet<_> = receipts.iter().map(|r| r.message_id()).collect();
    let places: std::collections::BTreeSet<_> =
        receipts.iter().map(|r| r.offset_message_id()).collect();
    assert_eq!((ids.len(), places.len()), (100, 100));
    for (n, receipt) in receipts.iter().enumerate() {
        assert_eq!(receipt.queue(), receipts[0].queue());
        assert_eq!(receipt.queue_offset(), n as i64);
    }
    let mut reader =
        producer.admin().reader("batch").from(ReadFrom::Start).until_now().open().await.unwrap();
    for (n, receipt) in receipts.iter().enumerate() {
        let stored = reader.next().await.unwrap().unwrap();
        assert_eq!(&stored.body()[..], format!("b{n}").as_bytes());
        assert_eq!(stored.message_id(), receipt.message_id());
        assert_eq!(stored.offset_message_id(), receipt.offset_message_id());
        assert_eq!(stored.keys().collect::<Vec<_>>(), [format!("k{n}")]);
    }
    assert_eq!(producer.send_batch([]).await.unwrap(), []);
    assert_eq!(producer.send_batch([Message::new("batch", "one")]).await.unwrap().len(), 1);
    let stats = producer.stats();
    assert_eq!((stats.sent, stats.acked, stats.batches, stats.batched), (101, 101, 1, 100));
    assert_eq!(broker.stats().messages, 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_breaks_a_rule_is_refused_as_a_whole() {
    let (broker, producer) = start().await;
    let large = || Message::new("t", vec![0; 3 << 20]);
    for (batch, reason) in [
        ([Message::new("t", "a"), Message::new("u", "b")], "topic"),
        ([Message::new("t", "a"), Message::new("t", "b").wait_stored(false)], "wait_stored"),
        ([Message::new("t", "a"), Message::new("t", "b").order_by("k")], "destination"),
        ([Message::new("t", "a"), Message::new("t", "")], "empty"),
        ([Message::new("%RETRY%g", "a"), Message::new("%RETRY%g", "b")], "does not take batches"),
        ([large(), large()], "split the batch"),
    ] {
        let error = producer.send_batch(batch).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Invalid, Outcome::NotStored));
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(error.into_messages().len(), 2);
    }
    assert_eq!(broker.stats().messages, 0);
    let parts = posthaste::Batch::from([large(), large(), Message::new("t", "a")]).split(4 << 20);
    let lengths: Vec<usize> = parts.iter().map(|part| part.messages().len()).collect();
    assert_eq!(lengths, [1, 2]);
    for part in parts {
        producer.send_batch(part).await.unwrap();
    }
    assert_eq!(broker.stats().messages, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_can_be_handed_over_and_awaited_later() {
    let (broker, producer) = start().await;
    let batch = |n: usize| (0..3).map(move |m| Message::new("batches", format!("{n}:{m}")));
    let mut deliveries = Vec::new();
    for n in 0..20 {
        let delivery = producer.enqueue_batch(batch(n).collect::<Vec<_>>()).await.unwrap();
        deliveries.push((delivery.message_ids(), delivery));
    }
    for (ids, delivery) in deliveries {
        let receipts = delivery.await.unwrap();
        let stored: Vec<_> = receipts.iter().map(|receipt| receipt.message_id()).collect();
        assert_eq!(ids, stored);
        // Together, in one queue and one after another.
        let places = receipts.iter().map(|one| (one.queue(), one.queue_offset()));
        let first = places.clone().next().unwrap();
        assert!(places.zip(0..).all(|(place, n)| place == (first.0, first.1 + n)));
    }
    // By a callback, too; and one without messages is stored at once.
    for (messages, expected) in [(batch(20).collect::<Vec<_>>(), 3), (Vec::new(), 0)] {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let delivery = producer.enqueue_batch(messages).await.unwrap();
        assert_eq!(delivery.message_ids().len(), expected);
        delivery.on_complete(move |result| sender.send(result).unwrap());
        assert_eq!(receiver.await.unwrap().unwrap().len(), expected);
    }
    assert!(producer.enqueue_batch(Vec::<Message>::new()).await.unwrap().await.unwrap().is_empty());
    let mixed = [Message::new("batches", "a"), Message::new("other", "b")];
    let error = producer.enqueue_batch(mixed).await.unwrap_err();
    assert_eq!((error.kind(), error.into_messages().len()), (ErrorKind::Invalid, 2));
    assert_eq!(broker.stats().messages, 63);
}

/// Consumers get what was sent, whichever of the bodies were worth it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_compressed_and_read_as_it_was_sent() {
    let (_broker, producer) = start().await;
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(6000).collect();
    let bodies = [vec![b'x'; 100_000], b"short".to_vec(), noise];
    let batch: Vec<_> = bodies.iter().map(|body| Message::copied("packed", body)).collect();
    producer.send_batch(batch).await.unwrap();
    let small = [Message::new("packed", "a"), Message::new("packed", "b")];
    producer.send_batch(small).await.unwrap();
    let mut reader = producer.admin().reader("packed").until_now().open().await.unwrap();
    let mut read = Vec::new();
    while let Some(message) = reader.next().await.unwrap() {
        read.push((message.body().to_vec(), message.stored_body().len()));
    }
    read.sort_by_key(|(body, _)| std::cmp::Reverse(body.len()));
    let [long, noise, short, a, b] = &read[..] else { panic!("{} messages", read.len()) };
    assert_eq!([&long.0, &short.0, &noise.0], [&bodies[0], &bodies[1], &bodies[2]]);
    assert!(long.1 < 1000, "{} bytes are stored", long.1);
    assert_eq!((a.1, b.1), (1, 1), "what is short travels as it is");
}
