//! Batches whose answer is lost, or comes late.

use std::collections::HashSet;
use std::slice;

use posthaste::{ErrorKind, Outcome};

use super::{assert_stored_once, batches, enqueue, narrow, one_narrow, plug, two_narrow};
use crate::servers::{broker, first_copies, message, ms, producer, send, texts};
use crate::support::{assert_nothing_left, settled, soon};

/// Whatever became of the first try, all come again, under the same ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_lost_with_a_batch_has_it_go_again() {
    for (fault, copies) in [
        (batches().close(), 1),
        (batches().reset(), 1),
        (batches().after_store().close(), 2),
        (batches().after_store().reset(), 2),
        (batches().cut_after(40), 2),
    ] {
        let (broker, producer) = one_narrow().await;
        let all = broker.fault(send().pass()).unwrap();
        let lost = broker.fault(fault.first(1)).unwrap();
        let plugs = plug(&producer, slice::from_ref(&broker)).await;
        let deliveries = enqueue(&producer, 40).await;
        plugs.pull().await;
        for delivery in deliveries {
            soon(delivery).await.unwrap();
        }
        assert_eq!((lost.hits(), lost.hit_messages()), (1, 40));
        assert_eq!((all.hits(), all.hit_messages()), (2, 80), "{:?}", lost.fault());
        let stored = broker.messages("t").await.unwrap();
        assert_eq!(stored.len(), copies * 40);
        assert_eq!(first_copies(stored).len(), 40, "copies have one id");
        let stats = settled(&producer);
        assert_eq!((stats.acked, stats.retries, stats.unknown), (2 + 40, 40, 0));
        assert_nothing_left(&producer).await;
    }
}

/// Without another try the members end as what is known of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_retry_a_lost_batch_is_unknown() {
    for (fault, stored) in [(batches().close(), 0), (batches().after_store().reset(), 10)] {
        let broker = broker(4).await;
        let builder = narrow(broker.name_server()).async_retries(0);
        let producer = builder.start().await.unwrap();
        let lost = broker.fault(fault).unwrap();
        let plugs = plug(&producer, slice::from_ref(&broker)).await;
        let deliveries = enqueue(&producer, 10).await;
        plugs.pull().await;
        for delivery in deliveries {
            let error = soon(delivery).await.unwrap_err();
            let found = (error.kind(), error.outcome(), error.attempts().len());
            assert_eq!(found, (ErrorKind::ConnectionLost, Outcome::Unknown, 1));
        }
        assert_eq!((lost.hits(), lost.hit_messages()), (1, 10));
        assert_eq!(texts(&broker).await.len(), stored);
        assert_nothing_left(&producer).await;
    }
}

/// Each is tried for as long as an attempt may take, then the other broker takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_batch_goes_to_the_other_broker() {
    for (fault, stored) in [(send().no_answer(), 0), (send().after_store().no_answer(), 20)] {
        let cluster = two_narrow().await;
        let [a, b] = cluster.brokers() else { panic!("two brokers") };
        let builder = narrow(cluster.name_server()).attempt_timeout(ms(1500));
        let producer = builder.async_retries(1).start().await.unwrap();
        let (silent, taken) = (a.fault(fault).unwrap(), b.fault(send().pass()).unwrap());
        let plugs = plug(&producer, cluster.brokers()).await;
        let deliveries = enqueue(&producer, 40).await;
        plugs.pull().await;
        for delivery in deliveries {
            assert_eq!(soon(delivery).await.unwrap().queue().broker(), b.name());
        }
        assert_eq!((silent.hits(), silent.hit_messages()), (1, 20));
        assert_eq!(texts(a).await.len(), stored);
        let others: HashSet<String> = texts(b).await.into_iter().collect();
        assert_eq!((others.len(), taken.hit_messages()), (40, 40));
        // They came as a batch again.
        assert!(taken.hits() < 10, "{}", taken.hits());
        let stats = settled(&producer);
        assert_eq!((stats.retries, stats.acked), (20, 4 + 40), "{stats:?}");
    }
}

/// Batches, singles, and brokers that die in the middle: nothing is lost, nothing is made up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_come_and_go_lose_nothing_that_was_acked() {
    let cluster = std::sync::Arc::new(crate::servers::cluster().await);
    for broker in cluster.brokers() {
        // So that a broker that goes takes something along.
        broker.fault(send().after_store().delay(ms(3))).unwrap();
    }
    // However long the machine makes it, none meets as many breaks.
    let builder = producer(cluster.name_server()).async_retries(100).max_pending(800, 1 << 20);
    let producer = builder.start().await.unwrap();
    let unrest = tokio::spawn({
        let cluster = cluster.clone();
        async move {
            for broker in cluster.brokers().iter().cycle() {
                tokio::time::sleep(ms(150)).await;
                broker.down().await.unwrap();
                tokio::time::sleep(ms(30)).await;
                broker.up().await.unwrap();
            }
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20_000 {
        let delivery = producer.enqueue(message(n)).await.unwrap();
        tasks.spawn(async move { (n, delivery.await) });
        if n % 100 == 0 {
            tokio::time::sleep(ms(5)).await;
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
    let stored = cluster.messages("t").await.unwrap();
    let stored: HashSet<String> = stored.iter().map(crate::servers::text).collect();
    assert!(acked.is_subset(&stored) && not_stored.is_disjoint(&stored));
    let stats = settled(&producer);
    println!("{stats:?}");
    assert!(acked.len() > 19_000 && stats.retries > 0 && stats.batches > 100, "{stats:?}");
    assert_nothing_left(&producer).await;
}

/// A broker that is stopping: the members use up a retry each, and go to the other one together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_one_broker_cannot_store_goes_to_the_other() {
    let cluster = two_narrow().await;
    let [a, b] = cluster.brokers() else { panic!("two brokers") };
    let producer = narrow(cluster.name_server()).start().await.unwrap();
    let stops = send().refuse(posthaste::ResponseCode::SERVICE_NOT_AVAILABLE);
    let (stops, taken) = (a.fault(stops).unwrap(), b.fault(send().pass()).unwrap());
    let plugs = plug(&producer, cluster.brokers()).await;
    let deliveries = enqueue(&producer, 40).await;
    plugs.pull().await;
    for delivery in deliveries {
        assert_eq!(soon(delivery).await.unwrap().queue().broker(), b.name());
    }
    assert_stored_once(&cluster, 40).await;
    assert_eq!((stops.hits(), stops.hit_messages()), (1, 20));
    assert!(taken.hits() <= 3, "{}", taken.hits());
    assert_eq!(settled(&producer).retries, 20);
    assert_nothing_left(&producer).await;
}
