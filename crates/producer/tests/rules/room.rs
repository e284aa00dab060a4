//! The bound on what is on its way.

use std::time::Instant;

use posthaste::{ErrorKind, Message, Outcome, Producer};
use posthaste_broker::{Broker, Fault, On};

use crate::servers::{broker, cluster, ms, producer, send};
use crate::support::{assert_all_ended, poll_once, soon, until};

async fn bounded(messages: usize, bytes: usize) -> (Broker, Producer) {
    let broker = broker(4).await;
    let builder = producer(broker.name_server()).max_pending(messages, bytes);
    let producer = builder.start().await.unwrap();
    soon(producer.send(message(1))).await.unwrap();
    (broker, producer)
}

fn message(bytes: usize) -> Message {
    Message::new("t", vec![b'x'; bytes])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_a_send_waits_within_its_deadline() {
    let (broker, producer) = bounded(4, 1 << 20).await;
    broker.pause().await.unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(producer.try_enqueue(message(1)).unwrap());
    }
    let error = producer.try_enqueue(message(1)).unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BufferFull, Outcome::NotStored));
    let begun = Instant::now();
    let hasty = producer.with_timeout(ms(200));
    let error = soon(hasty.send(message(1))).await.unwrap_err();
    assert!(begun.elapsed() >= ms(195));
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BufferFull, Outcome::NotStored));
    assert_eq!(soon(hasty.enqueue(message(1))).await.unwrap_err().kind(), ErrorKind::BufferFull);
    assert_eq!(
        soon(hasty.send_oneway(message(1))).await.unwrap_err().kind(),
        ErrorKind::BufferFull
    );
    assert_eq!(producer.stats().in_flight, 4);
    broker.resume().await.unwrap();
    for delivery in held {
        soon(delivery).await.unwrap();
    }
    // Room comes back with the ends, though the requests are still unanswered.
    let silent = broker.fault(send().no_answer()).unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(hasty.try_enqueue(message(1)).unwrap());
    }
    for delivery in held {
        soon(delivery).await.unwrap_err();
    }
    silent.remove();
    soon(producer.send(message(1))).await.unwrap();
    assert_eq!(broker.stats().messages, 1 + 4 + 1);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_stop_waiting_for_room_leave_nothing_behind() {
    let (broker, producer) = bounded(2, 2_000).await;
    broker.fault(send().first(2).after_store().delay(ms(200))).unwrap();
    broker.fault(send().after_store().delay(ms(20))).unwrap();
    for _ in 0..20 {
        let held = [producer.enqueue(message(100)).await, producer.enqueue(message(100)).await];
        for size in [1, 1_500] {
            let mut waiting = Box::pin(producer.send(message(size)));
            assert!(poll_once(waiting.as_mut()).is_none());
            tokio::task::yield_now().await;
            let _ = poll_once(waiting.as_mut());
        }
        let [one, two] = held;
        soon(one.unwrap()).await.unwrap();
        soon(two.unwrap()).await.unwrap();
    }
    soon(producer.send(message(1_500))).await.unwrap();
    until("all have ended", || producer.stats().in_flight == 0).await;
    assert_all_ended(&producer);
    assert!(producer.try_enqueue(message(1)).is_ok() && producer.try_enqueue(message(1)).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_at_once_over_one_connection() {
    let broker = broker(4).await;
    let connections = Fault::on(On::Connect).port(broker.address().port());
    let connections = broker.fault(connections.pass()).unwrap();
    broker.fault(send().after_store().delay(ms(1))).unwrap();
    let builder = producer(broker.name_server()).max_pending(10_000, 32 << 20);
    let producer = builder.start().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send(message(100)).await });
    }
    while let Some(sent) = soon(tasks.join_next()).await {
        sent.unwrap().unwrap();
    }
    assert_eq!((broker.stats().messages, connections.hits()), (10_000, 1));
    assert_all_ended(&producer);
}

/// A dead broker takes half of the room at most, and the healthy one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_broker_does_not_stop_the_healthy_one() {
    let cluster = cluster().await;
    let [a, b] = cluster.brokers() else { panic!("two brokers") };
    let dead = a.fault(send().no_answer()).unwrap();
    let builder = producer(cluster.name_server()).max_pending(200, 1 << 20);
    let producer = builder.start().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..3000 {
        let producer = producer.clone();
        let delivery = soon(producer.enqueue(Message::new("t", n.to_string()))).await.unwrap();
        tasks.spawn(delivery);
    }
    assert!(dead.hit_messages() <= 100, "{}", dead.hit_messages());
    // What it did not answer would be tried elsewhere after half an hour.
    a.down().await.unwrap();
    let mut failed = 0;
    while let Some(sent) = soon(tasks.join_next()).await {
        failed += usize::from(sent.unwrap().is_err());
    }
    // The other broker takes over what the dead one did not answer.
    assert_eq!((failed, a.stats().messages, b.stats().messages), (0, 0, 3000));
    assert_all_ended(&producer);
}
