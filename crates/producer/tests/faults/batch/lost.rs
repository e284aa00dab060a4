//! Batches whose answer does not come: late, never, or with a connection that breaks.

use std::time::Duration;

use posthaste::{ErrorKind, Message, Outcome};

use super::{
    assert_stored_once, behind_plug, enqueue, narrow, one_narrow, plug, requests, sizes, stored,
};
use crate::fake::{
    Action, Broker, DEADLINE, HOUR, NameServer, assert_nothing_left, first_copies, producer,
    settled, soon, until,
};

/// The peer does not read, so that a part of a batch stays in the write buffer; what goes again
/// goes whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_half_written_goes_again() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    soon(producer.send(Message::new("plug", "warm"))).await.unwrap();
    broker.read(false);
    let mut deliveries = Vec::new();
    // More than the buffers of the sockets take.
    for n in 0..50 {
        let text = format!("{n} {}", "x".repeat(400_000));
        deliveries.push(producer.enqueue(Message::new("t", text)).await.unwrap());
    }
    until("batches have left", || producer.stats().batches > 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(producer.stats().brokers[0].waiting > 0, "the write buffer is full");
    broker.down();
    broker.read(true);
    broker.up().await;
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_stored_once(&first_copies(&stored(&broker)), 50);
    assert_eq!(broker.broken().0, 0);
    assert_nothing_left(&producer).await;
}

/// One has less time than the others of its batch, and ends alone. The answer that comes then is
/// for the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_expires_in_flight_ends_alone_and_the_others_get_their_answer() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script(behind_plug(|_| Action::ok().at_the_gate()));
    let plugs = plug(&producer, &[&broker]).await;
    let mut deliveries = Vec::new();
    for n in 0..10 {
        let producer = producer.with_timeout(if n == 4 { DEADLINE } else { HOUR });
        deliveries.push(producer.enqueue(Message::new("t", n.to_string())).await.unwrap());
    }
    let hasty = deliveries.remove(4);
    plugs.pull();
    let error = soon(hasty).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    assert_eq!(producer.stats().acked, 1, "the answer to the others is not there yet");
    broker.open_gate(1);
    for (place, delivery) in deliveries.into_iter().enumerate() {
        let offset = soon(delivery).await.unwrap().queue_offset();
        assert_eq!(offset, (place + usize::from(place >= 4)) as i64);
    }
    assert_eq!((sizes(&broker.seen()), settled(&producer).retries), (vec![10], 0));
    assert_nothing_left(&producer).await;
}

/// The first attempt is given up, and the second does not go well: the late answer to the first
/// still ends the send as stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_to_a_batch_that_was_given_up_counts() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let server = NameServer::of(&[&a, &b], 1).await;
    let builder = narrow(&server).attempt_timeout(DEADLINE).async_retries(1);
    let producer = builder.start().await.unwrap();
    a.script(behind_plug(|_| Action::ok().at_the_gate()));
    b.script(behind_plug(|_| Action::ok()));
    let plugs = plug(&producer, &[&a, &b]).await;
    let deliveries = enqueue(&producer, 20).await;
    plugs.pull();
    until("both have their batch", || {
        [&a, &b].iter().all(|one| sizes(&one.seen()).first() == Some(&10))
    })
    .await;
    // From now on the other broker is silent.
    b.always(Action::ignore());
    until("the second attempts begin", || requests(&b.seen()).len() > 1).await;
    a.open_gate(1);
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_stored_once(&[stored(&a), stored(&b)].concat(), 20);
    let second = requests(&b.seen())[1..].concat();
    // Each is given up so long after it was accepted. Those that were accepted a moment later than the
    // first ones wait behind the second attempt of these, which is not answered.
    assert!((1..=10).contains(&second.len()), "the second attempts: {second:?}");
    assert_nothing_left(&producer).await;
}
