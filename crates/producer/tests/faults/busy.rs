//! Brokers that refuse because they are busy.

use std::time::Duration;

use posthaste::{ErrorKind, Message, Outcome};

use crate::fake::{
    Action, NameServer, assert_all_ended, one_broker, producer, settled, soon, two_brokers,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_uses_up_no_retry() {
    let (broker, server, _) = one_broker().await;
    let producer = producer(&[&server]).retries(0).start().await.unwrap();
    broker.first([2, 215, 2, 2].map(|code| Action::refuse(code, "[TIMEOUT_CLEAN_QUEUE]")));
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    let stats = settled(&producer);
    assert_eq!((stats.retries, stats.busy, stats.acked), (0, 4, 1));
    assert_eq!(broker.seen_count(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_to_the_end_is_not_stored() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::refuse(2, "busy"));
    let hasty = producer.with_timeout(Duration::from_secs(1));
    let error = soon(async {
        loop {
            let error = hasty.send(Message::new("t", "x")).await.unwrap_err();
            // An answer that is on its way at the deadline shows nothing.
            if error.kind() != ErrorKind::Timeout {
                return error;
            }
        }
    });
    let error = error.await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Busy, Outcome::NotStored));
    assert_eq!(broker.stored_count(), 0);
}

/// Everything is refused for some seconds, then nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_broker_is_not_stormed_and_its_recovery_is_noticed() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::refuse(2, "busy"));
    let mut tasks = tokio::task::JoinSet::new();
    let mut offered = 0;
    while offered < 600 {
        for _ in 0..2 {
            let producer = producer.with_timeout(Duration::from_secs(1));
            tasks.spawn(async move { producer.send(Message::new("t", "x")).await });
            offered += 1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let attempts = broker.seen_count();
    assert!(attempts * 10 <= offered * 12, "{attempts} requests for {offered} sends");
    broker.always(Action::ok());
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    while let Some(sent) = soon(tasks.join_next()).await {
        if let Err(error) = sent.unwrap() {
            // On a slow machine the answer itself may come too late.
            let late = (ErrorKind::Timeout, Outcome::Unknown);
            let busy = (ErrorKind::Busy, Outcome::NotStored);
            assert!([late, busy].contains(&(error.kind(), error.outcome())), "{error}");
        }
    }
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_refuses_what_it_cannot_take_gets_everything_in_the_end() {
    refusing_one_in_ten(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_refuses_batches_as_busy_gets_everything_in_the_end() {
    refusing_one_in_ten(true).await;
}

async fn refusing_one_in_ten(batching: bool) {
    let (a, b, server, _) = two_brokers().await;
    for broker in [&a, &b] {
        let mut random = fastrand::Rng::with_seed(3);
        broker.script(move |_| match random.u32(0..10) {
            0 => Action::refuse(2, "busy"),
            _ => Action::ok(),
        });
    }
    let producer = producer(&[&server]).batching(batching).start().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..1000 {
        deliveries.push(producer.enqueue(Message::new("t", n.to_string())).await.unwrap());
        if batching && n % 20 == 0 {
            // Many batches, not one.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!(a.stored_count() + b.stored_count(), 1000);
    let stats = producer.stats();
    assert_eq!(stats.retries, 0);
    assert!(stats.busy > if batching { 2 } else { 50 }, "{stats:?}");
    assert_eq!(stats.batches > 0, batching);
    let _: &NameServer = &server;
}
