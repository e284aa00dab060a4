//! Batches that a broker refuses, for their sake or for that of one message.

use posthaste::{ErrorKind, Message, Outcome, Producer, ResponseCode};

use super::{
    assert_nothing_left, assert_stored_once, behind_plug, enqueue, narrow, numbers, one_narrow,
    plug, requests, sizes, stored, texts,
};
use crate::fake::{Action, Broker, DEADLINE, NameServer, producer, settled, soon};

/// Sends messages of a topic behind a plug, and gives the sizes of the requests.
async fn sizes_behind_plug(
    producer: &Producer,
    broker: &Broker,
    topic: &'static str,
) -> Vec<usize> {
    broker.forget();
    let plugs = plug(producer, &[broker]).await;
    let mut deliveries = Vec::new();
    for n in 0..16 {
        deliveries.push(producer.enqueue(Message::new(topic, n.to_string())).await.unwrap());
    }
    plugs.pull();
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_stored_once(&stored(broker), 16);
    sizes(&broker.seen())
}

/// As old DLedger brokers do, and those that do not know batches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_refuses_batches_of_a_topic_gets_its_messages_singly() {
    for code in [13, 3] {
        let (broker, _server, producer) = one_narrow().await;
        broker.script(behind_plug(move |seen| match (&*seen.topic, seen.together) {
            ("t", 2..) => Action::refuse(code, "not batches"),
            _ => Action::ok(),
        }));
        let found = sizes_behind_plug(&producer, &broker, "t").await;
        assert_eq!(found[..6], [16, 8, 4, 2, 1, 1], "halved, at the end singly: {found:?}");
        assert_eq!(found.iter().filter(|size| **size == 1).count(), 16);
        // It is remembered, of this topic.
        assert_eq!(sizes_behind_plug(&producer, &broker, "t").await, [1; 16]);
        assert_eq!(sizes_behind_plug(&producer, &broker, "u").await, [16]);
        let stats = settled(&producer);
        assert_eq!((stats.retries, stats.acked, stats.not_stored), (0, 16 * 3 + 3, 0));
        assert_nothing_left(&producer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_that_is_not_valid_fails_alone() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script_requests(|messages| match &*messages[0].text() {
        "plug" => Action::ok().at_the_gate(),
        _ if messages.iter().any(|seen| seen.text() == "37") => Action::refuse(13, "illegal"),
        _ => Action::ok(),
    });
    let plugs = plug(&producer, &[&broker]).await;
    let deliveries = enqueue(&producer, 100).await;
    plugs.pull();
    for (n, delivery) in deliveries.into_iter().enumerate() {
        match (n, soon(delivery).await) {
            (37, Err(error)) => {
                let found = (error.kind(), error.outcome(), error.attempts().len());
                assert_eq!(found, (ErrorKind::Invalid, Outcome::NotStored, 1), "{error:?}");
            }
            (_, result) => drop(result.unwrap()),
        }
    }
    let found = sizes(&broker.seen());
    assert!(found[..2] == [100, 50] && found.len() < 30, "{found:?}");
    assert_eq!(texts(&stored(&broker)), [numbers(0..37), numbers(38..100)].concat());
    // It was the message, and not the batch.
    broker.script(behind_plug(|_| Action::ok()));
    assert_eq!(sizes_behind_plug(&producer, &broker, "t").await, [16]);
    assert_nothing_left(&producer).await;
}

/// 5.x answers so when a batch is too large for it; it may as well have been stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_code_1_members_are_tried_again_singly() {
    for first in [Action::refuse(1, "?"), Action::store_and_say(1, "?")] {
        let (broker, _server, producer) = one_narrow().await;
        let answer = first.clone();
        broker.script(behind_plug(move |seen| match seen.together {
            1 => Action::ok(),
            _ => answer.clone(),
        }));
        let plugs = plug(&producer, &[&broker]).await;
        let deliveries = enqueue(&producer, 16).await;
        plugs.pull();
        for delivery in deliveries {
            soon(delivery).await.unwrap();
        }
        assert_eq!(sizes(&broker.seen()), [vec![16], vec![1; 16]].concat());
        assert_eq!(stored(&broker).len(), if first.stores() { 32 } else { 16 });
        assert_eq!(settled(&producer).retries, 16);
        // Nothing was learnt about batches.
        broker.script(behind_plug(|_| Action::ok()));
        assert_eq!(sizes_behind_plug(&producer, &broker, "t").await, [16]);
        assert_nothing_left(&producer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_code_1_and_nothing_else_members_are_unknown() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script(behind_plug(|_| Action::refuse(1, "?")));
    let plugs = plug(&producer, &[&broker]).await;
    let deliveries = enqueue(&producer, 8).await;
    plugs.pull();
    for delivery in deliveries {
        let error = soon(delivery).await.unwrap_err();
        let found = (error.kind(), error.outcome(), error.attempts().len());
        assert_eq!(found, (ErrorKind::Broker(ResponseCode(1)), Outcome::Unknown, 3));
    }
    assert_nothing_left(&producer).await;
}

/// Busy means that nothing of it was stored: all go again in their order, the first one alone to
/// see whether the broker is well again, and no retry is used up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_refused_as_busy_goes_again() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = narrow(&server).async_retries(0).start().await.unwrap();
    let mut answers = [2, 215, 2].into_iter();
    broker.script(behind_plug(move |_| match answers.next() {
        Some(code) => Action::refuse(code, "busy"),
        None => Action::ok(),
    }));
    let plugs = plug(&producer, &[&broker]).await;
    let deliveries = enqueue(&producer, 100).await;
    plugs.pull();
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let seen = broker.seen();
    assert_eq!(sizes(&seen), [100, 1, 1, 1, 99], "{:?}", requests(&seen));
    assert_eq!(texts(&stored(&broker)), numbers(0..100));
    let stats = settled(&producer);
    assert_eq!((stats.retries, stats.busy, stats.acked), (0, 3, 101));
    assert_nothing_left(&producer).await;
}

/// What is busy to the end is not stored, each at its own deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_refused_as_busy_to_the_end_is_not_stored() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script(behind_plug(|_| Action::refuse(2, "busy")));
    let plugs = plug(&producer, &[&broker]).await;
    let hasty = producer.with_timeout(DEADLINE);
    let mut not_stored = 0;
    let deliveries = enqueue(&hasty, 50).await;
    plugs.pull();
    for delivery in deliveries {
        let error = soon(delivery).await.unwrap_err();
        // The answer to the one that finds out may be on its way at its deadline.
        let (busy, late) = (Outcome::NotStored, Outcome::Unknown);
        let ends = [(ErrorKind::Busy, busy), (ErrorKind::Timeout, late)];
        assert!(ends.contains(&(error.kind(), error.outcome())), "{error:?}");
        not_stored += usize::from(error.outcome() == busy);
    }
    assert!(not_stored >= 49, "{not_stored}");
    assert_nothing_left(&producer).await;
}

