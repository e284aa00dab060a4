//! What a test does to what is stored.

use std::time::Duration;

use posthaste::{Message, Producer};
use posthaste_broker::{Broker, Decision, KitError, StoredMessage};

use crate::{HANG, member, start, to_queue};

fn texts(messages: &[StoredMessage]) -> Vec<&str> {
    messages.iter().filter_map(StoredMessage::text).collect()
}

async fn member_with_halves(broker: &Broker) -> Producer {
    let checker = |_| std::future::pending();
    member(broker).transaction_checker(checker).instance_name("halves").start().await.unwrap()
}

#[tokio::test]
async fn everything_is_cleared_and_no_offset_is_given_again() {
    let (broker, producer) = start().await;
    let halves = member_with_halves(&broker).await;
    for n in 0..3 {
        producer.send(to_queue(0, n.to_string())).await.unwrap();
    }
    let read = producer.send(to_queue(1, "found by its id".to_owned())).await.unwrap();
    producer.send(Message::new("orders", "level").delay_level(9)).await.unwrap();
    producer.send(Message::new("orders", "timer").deliver_after(HANG)).await.unwrap();
    let open = halves.begin(Message::new("orders", "half")).await.unwrap();

    broker.clear().await.unwrap();
    assert!(broker.messages("orders").await.unwrap().is_empty());
    assert!(broker.undecided().await.unwrap().is_empty());
    assert_eq!(broker.deliver_now().await.unwrap(), 0);
    assert_eq!(broker.message(read.offset_message_id()).await.unwrap(), None);
    assert_eq!(broker.message(read.message_id()).await.unwrap(), None);
    open.commit().await.expect_err("the half message is gone");
    let topics = broker.topics().await.unwrap();
    let orders = topics.iter().find(|topic| topic.name == "orders").unwrap();
    assert_eq!(
        (orders.messages, orders.queues[0].min_offset, orders.queues[0].max_offset),
        (0, 3, 3)
    );

    assert_eq!(producer.send(to_queue(0, "next".to_owned())).await.unwrap().queue_offset(), 3);
    producer.send(Message::new("orders", "timer").deliver_after(HANG)).await.unwrap();
    assert_eq!(broker.deliver_now().await.unwrap(), 1);
    assert_eq!(broker.messages("orders").await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_cleared_stays_away_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Broker::builder().topic("orders", 4).data_dir(folder.path());
    let broker = settings.clone().start().await.unwrap();
    let producer = member(&broker).start().await.unwrap();
    producer.send(to_queue(0, "old".to_owned())).await.unwrap();
    producer.send(Message::new("orders", "level").delay_level(18)).await.unwrap();
    broker.clear().await.unwrap();
    producer.send(to_queue(0, "new".to_owned())).await.unwrap();
    broker.stop().await;

    let broker = settings.start().await.unwrap();
    let messages = broker.messages("orders").await.unwrap();
    assert_eq!((texts(&messages), messages[0].offset), (vec!["new"], 1));
    assert_eq!(broker.deliver_now().await.unwrap(), 0);
}

#[tokio::test]
async fn a_test_decides_what_a_producer_has_left_open() {
    let (broker, _producer) = start().await;
    let halves = member_with_halves(&broker).await;
    let mut ids = Vec::new();
    for body in ["first", "second", "third"] {
        let half = halves.begin(Message::new("orders", body)).await.unwrap();
        ids.push((half.message_id().to_owned(), half.receipt().offset_message_id().to_owned()));
        // What is dropped stays undecided.
        drop(half);
    }
    let undecided = broker.undecided().await.unwrap();
    let open: Vec<_> = undecided.iter().map(|half| half.message.unique_id.as_str()).collect();
    assert!(open.iter().eq(ids.iter().map(|(unique, _)| unique)), "{open:?}");
    assert!(undecided.iter().all(|half| half.group == "orders-service" && half.checks == 0));
    assert!(undecided.iter().all(|half| half.message.waits_for.is_some()));

    broker.decide(&ids[1].0, Decision::Commit).await.unwrap();
    broker.decide(&ids[0].1, Decision::Rollback).await.unwrap();
    assert_eq!(texts(&broker.messages("orders").await.unwrap()), ["second"]);
    assert_eq!(broker.undecided().await.unwrap().len(), 1);
    for id in [&ids[0].0, &ids[1].0, "no id"] {
        let again = broker.decide(id, Decision::Commit).await;
        assert!(matches!(&again, Err(KitError::Decided(known)) if known == id), "{again:?}");
    }
    assert_eq!(broker.messages("orders").await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_delayed_is_delivered_now() {
    let (broker, producer) = start().await;
    let (mut expected, mut deliveries) = (Vec::new(), Vec::new());
    for n in 0..1_300 {
        let (level, timer) = (format!("level {n}"), format!("timer {n}"));
        let hours = Duration::from_secs(3_600 * (1 + n % 60));
        // The shortest of these levels takes six minutes.
        let delayed = Message::new("orders", level.clone()).delay_level((n % 9 + 10) as u8);
        let timed = Message::new("orders", timer.clone()).deliver_after(hours);
        for message in [delayed, timed] {
            deliveries.push(producer.enqueue(message).await.unwrap());
        }
        expected.extend([level, timer]);
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    assert_eq!(broker.messages("orders").await.unwrap(), []);
    assert_eq!(broker.deliver_now().await.unwrap(), 2_600);
    let messages = broker.messages("orders").await.unwrap();
    let mut found = texts(&messages);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(broker.deliver_now().await.unwrap(), 0);
}
