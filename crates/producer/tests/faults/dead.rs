//! Brokers that are gone, or only seem to be there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use posthaste::{ErrorKind, FaultAvoidance, Message, MessageQueue, Outcome, Producer};
use posthaste_protocol::RequestCode;

use crate::fake::{
    Action, BlackHole, Broker, DEADLINE, HOUR, NameServer, Say, assert_all_ended, broker_data,
    one_broker, producer, queue_data, refusing, route, settled, soon, two_brokers, until,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_restarts_is_used_again() {
    let (broker, _server, producer) = one_broker().await;
    soon(producer.send(message("before"))).await.unwrap();
    until("a heartbeat", || broker.count_of(RequestCode::HEART_BEAT) == 1).await;
    broker.down();
    let mut deliveries = Vec::new();
    for n in 0..20 {
        deliveries.push(producer.enqueue(message(n)).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(1000)).await;
    broker.up().await;
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    until("another", || broker.count_of(RequestCode::HEART_BEAT) == 2).await;
}

/// Each connection begins with a heartbeat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_follows_each_connect() {
    let (broker, server, producer) = one_broker().await;
    soon(producer.send(message("x"))).await.unwrap();
    until("a heartbeat", || broker.count_of(RequestCode::HEART_BEAT) == 1).await;
    broker.down();
    broker.up().await;
    soon(producer.send(message("x"))).await.unwrap();
    until("another", || broker.count_of(RequestCode::HEART_BEAT) == 2).await;
    let heartbeat = &broker.others()[0];
    let read: posthaste_protocol::request::Heartbeat = heartbeat.read().unwrap();
    assert_eq!(read.producers[0].group_name, "faults");
    assert!(server.connections() <= 1);
}

/// Under load one of two brokers dies; not a message is lost, and order of ends is kept sane.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_dies_under_load_loses_nothing() {
    let (a, b, _server, producer) = two_brokers().await;
    let done = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..16 {
        let (producer, done) = (producer.clone(), done.clone());
        tasks.spawn(async move {
            for n in 0..100 {
                producer.send(message(format!("{worker}/{n}"))).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
    }
    until("half is done", || done.load(Ordering::Relaxed) > 400).await;
    a.down();
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
    let mut texts: Vec<String> =
        a.stored().iter().chain(&b.stored()).map(|seen| seen.text()).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 1600);
    assert_all_ended(&producer);
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

/// A name server whose connection goes dead is replaced too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_that_falls_silent_ends_no_send_late() {
    let (_broker, server, _) = one_broker().await;
    let producer = producer(&[&server]).lookup_timeout(HOUR).start().await.unwrap();
    soon(producer.send(message("x"))).await.unwrap();
    server.otherwise(Say::Nothing);
    let hasty = producer.with_timeout(Duration::from_millis(600));
    for n in 0..3 {
        let error = soon(hasty.send(Message::new(format!("new{n}"), "x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
    }
    // What has a route goes on.
    soon(producer.send(message("x"))).await.unwrap();
}

/// Callbacks that block or panic harm no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_that_block_or_panic() {
    let (_broker, _server, producer) = one_broker().await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let panics = producer.enqueue(message("panics")).await.unwrap();
    panics.on_complete(|_| panic!("on purpose"));
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocks = producer.enqueue(message("blocks")).await.unwrap();
    blocks.on_complete(move |_| assert!(blocked.recv().is_err()));
    for n in 0..50 {
        let told = told.clone();
        let delivery = producer.enqueue(message(n)).await.unwrap();
        delivery.on_complete(move |result| told.send(result.is_ok()).unwrap());
    }
    for n in 0..50 {
        soon(producer.send(message(n))).await.unwrap();
    }
    until("all have ended", || producer.stats().in_flight == 0).await;
    drop(release);
    for _ in 0..50 {
        assert!(soon(heard.recv()).await.unwrap());
    }
    assert_eq!(settled(&producer).acked, 102);
}

/// "For ever" is a time too, and no clock goes as far.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_without_end_count_as_long_ones() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let ever = Duration::MAX;
    let avoidance = FaultAvoidance::default().unanswered(ever).probe(ever, ever);
    let builder = producer(&[&server]).send_timeout(ever).attempt_timeout(ever);
    let builder = builder.connect_timeout(ever).lookup_timeout(ever).route_poll_interval(ever);
    let builder = builder.max_transaction_checks(usize::MAX, usize::MAX).linger(ever, usize::MAX);
    let producer = builder.fault_avoidance(avoidance).start().await.unwrap();
    broker.first([Action::close()]);
    let sent = producer.with_timeout(ever);
    let sent = sent.send(message("x").queue(MessageQueue::new("t", "a", 0)).ordered());
    soon(sent).await.unwrap();
    assert_eq!(
        soon(producer.admin().with_timeout(ever).publish_queues("t")).await.unwrap().len(),
        4
    );
    assert!(soon(producer.close(ever)).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_map_that_panics_leaves_addresses_as_they_are() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let builder = producer(&[&server]).address_map(|_| panic!("on purpose"));
    soon(builder.start().await.unwrap().send(message("x"))).await.unwrap();
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
