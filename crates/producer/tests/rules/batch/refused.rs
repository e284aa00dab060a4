//! Batches that a broker refuses.

use std::slice;

use posthaste::{ErrorKind, Outcome, ResponseCode};

use super::{batches, enqueue, narrow, one_narrow, plug};
use crate::servers::{broker, numbers, one_broker, send, texts};
use crate::support::{DEADLINE, assert_nothing_left, settled, soon};

const BUSY: ResponseCode = ResponseCode::SYSTEM_BUSY;

/// 5.x answers so when a batch is too large for it; it may as well have been stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_code_1_members_are_tried_again_singly() {
    for (fault, stored) in [(batches(), 16), (batches().after_store(), 32)] {
        let (broker, producer) = one_narrow().await;
        let all = broker.fault(send().pass()).unwrap();
        let refused = broker.fault(fault.refuse(ResponseCode(1)).remark("?")).unwrap();
        let plugs = plug(&producer, slice::from_ref(&broker)).await;
        let deliveries = enqueue(&producer, 16).await;
        plugs.pull().await;
        for delivery in deliveries {
            soon(delivery).await.unwrap();
        }
        assert_eq!((refused.hits(), all.hits(), all.hit_messages()), (1, 1 + 16, 16 + 16));
        assert_eq!(texts(&broker).await.len(), stored);
        assert_eq!(settled(&producer).retries, 16);
        refused.remove();
        // Nothing was learnt about batches.
        let plugs = plug(&producer, slice::from_ref(&broker)).await;
        let deliveries = enqueue(&producer, 16).await;
        plugs.pull().await;
        for delivery in deliveries {
            soon(delivery).await.unwrap();
        }
        assert_eq!(all.hits(), 1 + 16 + 1);
        assert_nothing_left(&producer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_code_1_and_nothing_else_members_are_unknown() {
    let (broker, producer) = one_narrow().await;
    broker.fault(send().refuse(ResponseCode(1)).remark("?")).unwrap();
    let plugs = plug(&producer, slice::from_ref(&broker)).await;
    let deliveries = enqueue(&producer, 8).await;
    plugs.pull().await;
    for delivery in deliveries {
        let error = soon(delivery).await.unwrap_err();
        let found = (error.kind(), error.outcome(), error.attempts().len());
        assert_eq!(found, (ErrorKind::Broker(ResponseCode(1)), Outcome::Unknown, 3));
    }
    assert!(texts(&broker).await.is_empty());
    assert_nothing_left(&producer).await;
}

/// Busy means that nothing of it was stored: all go again in their order, the first one alone to
/// see whether the broker is well again, and no retry is used up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_refused_as_busy_goes_again() {
    let broker = broker(1).await;
    let producer = narrow(broker.name_server()).async_retries(0).start().await.unwrap();
    // As a batch, and twice the one that finds out.
    let all = broker.fault(send().pass()).unwrap();
    let busy = [BUSY, ResponseCode(215), BUSY];
    let busy = busy.map(|code| broker.fault(send().first(1).refuse(code)).unwrap());
    let plugs = plug(&producer, slice::from_ref(&broker)).await;
    let deliveries = enqueue(&producer, 100).await;
    plugs.pull().await;
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!(busy.map(|rule| rule.hit_messages()), [100, 1, 1]);
    assert_eq!((all.hits(), all.hit_messages()), (5, 100 + 1 + 1 + 1 + 99));
    assert_eq!(texts(&broker).await, numbers(0..100));
    let stats = settled(&producer);
    assert_eq!((stats.retries, stats.busy, stats.acked), (0, 3, 2 + 100));
    assert_nothing_left(&producer).await;
}

/// What is busy to the end is not stored, each at its own deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_refused_as_busy_to_the_end_is_not_stored() {
    let (broker, producer) = one_narrow().await;
    broker.fault(send().refuse(BUSY)).unwrap();
    let plugs = plug(&producer, slice::from_ref(&broker)).await;
    let hasty = producer.with_timeout(DEADLINE);
    let mut not_stored = 0;
    let deliveries = enqueue(&hasty, 50).await;
    plugs.pull().await;
    for delivery in deliveries {
        let error = soon(delivery).await.unwrap_err();
        // The answer to the one that finds out may be on its way at its deadline.
        let (busy, late) = (Outcome::NotStored, Outcome::Unknown);
        let ends = [(ErrorKind::Busy, busy), (ErrorKind::Timeout, late)];
        assert!(ends.contains(&(error.kind(), error.outcome())), "{error:?}");
        not_stored += usize::from(error.outcome() == busy);
    }
    assert!(not_stored >= 49, "{not_stored}");
    assert!(texts(&broker).await.is_empty());
    assert_nothing_left(&producer).await;
}

/// However wide the window is: one message, and not a window full of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_alone_finds_out_whether_a_busy_broker_is_well_again() {
    let (broker, producer) = one_broker().await;
    let all = broker.fault(send().pass()).unwrap();
    let busy = [BUSY; 3].map(|code| broker.fault(send().first(1).refuse(code)).unwrap());
    broker.down().await.unwrap();
    let deliveries = enqueue(&producer, 100).await;
    broker.up().await.unwrap();
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!(busy.map(|rule| rule.hit_messages()), [100, 1, 1]);
    assert_eq!((all.hits(), all.hit_messages()), (5, 100 + 1 + 1 + 1 + 99));
    assert_nothing_left(&producer).await;
}
