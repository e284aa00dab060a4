//! Static topics: logical queues that brokers hand to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use posthaste::{ErrorKind, Message, MessageQueue, Outcome, Producer};
use posthaste_protocol::request::{QueueMapping, TopicRoute};

use crate::fake::{Action, Broker, NameServer, Say, producer, route, soon, until};

const LOGICAL: &str = "__syslo__global__";

/// A route over these brokers, of which each has some of four logical queues.
fn mapped(holders: &[(&Broker, i64, &[i64])]) -> Say {
    let brokers: Vec<&Broker> = holders.iter().map(|(broker, ..)| *broker).collect();
    let mapping = |(broker, epoch, ids): &(&Broker, i64, &[i64])| QueueMapping {
        broker_name: broker.name().into(),
        current_ids: ids.iter().map(|id| (*id, *id)).collect(),
        epoch: *epoch,
        scope: Some("__global__".into()),
        total_queues: 4,
    };
    let mappings = holders.iter().map(|one| (one.0.name().to_owned(), mapping(one)));
    Say::Route(TopicRoute { queue_mappings: Some(mappings.collect()), ..route(&brokers, 4) })
}

async fn start(holders: &[(&Broker, i64, &[i64])]) -> (NameServer, Producer) {
    let server = NameServer::start().await;
    server.say("t", mapped(holders));
    let producer = producer(&[&server]).route_poll_interval(Duration::from_millis(100));
    (server, producer.start().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_to_logical_queues_on_the_brokers_that_have_them() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let (_server, producer) = start(&[(&a, 1, &[0, 3]), (&b, 1, &[1])]).await;
    let mut queues = BTreeSet::new();
    for n in 0..24 {
        let receipt = soon(producer.send(Message::new("t", n.to_string()))).await.unwrap();
        assert_eq!(receipt.queue().broker(), LOGICAL);
        queues.insert(receipt.queue().id());
    }
    assert_eq!(queues, [0, 1, 3].into(), "2 is nobody's");
    for (broker, ids) in [(&a, &[0, 3][..]), (&b, &[1])] {
        assert!(broker.stored_count() > 0);
        for seen in broker.stored() {
            assert_eq!(
                seen.broker,
                broker.name(),
                "the request names the broker that has the queue"
            );
            assert!(ids.contains(&seen.queue));
        }
    }
    // A queue that is given by its logical name.
    let given = |id| Message::new("t", "given").queue(MessageQueue::new("t", LOGICAL, id));
    let receipt = soon(producer.send(given(1))).await.unwrap();
    assert_eq!(receipt.queue(), &MessageQueue::new("t", LOGICAL, 1));
    for nowhere in
        [given(2), given(4), Message::new("t", "x").queue(MessageQueue::new("t", "a", 0))]
    {
        // One that nobody has is waited for.
        let hasty = producer.with_timeout(Duration::from_millis(300));
        let error = soon(hasty.send(nowhere)).await.unwrap_err();
        let expected = (ErrorKind::NoWritableQueue, Outcome::NotStored);
        assert_eq!((error.kind(), error.outcome()), expected, "{error}");
    }
    let queues = soon(producer.admin().publish_queues("t")).await.unwrap();
    assert_eq!(queues, [0, 1, 3].map(|id| MessageQueue::new("t", LOGICAL, id)));
}

/// The old broker refuses, the new route shows where the queue is now; order and queue are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordered_messages_keep_their_logical_queue_when_it_moves() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let (server, producer) = start(&[(&a, 1, &[0, 1, 2, 3]), (&b, 1, &[])]).await;
    // Java's hash of "a" is 97: queue 1 of four.
    let by_key = |n: usize| Message::new("t", n.to_string()).order_by("a");
    let mut deliveries = Vec::new();
    for n in 0..300 {
        if n == 100 {
            a.script(|seen| match seen.queue {
                1 => Action::refuse(501, "the queue has moved"),
                _ => Action::ok(),
            });
        }
        if n == 150 {
            server.say("t", mapped(&[(&a, 1, &[0, 1, 2, 3]), (&b, 2, &[1])]));
        }
        deliveries.push(producer.enqueue(by_key(n)).await.unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut failed = 0;
    for delivery in deliveries {
        match soon(delivery).await {
            Ok(receipt) => assert_eq!(receipt.queue(), &MessageQueue::new("t", LOGICAL, 1)),
            // While no broker has the queue.
            Err(error) => {
                assert_eq!(error.outcome(), Outcome::NotStored, "{error}");
                failed += 1;
            }
        }
    }
    let stored: Vec<usize> =
        a.stored().iter().chain(&b.stored()).map(|seen| seen.text().parse().unwrap()).collect();
    assert_eq!(stored.len() + failed, 300);
    assert!(stored.is_sorted(), "{stored:?}");
    assert!(b.stored_count() > 100 && b.stored().iter().all(|seen| seen.queue == 1));
}

/// A broker that is down has told the name server nothing: no broker has its queues, but they
/// count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_wait_for_a_queue_that_nobody_has() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let (server, producer) = start(&[(&a, 1, &[0, 2, 3])]).await;
    let by = |key: &str| Message::new("t", "x").order_by(key);
    let waits = producer.enqueue(by("a")).await.unwrap();
    let mut ids = BTreeMap::new();
    for key in ["b", "c", "d"] {
        ids.insert(key, soon(producer.send(by(key))).await.unwrap().queue().id());
    }
    assert_eq!(ids, [("b", 2), ("c", 3), ("d", 0)].into());
    let impatient = producer.with_timeout(Duration::from_millis(300));
    let error = soon(impatient.send(by("a"))).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotStored);
    server.say("t", mapped(&[(&a, 1, &[0, 2, 3]), (&b, 1, &[1])]));
    soon(waits).await.unwrap();
    until("it is at b", || b.stored_count() == 1).await;
}
