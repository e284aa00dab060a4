//! Servers that stop in order: they send away what comes, and answer what they have.

use std::collections::HashMap;

use posthaste::Message;

use crate::fake::{Action, Broker, NameServer, assert_all_ended, producer, soon, until};

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
