//! Brokers that refuse because they are busy.

use std::collections::HashSet;
use std::time::Duration;

use posthaste::{ErrorKind, Outcome, ResponseCode};
use posthaste_broker::{Broker, FaultRule};

use crate::servers::{broker, cluster, message, ms, one_broker, producer, send, text, texts};
use crate::support::{assert_all_ended, settled, soon};

const BUSY: ResponseCode = ResponseCode::SYSTEM_BUSY;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_uses_up_no_retry() {
    let broker = broker(4).await;
    let producer = producer(broker.name_server()).retries(0).start().await.unwrap();
    let busy = |code| send().first(2).refuse(code).remark("[TIMEOUT_CLEAN_QUEUE]");
    for code in [BUSY, ResponseCode(215)] {
        broker.fault(busy(code)).unwrap();
    }
    let all = broker.faults();
    soon(producer.send(message("x"))).await.unwrap();
    let stats = settled(&producer);
    assert_eq!((stats.retries, stats.busy, stats.acked), (0, 4, 1));
    assert_eq!([all[0].hits(), all[1].hits(), all[1].matched()], [2, 2, 3]);
    assert_eq!(texts(&broker).await, ["x"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_to_the_end_is_not_stored() {
    let (broker, producer) = one_broker().await;
    broker.fault(send().refuse(BUSY)).unwrap();
    let hasty = producer.with_timeout(Duration::from_secs(1));
    let error = soon(async {
        loop {
            let error = hasty.send(message("x")).await.unwrap_err();
            // An answer that is on its way at the deadline shows nothing.
            if error.kind() != ErrorKind::Timeout {
                return error;
            }
        }
    });
    let error = error.await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Busy, Outcome::NotStored));
    assert_eq!(broker.stats().messages, 0);
}

/// Everything is refused for some seconds, then nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_broker_is_not_stormed_and_its_recovery_is_noticed() {
    let (broker, producer) = one_broker().await;
    let busy = broker.fault(send().refuse(BUSY)).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    let mut offered = 0;
    while offered < 600 {
        for _ in 0..2 {
            let producer = producer.with_timeout(Duration::from_secs(1));
            tasks.spawn(async move { producer.send(message("x")).await });
            offered += 1;
        }
        tokio::time::sleep(ms(10)).await;
    }
    let attempts = busy.hits();
    assert!(attempts * 10 <= offered * 12, "{attempts} requests for {offered} sends");
    busy.remove();
    soon(producer.send(message("x"))).await.unwrap();
    while let Some(sent) = soon(tasks.join_next()).await {
        if let Err(error) = sent.unwrap() {
            // On a slow machine the answer itself may come too late.
            let late = (ErrorKind::Timeout, Outcome::Unknown);
            let busy = (ErrorKind::Busy, Outcome::NotStored);
            assert!([late, busy].contains(&(error.kind(), error.outcome())), "{error}");
        }
    }
    assert_all_ended(&producer);
    let stats = producer.stats();
    assert!((stats.acked..=stats.acked + stats.unknown).contains(&broker.stats().messages));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_refuses_what_it_cannot_take_gets_everything_in_the_end() {
    refusing_some(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_refuses_batches_as_busy_gets_everything_in_the_end() {
    refusing_some(true).await;
}

async fn refusing_some(batching: bool) {
    let cluster = cluster().await;
    // Of batches there are few: how many, load decides.
    let some = || match batching {
        true => send().every(3),
        false => send().with_probability(0.1, 3),
    };
    let refuse = |broker: &Broker| broker.fault(some().refuse(BUSY)).unwrap();
    let rules: Vec<FaultRule> = cluster.brokers().iter().map(refuse).collect();
    let builder = producer(cluster.name_server()).batching(batching);
    let producer = builder.start().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..1000 {
        deliveries.push(producer.enqueue(message(n)).await.unwrap());
        if batching && n % 20 == 0 {
            // Many batches, not one.
            tokio::time::sleep(ms(2)).await;
        }
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let stored = cluster.messages("t").await.unwrap();
    let found: HashSet<String> = stored.iter().map(text).collect();
    assert_eq!((stored.len(), found.len()), (1000, 1000));
    let stats = producer.stats();
    assert_eq!(stats.retries, 0);
    assert_eq!(stats.busy, rules.iter().map(FaultRule::hits).sum::<u64>());
    assert!(stats.busy > if batching { 0 } else { 50 }, "{stats:?}");
    assert_eq!(stats.batches > 0, batching);
}
