//! The bound on what is on its way.

use std::time::{Duration, Instant};

use posthaste::{ErrorKind, Message, Outcome, Producer};

use crate::fake::{
    Action, Broker, NameServer, assert_all_ended, poll_once, producer, soon, two_brokers, until,
};

async fn bounded(messages: usize, bytes: usize) -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).max_pending(messages, bytes).start().await.unwrap();
    (broker, server, producer)
}

fn message(bytes: usize) -> Message {
    Message::new("t", vec![b'x'; bytes])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_a_send_waits_within_its_deadline() {
    let (broker, _server, producer) = bounded(4, 1 << 20).await;
    broker.always(Action::ok().at_the_gate());
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(producer.try_enqueue(message(1)).unwrap());
    }
    let error = producer.try_enqueue(message(1)).unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BufferFull, Outcome::NotStored));
    let begun = Instant::now();
    let hasty = producer.with_timeout(Duration::from_millis(200));
    let error = soon(hasty.send(message(1))).await.unwrap_err();
    assert!(begun.elapsed() >= Duration::from_millis(195));
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BufferFull, Outcome::NotStored));
    assert_eq!(soon(hasty.enqueue(message(1))).await.unwrap_err().kind(), ErrorKind::BufferFull);
    assert_eq!(
        soon(hasty.send_oneway(message(1))).await.unwrap_err().kind(),
        ErrorKind::BufferFull
    );
    assert_eq!(producer.stats().in_flight, 4);
    broker.open_gate(4);
    for delivery in held {
        soon(delivery).await.unwrap();
    }
    // Room comes back with the ends, though the requests are still unanswered.
    broker.always(Action::ignore());
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(hasty.try_enqueue(message(1)).unwrap());
    }
    for delivery in held {
        soon(delivery).await.unwrap_err();
    }
    broker.always(Action::ok());
    soon(producer.send(message(1))).await.unwrap();
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_count_too() {
    let (broker, _server, producer) = bounded(1000, 100_000).await;
    broker.always(Action::ok().at_the_gate());
    let first = producer.try_enqueue(message(60_000)).unwrap();
    let full = producer.try_enqueue(message(60_000)).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::BufferFull);
    // One that waits for bytes has its turn before smaller ones.
    let mut large = Box::pin(producer.enqueue(message(60_000)));
    assert!(poll_once(large.as_mut()).is_none());
    assert_eq!(producer.try_enqueue(message(10)).unwrap_err().kind(), ErrorKind::BufferFull);
    broker.open_gate(1);
    soon(first).await.unwrap();
    let second = soon(large).await.unwrap();
    broker.open_gate(1);
    // Larger than the whole bound: it goes alone.
    let whole = soon(producer.enqueue(message(500_000))).await.unwrap();
    soon(second).await.unwrap();
    assert_eq!(producer.try_enqueue(message(1)).unwrap_err().kind(), ErrorKind::BufferFull);
    broker.open_gate(2);
    soon(whole).await.unwrap();
    soon(producer.send(message(1))).await.unwrap();
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_stop_waiting_for_room_leave_nothing_behind() {
    let (broker, _server, producer) = bounded(2, 2_000).await;
    broker.always(Action::ok().after(Duration::from_millis(200)));
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
        broker.always(Action::ok().after(Duration::from_millis(20)));
    }
    soon(producer.send(message(1_500))).await.unwrap();
    until("all have ended", || producer.stats().in_flight == 0).await;
    assert_all_ended(&producer);
    assert!(producer.try_enqueue(message(1)).is_ok() && producer.try_enqueue(message(1)).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_at_once_over_one_connection() {
    let (broker, _server, producer) = bounded(10_000, 32 << 20).await;
    broker.always(Action::ok().after(Duration::from_millis(1)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send(message(100)).await });
    }
    while let Some(sent) = soon(tasks.join_next()).await {
        sent.unwrap().unwrap();
    }
    assert_eq!((broker.stored_count(), broker.connections()), (10_000, 1));
    assert_all_ended(&producer);
}

/// A dead broker takes half of the room at most, and the healthy one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_broker_does_not_stop_the_healthy_one() {
    let (a, b, server, _) = two_brokers().await;
    let producer = producer(&[&server]).max_pending(200, 1 << 20).start().await.unwrap();
    a.always(Action::ignore());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..3000 {
        let producer = producer.clone();
        let delivery = soon(producer.enqueue(Message::new("t", n.to_string()))).await.unwrap();
        tasks.spawn(delivery);
    }
    assert!(a.seen_count() <= 100, "{}", a.seen_count());
    // What it did not answer would be tried elsewhere after half an hour.
    a.down();
    let mut failed = 0;
    while let Some(sent) = soon(tasks.join_next()).await {
        failed += usize::from(sent.unwrap().is_err());
    }
    // The other broker takes over what the dead one did not answer.
    assert_eq!(failed, 0);
    assert!(b.stored_count() >= 3000);
    assert_all_ended(&producer);
}
