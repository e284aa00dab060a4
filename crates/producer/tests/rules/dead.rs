//! Brokers that are gone, come back, or do not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use posthaste::{ErrorKind, FaultAvoidance, Message, MessageQueue, Outcome};
use posthaste_broker::{Cluster, Fault, On};

use crate::servers::{broker, message, ms, one_broker, producer, send, text, texts, two_brokers};
use crate::support::{HANG, HOUR, assert_all_ended, settled, soon, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_restarts_is_used_again() {
    let (broker, producer) = one_broker().await;
    let heartbeats = broker.fault(Fault::on(On::Heartbeat).pass()).unwrap();
    soon(producer.send(message("before"))).await.unwrap();
    heartbeats.wait_for(1, HANG).await.unwrap();
    broker.down().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..20 {
        deliveries.push(producer.enqueue(message(n)).await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    broker.up().await.unwrap();
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    heartbeats.wait_for(2, HANG).await.unwrap();
    assert_eq!(texts(&broker).await.len(), 1 + 20);
}

/// Each connection begins with a heartbeat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_follows_each_connect() {
    let cluster = Cluster::builder().brokers(1).topic("t", 4).start().await.unwrap();
    let [broker] = cluster.brokers() else { panic!("one broker") };
    let look_ups = cluster.name_server_broker().fault(Fault::on(On::Connect).pass()).unwrap();
    let heartbeats = broker.fault(Fault::on(On::Heartbeat).group("faults").pass()).unwrap();
    let producer = producer(cluster.name_server()).start().await.unwrap();
    soon(producer.send(message("x"))).await.unwrap();
    heartbeats.wait_for(1, HANG).await.unwrap();
    broker.down().await.unwrap();
    broker.up().await.unwrap();
    soon(producer.send(message("x"))).await.unwrap();
    heartbeats.wait_for(2, HANG).await.unwrap();
    assert!(look_ups.hits() <= 1);
}

/// Under load one of two brokers dies; not a message is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_dies_under_load_loses_nothing() {
    let (cluster, producer) = two_brokers().await;
    let done = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..16 {
        let (producer, done) = (producer.clone(), done.clone());
        tasks.spawn(async move {
            for n in 0..100 {
                producer.send(message(format!("{worker}/{n}"))).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(ms(2)).await;
            }
        });
    }
    until("half is done", || done.load(Ordering::Relaxed) > 400).await;
    cluster.brokers()[0].down().await.unwrap();
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
    let mut texts: Vec<String> = cluster.messages("t").await.unwrap().iter().map(text).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 1600);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_that_falls_silent_ends_no_send_late() {
    let broker = broker(4).await;
    let builder = producer(broker.name_server()).lookup_timeout(HOUR);
    let producer = builder.start().await.unwrap();
    soon(producer.send(message("x"))).await.unwrap();
    broker.fault(Fault::on(On::Route).no_answer()).unwrap();
    let hasty = producer.with_timeout(ms(600));
    for n in 0..3 {
        let error = soon(hasty.send(Message::new(format!("new{n}"), "x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
    }
    // What has a route goes on.
    soon(producer.send(message("x"))).await.unwrap();
    assert_eq!(broker.stats().messages, 2);
}

/// Callbacks that block or panic harm no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_that_block_or_panic() {
    let (broker, producer) = one_broker().await;
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
    assert_eq!((settled(&producer).acked, broker.stats().messages), (102, 102));
}

/// "For ever" is a time too, and no clock goes as far.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_without_end_count_as_long_ones() {
    let broker = broker(4).await;
    let ever = Duration::MAX;
    let avoidance = FaultAvoidance::default().unanswered(ever).probe(ever, ever);
    let builder = producer(broker.name_server()).send_timeout(ever).attempt_timeout(ever);
    let builder = builder.connect_timeout(ever).lookup_timeout(ever).route_poll_interval(ever);
    let builder = builder.max_transaction_checks(usize::MAX, usize::MAX).linger(ever, usize::MAX);
    let producer = builder.fault_avoidance(avoidance).start().await.unwrap();
    let closes = broker.fault(send().first(1).close()).unwrap();
    let sent = producer.with_timeout(ever);
    let sent = sent.send(message("x").queue(MessageQueue::new("t", "dev", 0)).ordered());
    soon(sent).await.unwrap();
    assert_eq!((closes.hits(), closes.matched()), (1, 2));
    assert_eq!(
        soon(producer.admin().with_timeout(ever).publish_queues("t")).await.unwrap().len(),
        4
    );
    assert!(soon(producer.close(ever)).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_map_that_panics_leaves_addresses_as_they_are() {
    let broker = broker(4).await;
    let builder = producer(broker.name_server()).address_map(|_| panic!("on purpose"));
    soon(builder.start().await.unwrap().send(message("x"))).await.unwrap();
}
