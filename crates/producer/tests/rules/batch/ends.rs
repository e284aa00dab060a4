//! Members of a batch that end before it does: at their deadlines, or since the producer closes.

use std::slice;

use posthaste::{ErrorKind, Outcome};

use super::{batches, enqueue, one_narrow, plug};
use crate::servers::{message, ms, numbers, send, texts};
use crate::support::{HOUR, assert_nothing_left, settled, soon, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_expires_before_its_batch_leaves_is_not_in_it() {
    let (broker, producer) = one_narrow().await;
    let all = broker.fault(send().pass()).unwrap();
    let plugs = plug(&producer, slice::from_ref(&broker)).await;
    let (mut hasty, mut patient) = (Vec::new(), Vec::new());
    for n in 0..20 {
        let brief = producer.with_timeout(ms(50));
        let (producer, list) = match n % 4 {
            0 => (&brief, &mut hasty),
            _ => (&producer, &mut patient),
        };
        list.push(producer.enqueue(message(n)).await.unwrap());
    }
    for delivery in hasty {
        let error = soon(delivery).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Busy, Outcome::NotStored));
    }
    plugs.pull().await;
    for delivery in patient {
        soon(delivery).await.unwrap();
    }
    let expected: Vec<String> = (0..20).filter(|n| n % 4 > 0).map(|n| n.to_string()).collect();
    assert_eq!((all.hits(), texts(&broker).await), (1, expected));
    assert_nothing_left(&producer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_the_batch_in_flight_and_for_the_next() {
    let (broker, producer) = one_narrow().await;
    let slow = broker.fault(batches().after_store().delay(ms(100))).unwrap();
    let plugs = plug(&producer, slice::from_ref(&broker)).await;
    let deliveries = enqueue(&producer, 1500).await;
    plugs.pull().await;
    let report = soon(producer.close(HOUR)).await;
    assert!(report.is_clean(), "{report:?}");
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!((slow.hits(), texts(&broker).await), (2, numbers(0..1500)));
    assert_nothing_left(&producer).await;
}

/// What was written may have been stored; what waited for the batch after it was not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_closing_a_batch_in_flight_is_unknown_and_what_waits_is_not_stored() {
    let (broker, producer) = one_narrow().await;
    let silent = broker.fault(batches().after_store().no_answer()).unwrap();
    let plugs = plug(&producer, slice::from_ref(&broker)).await;
    let deliveries = enqueue(&producer, 1500).await;
    plugs.pull().await;
    until("a batch has left", || silent.hit_messages() == 1024).await;
    let report = soon(producer.close(ms(200))).await;
    assert_eq!(report.undelivered.len(), 1500);
    for (n, delivery) in deliveries.into_iter().enumerate() {
        let error = soon(delivery).await.unwrap_err();
        let expected = if n < 1024 { Outcome::Unknown } else { Outcome::NotStored };
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, expected), "{n}");
    }
    assert_eq!(texts(&broker).await, numbers(0..1024));
    let stats = settled(&producer);
    assert_eq!((stats.acked, stats.unknown, stats.not_stored), (2, 1024, 476));
    assert_nothing_left(&producer).await;
}
