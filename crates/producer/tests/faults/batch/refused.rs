//! Batches that a broker refuses, for their sake or for that of one message.

use posthaste::{ErrorKind, Message, Outcome, Producer};

use super::{
    assert_stored_once, behind_plug, enqueue, numbers, one_narrow, plug, sizes, stored, texts,
};
use crate::fake::{Action, Broker, assert_nothing_left, settled, soon};

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
