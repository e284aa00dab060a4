//! Batches whose answer does not come: late, never, or with a connection that breaks.

use std::collections::HashSet;
use std::time::Duration;

use posthaste::{ErrorKind, Message, Outcome};

use super::{
    assert_nothing_left, assert_stored_once, behind_plug, enqueue, narrow, one_narrow, plug,
    requests, sizes, stored, texts,
};
use crate::fake::{
    Action, Broker, DEADLINE, HOUR, NameServer, first_copies, ids, producer, settled, soon, until,
};

/// Whatever became of the first try, all come again, under the same ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_lost_with_a_batch_has_it_go_again() {
    for (fault, copies) in [
        (Action::close(), 1),
        (Action::reset(), 1),
        (Action::store_and_close(), 2),
        (Action::store_and_reset(), 2),
        (Action::half_an_answer(), 2),
    ] {
        let (broker, _server, producer) = one_narrow().await;
        let mut fault = Some(fault);
        broker.script(behind_plug(move |_| fault.take().unwrap_or_else(Action::ok)));
        let plugs = plug(&producer, &[&broker]).await;
        let deliveries = enqueue(&producer, 40).await;
        plugs.pull();
        for delivery in deliveries {
            soon(delivery).await.unwrap();
        }
        let seen = broker.seen();
        assert_eq!(sizes(&seen), [40, 40], "{:?}", requests(&seen));
        assert_eq!(ids(&seen).len(), 1 + 40, "copies have one id");
        let stored = stored(&broker);
        assert_eq!((stored.len(), first_copies(&stored).len()), (copies * 40, 40));
        let stats = settled(&producer);
        assert_eq!((stats.acked, stats.retries, stats.unknown), (41, 40, 0));
        assert_nothing_left(&producer).await;
    }
}

/// Without another try the members end as what is known of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_retry_a_lost_batch_is_unknown() {
    for fault in [Action::close(), Action::store_and_reset()] {
        let broker = Broker::start("a").await;
        let server = NameServer::of(&[&broker], 4).await;
        let producer = narrow(&server).async_retries(0).start().await.unwrap();
        broker.script(behind_plug(move |_| fault.clone()));
        let plugs = plug(&producer, &[&broker]).await;
        let deliveries = enqueue(&producer, 10).await;
        plugs.pull();
        for delivery in deliveries {
            let error = soon(delivery).await.unwrap_err();
            let found = (error.kind(), error.outcome(), error.attempts().len());
            assert_eq!(found, (ErrorKind::ConnectionLost, Outcome::Unknown, 1));
        }
        assert_eq!(sizes(&broker.seen()), [10]);
        assert_nothing_left(&producer).await;
    }
}

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

/// Each is tried for as long as an attempt may take, then the other broker takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_batch_goes_to_the_other_broker() {
    for fault in [Action::ignore(), Action::store_silently()] {
        let (a, b) = (Broker::start("a").await, Broker::start("b").await);
        let server = NameServer::of(&[&a, &b], 1).await;
        let builder = narrow(&server).attempt_timeout(Duration::from_millis(1500));
        let producer = builder.async_retries(1).start().await.unwrap();
        let silent = fault.clone();
        a.script(behind_plug(move |_| silent.clone()));
        b.script(behind_plug(|_| Action::ok()));
        let plugs = plug(&producer, &[&a, &b]).await;
        let deliveries = enqueue(&producer, 40).await;
        plugs.pull();
        for delivery in deliveries {
            assert_eq!(soon(delivery).await.unwrap().queue().broker(), "b");
        }
        let unanswered = requests(&a.seen()).concat();
        assert_eq!((sizes(&a.seen()), unanswered.len()), (vec![20], 20));
        assert_eq!(stored(&a).len(), if fault.stores() { 20 } else { 0 });
        assert_stored_once(&stored(&b), 40);
        // They came as a batch again.
        assert_eq!(sizes(&b.seen())[0], 20);
        assert!(sizes(&b.seen()).len() < 10, "{:?}", sizes(&b.seen()));
        let stats = settled(&producer);
        assert_eq!((stats.retries, stats.acked), (20, 42), "{stats:?}");
    }
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

/// Batches, singles, and brokers that die in the middle: nothing is lost, nothing is made up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_come_and_go_lose_nothing_that_was_acked() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    for broker in [&a, &b] {
        // So that a broker that goes takes something along.
        broker.always(Action::ok().after(Duration::from_millis(3)));
    }
    let server = NameServer::of(&[&a, &b], 4).await;
    // However long the machine makes it, none meets as many breaks.
    let builder = producer(&[&server]).async_retries(100).max_pending(800, 1 << 20);
    let producer = builder.start().await.unwrap();
    let unrest = tokio::spawn({
        let brokers = [a.clone(), b.clone()];
        async move {
            for broker in brokers.iter().cycle() {
                tokio::time::sleep(Duration::from_millis(150)).await;
                broker.down();
                tokio::time::sleep(Duration::from_millis(30)).await;
                broker.up().await;
            }
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20_000 {
        let delivery = producer.enqueue(Message::new("t", n.to_string())).await.unwrap();
        tasks.spawn(async move { (n, delivery.await) });
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let (mut acked, mut not_stored) = (HashSet::new(), HashSet::new());
    while let Some(ended) = soon(tasks.join_next()).await {
        let (n, result): (u32, _) = ended.unwrap();
        match result {
            Ok(_) => drop(acked.insert(n.to_string())),
            Err(error) if error.outcome() == Outcome::NotStored => {
                not_stored.insert(n.to_string());
            }
            Err(_) => {}
        }
    }
    unrest.abort();
    let stored: HashSet<String> =
        [texts(&a.stored()), texts(&b.stored())].concat().into_iter().collect();
    assert!(acked.is_subset(&stored) && not_stored.is_disjoint(&stored));
    let stats = settled(&producer);
    println!("{stats:?}");
    assert!(acked.len() > 19_000 && stats.retries > 0 && stats.batches > 100, "{stats:?}");
    assert_nothing_left(&producer).await;
    assert_eq!(a.broken().0 + b.broken().0, 0);
}
