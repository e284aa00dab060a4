//! Closing.

use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use posthaste::{ErrorKind, Message, Outcome};

use crate::fake::{
    BlackHole, Broker, HANG, HOUR, NameServer, Say, assert_all_ended, broker_data,
    enqueue_numbered, producer, queue_data, route, soon, until,
};

/// The peer does not read, so requests stand in the write buffer when time runs out. Those that
/// are reported as not stored must not be written any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_written_by_the_deadline_is_never_written() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    soon(producer.send(Message::new("t", "warm"))).await.unwrap();
    broker.read(false);
    let big = "x".repeat(60_000);
    let mut oneways = tokio::task::JoinSet::new();
    for n in 0..300 {
        let (producer, text) = (producer.clone(), format!("oneway {n} {big}"));
        oneways.spawn(async move {
            let result = producer.send_oneway(Message::new("t", text.clone())).await;
            (text, result)
        });
    }
    until("some are written", || producer.stats().oneway > 0).await;
    let deliveries = enqueue_numbered(&producer, 50, &big).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The peer reads again while the producer says goodbye.
    let reads = async {
        until("the time is over", || producer.stats().not_stored > 0).await;
        broker.read(true);
    };
    soon(async { tokio::join!(producer.close(Duration::from_millis(200)), reads) }).await;
    let mut not_stored = HashSet::new();
    let (mut unknown, mut written) = (0, 0);
    for (text, delivery) in deliveries {
        match soon(delivery).await {
            Ok(_) => {}
            Err(error) if error.outcome() == Outcome::Unknown => unknown += 1,
            Err(_) => drop(not_stored.insert(text)),
        }
    }
    while let Some(ended) = soon(oneways.join_next()).await {
        let (text, result) = ended.unwrap();
        match result {
            Ok(()) => written += 1,
            Err(error) if error.outcome() == Outcome::Unknown => unknown += 1,
            Err(_) => drop(not_stored.insert(text)),
        }
    }
    println!("{written} one-way messages written, {unknown} unknown, {} not", not_stored.len());
    assert!(written > 0 && !not_stored.is_empty());
    tokio::time::sleep(Duration::from_millis(700)).await;
    let seen: HashSet<String> = broker.seen().iter().map(|seen| seen.text()).collect();
    let false_ones = not_stored.iter().filter(|text| seen.contains(*text)).count();
    assert_eq!(false_ones, 0, "of {}", not_stored.len());
    assert_eq!(broker.broken().0, 0);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_while_it_connects_or_waits_to_connect_again() {
    let hole = BlackHole::open();
    for address in [hole.address(), crate::fake::refusing().await] {
        let server = NameServer::start().await;
        let mut document = route(&[], 0);
        document.brokers = vec![broker_data("a", &address)];
        document.queues = vec![queue_data("a", 4, 6)];
        server.otherwise(Say::Route(document));
        let producer = producer(&[&server]).connect_timeout(HOUR).start().await.unwrap();
        let deliveries = enqueue_numbered(&producer, 20, "").await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        let report = soon(producer.close(Duration::from_millis(200))).await;
        assert_eq!(report.undelivered.len(), 20);
        for (_, delivery) in deliveries {
            let error = soon(delivery).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotStored));
        }
    }
}

/// The peer never reads, so it never closes its side. Closes producers until it takes as long as it
/// should: on a busy machine it may take any time, but not always. None takes less.
async fn closing_takes(expected: Range<Duration>, time: Duration, oneway: bool) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let mut took = HANG;
    while took >= expected.end {
        broker.read(true);
        let producer = producer(&[&server]).start().await.unwrap();
        soon(producer.send(Message::new("t", "x"))).await.unwrap();
        broker.read(false);
        if oneway {
            soon(producer.send_oneway(Message::new("t", "x"))).await.unwrap();
        }
        let begun = Instant::now();
        assert!(soon(producer.close(time)).await.is_clean());
        took = begun.elapsed();
        assert!(took >= expected.start, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_does_not_wait_for_a_peer_that_keeps_its_side_open() {
    let ms = Duration::from_millis;
    // Nothing was written one-way.
    soon(closing_takes(ms(0)..ms(300), HOUR, false)).await;
    // What was written one-way may be reset away otherwise.
    soon(closing_takes(ms(499)..ms(2000), HOUR, true)).await;
    // Its time and a tenth of a second.
    soon(closing_takes(ms(0)..ms(160), ms(50), true)).await;
}
