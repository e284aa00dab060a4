//! One-way sends.

use std::collections::HashSet;
use std::time::Duration;

use posthaste::{ErrorKind, Message, Outcome};

use crate::fake::{
    Action, Broker, DEADLINE, NameServer, Say, assert_all_ended, broker_data, one_broker, producer,
    queue_data, refusing, route, settled, soon, until,
};

fn message(n: usize) -> Message {
    Message::new("t", n.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_when_written_and_one_in_64_is_an_ordinary_request() {
    let (broker, _server, producer) = one_broker().await;
    for n in 0..640 {
        soon(producer.send_oneway(message(n))).await.unwrap();
    }
    until("all are stored", || broker.stored_count() == 640).await;
    let stats = settled(&producer);
    assert_eq!((stats.oneway, stats.acked, stats.in_flight), (640, 0, 0));
    let ordinary = broker.seen().iter().filter(|seen| !seen.oneway).count();
    assert_eq!(ordinary, 10);
}

/// A probe is in flight; the messages that it carries and speaks for have ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_is_in_flight_without_messages() {
    let (broker, _server, producer) = one_broker().await;
    broker.script(|seen| match seen.oneway {
        true => Action::ok(),
        false => Action::ignore(),
    });
    for n in 0..64 {
        soon(producer.send_oneway(message(n))).await.unwrap();
    }
    let _waits = producer.enqueue(message(64)).await.unwrap();
    let shown = || {
        let broker = producer.stats().brokers.remove(0);
        (broker.in_flight, broker.messages_in_flight, broker.waiting)
    };
    until("the probe and a message are in flight", || shown() == (2, 1, 0)).await;
}

/// The broker does not work anything off: a flood stops at 64 for each place of the window.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_waits_for_the_broker() {
    let (broker, server, _) = one_broker().await;
    let begin = || producer(&[&server]).max_window(4);
    let bounded = begin().start().await.unwrap();
    soon(bounded.send(message(0))).await.unwrap();
    broker.forget();
    broker.always(Action::ignore());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let producer = bounded.with_timeout(DEADLINE);
        tasks.spawn(async move { producer.send_oneway(message(n)).await });
    }
    let (mut written, mut busy) = (0, 0);
    while let Some(sent) = soon(tasks.join_next()).await {
        match sent.unwrap() {
            Ok(()) => written += 1,
            Err(error) => {
                assert_eq!((error.kind(), error.outcome()), (ErrorKind::Busy, Outcome::NotStored));
                busy += 1;
            }
        }
    }
    // A probe that is a batch takes more than one place of the window.
    assert_eq!(written + busy, 1000);
    assert!((65..=4 * 64).contains(&written), "{written} written");
    until("all written have arrived", || broker.seen_count() == written).await;
    assert_all_ended(&bounded);

    broker.forget();
    let unlimited = begin().oneway_unlimited().start().await.unwrap();
    for n in 0..1000 {
        soon(unlimited.send_oneway(message(n))).await.unwrap();
    }
    until("all have arrived", || broker.seen_count() == 1000).await;
    assert!(broker.seen().iter().all(|seen| seen.oneway));
}

/// The probes are answered as ever: the flood goes on at the broker's pace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_goes_on_as_probes_are_answered() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::ok().after(Duration::from_millis(5)));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..5000 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send_oneway(message(n)).await });
    }
    while let Some(sent) = soon(tasks.join_next()).await {
        sent.unwrap().unwrap();
    }
    until("all are stored", || broker.stored_count() == 5000).await;
    let ids: HashSet<String> = broker.stored().iter().map(|seen| seen.id.clone()).collect();
    assert_eq!(ids.len(), 5000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_down_is_reported() {
    let server = NameServer::start().await;
    let mut document = route(&[], 0);
    document.brokers = vec![broker_data("a", &refusing().await)];
    document.queues = vec![queue_data("a", 4, 6)];
    server.otherwise(Say::Route(document));
    let producer = producer(&[&server]).send_timeout(DEADLINE).start().await.unwrap();
    let error = soon(producer.send_oneway(message(0))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Connect, Outcome::NotStored));
}

/// The peer reads nothing, so that what is encoded cannot be written: it ends at its deadline
/// nevertheless, and no message that is called not stored turns up later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_ends_at_its_deadline() {
    let (broker, _server, producer) = one_broker().await;
    soon(producer.send(message(0))).await.unwrap();
    broker.read(false);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let producer = producer.with_timeout(DEADLINE);
        let text = format!("{n} {}", "x".repeat(70_000));
        tasks.spawn(async move {
            let result = producer.send_oneway(Message::new("t", text.clone())).await;
            (text, result)
        });
    }
    let mut not_stored = HashSet::new();
    let mut failed = 0;
    while let Some(sent) = soon(tasks.join_next()).await {
        let (text, result) = sent.unwrap();
        if let Err(error) = result {
            failed += 1;
            if error.outcome() == Outcome::NotStored {
                not_stored.insert(text);
            }
        }
    }
    assert!(failed > 0 && failed < 200, "{failed}");
    assert_all_ended(&producer);
    broker.read(true);
    soon(producer.send(message(1))).await.unwrap();
    let found = broker.seen().iter().filter(|seen| not_stored.contains(&seen.text())).count();
    assert_eq!(found, 0, "of {}", not_stored.len());
    assert_eq!(broker.broken().0, 0);
}

/// A connection that breaks takes one-way messages with it that were not written; these go again,
/// and what was never written is never called written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_loses_only_what_was_written() {
    let (broker, server, _) = one_broker().await;
    let producer = producer(&[&server]).oneway_unlimited().start().await.unwrap();
    soon(producer.send(message(0))).await.unwrap();
    broker.read(false);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let producer = producer.clone();
        let text = format!("{n} {}", "x".repeat(70_000));
        tasks.spawn(async move { (n, producer.send_oneway(Message::new("t", text)).await) });
    }
    // Until the system takes no more.
    let (mut written_before, mut unchanged) = (0, 0);
    while unchanged < 10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let written = producer.stats().oneway;
        unchanged = if written == written_before { unchanged + 1 } else { 0 };
        written_before = written;
    }
    assert!(written_before < 200);
    broker.down();
    broker.read(true);
    broker.up().await;
    while let Some(sent) = soon(tasks.join_next()).await {
        sent.unwrap().1.unwrap();
    }
    let after = || broker.stored().iter().filter(|seen| seen.connection > 0).count() as u64;
    until("the rest has arrived", || after() >= 200 - written_before).await;
    assert_all_ended(&producer);
    // A broker may only ever see a whole frame, or none.
    assert_eq!(broker.broken().0, 0);
    let _: &Broker = &broker;
}
