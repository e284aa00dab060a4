//! Brokers that are gone, or only seem to be there.

use std::time::{Duration, Instant};

use posthaste::{ErrorKind, Message, Outcome, Producer};
use posthaste_protocol::RequestCode;

use crate::fake::{
    Action, BlackHole, Broker, DEADLINE, NameServer, Say, assert_all_ended, broker_data,
    one_broker, producer, queue_data, refusing, route, soon, until,
};

fn message(body: impl ToString) -> Message {
    Message::new("t", body.to_string())
}

/// A route of broker `a`, where nothing listens, and of one that works.
async fn beside(address: &str) -> (Broker, NameServer) {
    let healthy = Broker::start("b").await;
    let server = NameServer::start().await;
    let mut document = route(&[&healthy], 4);
    document.brokers.push(broker_data("a", address));
    document.queues.push(queue_data("a", 4, 6));
    server.otherwise(Say::Route(document));
    (healthy, server)
}

async fn alone(address: &str) -> NameServer {
    let server = NameServer::start().await;
    let mut document = route(&[], 0);
    document.brokers.push(broker_data("a", address));
    document.queues.push(queue_data("a", 4, 6));
    server.otherwise(Say::Route(document));
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connect_moves_on_at_once_and_uses_up_no_retry() {
    let (_healthy, server) = beside(&refusing().await).await;
    let producer = producer(&[&server]).retries(0).start().await.unwrap();
    // Sends have an hour: none waits for its deadline.
    for n in 0..40 {
        soon(producer.send(message(n))).await.unwrap();
    }
    assert_eq!(producer.stats().retries, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_without_an_answer_ends_the_attempt_and_is_avoided_then() {
    let hole = BlackHole::open();
    let (_healthy, server) = beside(&hole.address()).await;
    let builder = producer(&[&server]).connect_timeout(Duration::from_secs(1));
    let producer = builder.retries(0).start().await.unwrap();
    // Round robin: half of them would go the wrong way, and take a second each.
    soon(async {
        for n in 0..300 {
            producer.send(message(n)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_only_broker_that_cannot_be_reached_ends_by_the_deadline() {
    let hole = BlackHole::open();
    for address in [refusing().await, hole.address()] {
        let server = alone(&address).await;
        let producer = producer(&[&server]).send_timeout(DEADLINE).start().await.unwrap();
        let begun = Instant::now();
        let mut deliveries = Vec::new();
        for n in 0..50 {
            deliveries.push(producer.enqueue(message(n)).await.unwrap());
        }
        for delivery in deliveries {
            let error = soon(delivery).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome()), (ErrorKind::Connect, Outcome::NotStored));
        }
        assert!(begun.elapsed() >= DEADLINE, "{:?}", begun.elapsed());
        assert_eq!(producer.stats().retries, 0);
        assert_all_ended(&producer);
    }
}

/// The peer is there and says nothing: sends end in time, and the connection is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_only_seems_to_live_is_replaced() {
    let (broker, _server, producer) = one_broker().await;
    soon(producer.send(message("x"))).await.unwrap();
    // The first connection goes dead; a second one would work.
    until("a heartbeat", || broker.count_of(RequestCode::HEART_BEAT) == 1).await;
    broker.answer_others(false);
    broker.script(|seen| match seen.connection {
        0 => Action::ignore(),
        _ => Action::ok(),
    });
    let producer = producer.with_timeout(Duration::from_secs(1));
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    soon(async { while producer.send(message("x")).await.is_err() {} }).await;
}

/// Nothing in the background has run yet when the runtime ends.
#[test]
fn what_was_accepted_ends_with_a_runtime_that_did_nothing() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (producer, delivery) = first.block_on(async {
        let producer = Producer::builder("faults", "127.0.0.1:1").start().await.unwrap();
        let delivery = producer.try_enqueue(message("x")).unwrap();
        (producer, delivery)
    });
    drop(first);
    runtime().block_on(async {
        let error = soon(delivery).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotStored));
        let error = soon(producer.send(message("y"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotStored));
    });
}