/// A broker that is stopping: the members use up a retry each, and go to the other one together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_one_broker_cannot_store_goes_to_the_other() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let server = NameServer::of(&[&a, &b], 1).await;
    let producer = narrow(&server).start().await.unwrap();
    a.script(behind_plug(|_| Action::refuse(14, "stopping")));
    b.script(behind_plug(|_| Action::ok()));
    let plugs = plug(&producer, &[&a, &b]).await;
    let deliveries = enqueue(&producer, 40).await;
    plugs.pull();
    for delivery in deliveries {
        assert_eq!(soon(delivery).await.unwrap().queue().broker(), "b");
    }
    assert_stored_once(&stored(&b), 40);
    assert!(sizes(&a.seen()) == [20] && sizes(&b.seen()).len() <= 3, "{:?}", sizes(&b.seen()));
    assert_eq!(settled(&producer).retries, 20);
    assert_nothing_left(&producer).await;
}

/// However wide the window is: one message, and not a window full of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_alone_finds_out_whether_a_busy_broker_is_well_again() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    broker.down();
    let deliveries = enqueue(&producer, 100).await;
    broker.first([2, 2, 2].map(|code| Action::refuse(code, "busy")));
    broker.up().await;
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!(sizes(&broker.seen()), [100, 1, 1, 1, 99]);
    assert_nothing_left(&producer).await;
}
