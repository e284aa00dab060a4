//! What tests of every kind wait with, and what must hold of a producer when all has ended.

#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use posthaste::{Delivery, Message, Producer, Stats};

/// More than any test waits for on purpose: beyond this something hangs.
pub const HANG: Duration = Duration::from_secs(120);

/// The time of a send that is to end at its deadline once it has left.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// Longer than any test runs: a time that never decides.
pub const HOUR: Duration = Duration::from_secs(3600);

/// Awaits a condition; fails when it does not come about.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANG, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Awaits something that must not hang.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.expect("this hangs")
}

/// Polls a future once.
pub fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// Locks, whatever a panicking test has left.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Enqueues this many messages of topic `t`, whose texts begin with their numbers.
pub async fn enqueue_numbered(
    producer: &Producer,
    count: usize,
    body: &str,
) -> Vec<(String, Delivery)> {
    let mut deliveries = Vec::new();
    for n in 0..count {
        let text = format!("{n} {body}");
        let delivery = producer.enqueue(Message::new("t", text.clone())).await.unwrap();
        deliveries.push((text, delivery));
    }
    deliveries
}

/// What the producer has counted when all have ended: the part that ends a message counts it a
/// moment after its end can be seen.
pub fn settled(producer: &Producer) -> Stats {
    let begun = Instant::now();
    while producer.stats().in_flight > 0 && begun.elapsed() < HANG {
        std::thread::sleep(Duration::from_millis(1));
    }
    producer.stats()
}

/// Every message has ended, each once, and none holds anything any more.
#[track_caller]
pub fn assert_all_ended(producer: &Producer) {
    let stats = settled(producer);
    let ended = stats.acked + stats.not_stored + stats.unknown + stats.oneway + stats.withdrawn;
    assert_eq!((stats.sent, stats.in_flight), (ended, 0), "{stats:?}");
}

/// Every message has ended, and no connection believes that it has to do with one yet.
pub async fn assert_nothing_left(producer: &Producer) {
    assert_all_ended(producer);
    let idle = || {
        let brokers = producer.stats().brokers;
        brokers.iter().all(|one| (one.in_flight, one.messages_in_flight, one.waiting) == (0, 0, 0))
    };
    until("no connection has anything left", idle).await;
}
