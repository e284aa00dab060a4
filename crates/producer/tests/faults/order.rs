//! Ordered sends.

use std::sync::Arc;
use std::time::Duration;

use posthaste::{ErrorKind, Message, MessageQueue, Outcome, Producer, SendError};
use tokio::sync::Semaphore;

use crate::fake::{
    Action, BlackHole, Broker, DEADLINE, HOUR, NameServer, Say, assert_all_ended, broker_data,
    poll_once, producer, queue_data, route, soon, until,
};

fn keyed(body: impl ToString, key: &str) -> Message {
    Message::new("t", body.to_string()).order_by(key)
}

/// One broker with one queue.
async fn one_queue(timeout: Duration) -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let producer = producer(&[&server]).send_timeout(timeout).start().await.unwrap();
    (broker, server, producer)
}

fn texts(broker: &Broker) -> Vec<String> {
    broker.stored().iter().map(|seen| seen.text()).collect()
}

fn is_earlier_failed(error: &SendError) -> bool {
    error.kind() == ErrorKind::EarlierFailed && error.outcome() == Outcome::NotStored
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_of_an_ordered_queue_is_on_its_way_at_a_time() {
    let (broker, _server, producer) = one_queue(HOUR).await;
    let gate = Arc::new(Semaphore::new(0));
    broker.always(Action::ok().once(&gate));
    let given = MessageQueue::new("t", "a", 0);
    let mut deliveries = Vec::new();
    for n in 0..24 {
        let message = match n % 3 {
            0 => Message::new("t", n.to_string()).queue(given.clone()).ordered(),
            1 => keyed(n, "x"),
            _ => keyed(n, "y"),
        };
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    let requests = || {
        let mut requests = broker.seen();
        requests.dedup_by_key(|seen| seen.opaque);
        requests
    };
    while broker.stored_count() < 24 {
        let stored = broker.stored_count();
        until("the next request is there", || broker.seen_count() > stored).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let unanswered = &broker.seen()[stored..];
        assert_eq!(unanswered.len(), unanswered[0].together, "one request is on its way");
        gate.add_permits(1);
        until("it is stored", || broker.stored_count() > stored).await;
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let expected: Vec<String> = (0..24).map(|n| n.to_string()).collect();
    assert_eq!(texts(&broker), expected);
    assert!(requests().iter().any(|seen| seen.together > 1), "what waits leaves together");
}

/// The broker stores the first message only after its deadline, on a connection that lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_stored_after_its_deadline_is_not_overtaken() {
    let (broker, _server, patient) = one_queue(HOUR).await;
    let producer = patient.with_timeout(DEADLINE);
    soon(patient.send(keyed("warm", "x"))).await.unwrap();
    // In the same line of the outbox, and in another one.
    for wait_stored in [true, false] {
        broker.forget();
        let gate = Arc::new(Semaphore::new(0));
        broker.first([Action::ok().once(&gate)]);
        let error = soon(producer.send(keyed("late", "x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
        let next = keyed("next", "x").wait_stored(wait_stored);
        let next = patient.enqueue(next).await.unwrap();
        let other_key = patient.enqueue(keyed("other key", "y")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(broker.seen_count(), 1, "nothing of the queue leaves before the first is over");
        gate.add_permits(1);
        soon(next).await.unwrap();
        soon(other_key).await.unwrap();
        assert_eq!(texts(&broker), ["late", "next", "other key"]);
    }
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dropped_before_the_route_is_known_holds_up_nobody() {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    let found = Say::Route(route(&[&broker], 1));
    let gate = Arc::new(Semaphore::new(0));
    server.say("t", Say::Once(gate.clone(), Box::new(found)));
    let producer = producer(&[&server]).start().await.unwrap();
    let mut send = Box::pin(producer.send(keyed("dropped", "x")));
    assert!(poll_once(send.as_mut()).is_none());
    drop(send);
    gate.add_permits(100);
    soon(producer.send(keyed("same key", "x"))).await.unwrap();
    soon(producer.send(keyed("other key", "y"))).await.unwrap();
    assert_eq!(texts(&broker), ["same key", "other key"]);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_before_the_route_is_known_fails_its_key() {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    let found = Say::Route(route(&[&broker], 1));
    let gate = Arc::new(Semaphore::new(0));
    server.say("t", Say::Once(gate.clone(), Box::new(found)));
    let producer = producer(&[&server]).start().await.unwrap();
    let hasty = producer.with_timeout(DEADLINE);
    let first = hasty.enqueue(keyed("first", "x")).await.unwrap();
    let second = producer.enqueue(keyed("second", "x")).await.unwrap();
    let other = producer.enqueue(keyed("other", "y")).await.unwrap();
    let error = soon(first).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
    let third = producer.enqueue(keyed("third", "x")).await.unwrap();
    gate.add_permits(100);
    let error = soon(second).await.unwrap_err();
    assert!(is_earlier_failed(&error), "{error}");
    soon(other).await.unwrap();
    soon(third).await.unwrap();
    assert_eq!(texts(&broker), ["other", "third"]);
}

/// A lane whose messages expire by the dozen while their turn comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_whose_broker_is_gone_ends_thousands_without_trouble() {
    let hole = BlackHole::open();
    let server = NameServer::start().await;
    let mut document = route(&[], 0);
    document.brokers = vec![broker_data("a", &hole.address())];
    document.queues = vec![queue_data("a", 1, 6)];
    server.otherwise(Say::Route(document));
    let producer =
        producer(&[&server]).send_timeout(Duration::from_millis(600)).start().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..5_000 {
        deliveries.push(producer.enqueue(keyed(n, &n.to_string())).await.unwrap());
    }
    for delivery in deliveries {
        let error = soon(delivery).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotStored, "{error}");
    }
    assert_all_ended(&producer);
}

// ---- selectors ----
