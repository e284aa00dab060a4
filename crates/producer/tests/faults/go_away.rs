//! Servers that stop in order: they send away what comes, and answer what they have.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use posthaste::{ErrorKind, Message, Outcome};

use crate::fake::{
    Action, Broker, DEADLINE, NameServer, assert_all_ended, one_broker, producer, soon,
    two_brokers, until,
};

fn message(body: impl ToString) -> Message {
    Message::new("t", body.to_string())
}

fn go_away() -> Action {
    Action::refuse(1500, "please go away")
}

/// What is on its way over the old connection is answered there, however long that takes; what was
/// sent away goes by a new one at once, and uses up no retry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_connection_takes_over_while_the_old_one_is_read_to_its_end() {
    let broker = Broker::start("a").await;
    broker.script(|seen| match (seen.connection, seen.text().as_str()) {
        (0, "slow") => Action::ok().at_the_gate(),
        (0, _) => go_away(),
        _ => Action::ok(),
    });
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).retries(0).async_retries(0).start().await.unwrap();
    let slow = producer.enqueue(message("slow")).await.unwrap();
    until("it has left", || broker.seen_count() == 1).await;
    soon(producer.send(message("sent away"))).await.unwrap();
    for n in 0..20 {
        soon(producer.send(message(n))).await.unwrap();
    }
    broker.open_gate(1);
    soon(slow).await.unwrap();
    assert_eq!(broker.connections(), 2);
    let on: HashMap<String, usize> =
        broker.stored().iter().map(|seen| (seen.text(), seen.connection)).collect();
    assert_eq!((on["slow"], on["sent away"], on["7"]), (0, 1, 1));
    let stats = producer.stats();
    assert_eq!((stats.unknown, stats.retries), (0, 0));
    assert_all_ended(&producer);
}

/// A neighbour that is never answered must not keep the others from the new connection, and ends as
/// it would have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_answer_holds_up_nobody() {
    let broker = Broker::start("a").await;
    broker.script(|seen| match (seen.connection, seen.text().as_str()) {
        (0, "lost") => Action::ignore(),
        (0, _) => go_away(),
        _ => Action::ok(),
    });
    let server = NameServer::of(&[&broker], 4).await;
    let builder = producer(&[&server]).async_retries(0).batching(false);
    let producer = builder.start().await.unwrap();
    let endless = producer.enqueue(message("lost")).await.unwrap();
    until("it has left", || broker.seen_count() == 1).await;
    let lost = producer.with_timeout(DEADLINE).enqueue(message("lost")).await.unwrap();
    until("the other has left too", || broker.seen_count() == 2).await;
    soon(producer.send(message("x"))).await.unwrap();
    let error = soon(lost).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    soon(producer.close(Duration::ZERO)).await;
    soon(endless).await.unwrap_err();
    assert_all_ended(&producer);
}

/// A connection that breaks while it retires leaves what was on its way unknown, and is tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retiring_connection_that_breaks_is_a_broken_one() {
    let broker = Broker::start("a").await;
    broker.script(|seen| match (seen.connection, seen.text().as_str()) {
        (0, "stored") => Action::store_and_close().at_the_gate(),
        (0, _) => go_away(),
        _ => Action::ok(),
    });
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    let stored = producer.enqueue(message("stored")).await.unwrap();
    until("it has left", || broker.seen_count() == 1).await;
    soon(producer.send(message("sent away"))).await.unwrap();
    broker.open_gate(1);
    soon(stored).await.unwrap();
    let copies = broker.stored().iter().filter(|seen| seen.text() == "stored").count();
    assert_eq!((copies, producer.stats().retries), (2, 1));
}

/// Sent away for a second time a message looks for another broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_left_for_another() {
    let (a, b, _server, producer) = two_brokers().await;
    a.always(go_away());
    for n in 0..20 {
        let receipt = soon(producer.send(message(n))).await.unwrap();
        assert_eq!(receipt.queue().broker(), "b");
    }
    assert_eq!(b.stored_count(), 20);
    assert_eq!(a.stored_count(), 0);
    let seen_twice = a.seen_count();
    assert_eq!(seen_twice as u64, 2 * producer.stats().retries, "each of them twice");
}

/// Without another one a send ends, and the producer does not dial without pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_else_is_no_storm() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(go_away());
    let begun = Instant::now();
    let mut sends = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        let error = soon(producer.send(message("x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::NotStored));
        sends += 1;
    }
    assert!(broker.connections() < 80, "{} for {sends} sends", broker.connections());
    assert_all_ended(&producer);
}

/// Servers come and go under load: order is kept, nothing is lost or stored twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_come_and_go_cost_nothing() {
    let broker = Broker::start("a").await;
    // Each connection answers 40 sends, slowly, and sends the next ones away, but none a second time:
    // one end of a server is free, and under load a message can be late enough to meet two.
    let mut served = HashMap::new();
    let mut sent_away = HashSet::new();
    broker.script(move |seen| {
        let count = served.entry(seen.connection).or_insert(0);
        *count += 1;
        match *count {
            1..=40 => Action::ok().after(Duration::from_millis(*count % 7)),
            _ if sent_away.insert(seen.text()) => go_away(),
            _ => Action::ok(),
        }
    });
    let server = NameServer::of(&[&broker], 2).await;
    let builder = producer(&[&server]).async_retries(0).batching(false).max_window(16);
    let producer = builder.start().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..1500 {
        let plain = message(format!("plain:{n}"));
        let message = if n % 3 == 0 { plain } else { message(n).order_by("key") };
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let stored = broker.stored();
    assert_eq!(stored.len(), 1500);
    let ordered: Vec<usize> = stored.iter().filter_map(|seen| seen.text().parse().ok()).collect();
    assert_eq!(ordered.len(), 1000);
    assert!(ordered.is_sorted(), "{ordered:?}");
    assert!(broker.connections() > 20, "{}", broker.connections());
    assert_eq!(producer.stats().unknown, 0);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_what_is_on_a_retiring_connection() {
    let broker = Broker::start("a").await;
    broker.script(|seen| match (seen.connection, seen.text().as_str()) {
        (0, "kept") => Action::store_silently(),
        (0, _) => go_away(),
        _ => Action::ok(),
    });
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    let kept = producer.enqueue(message("kept")).await.unwrap();
    until("it has left", || broker.seen_count() == 1).await;
    soon(producer.send(message("sent away"))).await.unwrap();
    let report = soon(producer.close(Duration::from_millis(300))).await;
    assert_eq!(report.undelivered.len(), 1);
    let error = soon(kept).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::Unknown));
    assert_all_ended(&producer);
}
