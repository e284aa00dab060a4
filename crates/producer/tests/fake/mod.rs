//! A name server and brokers that do what a script says, to see what a producer makes of it.
//!
//! They speak the real protocol on loopback sockets. A broker records each send in the order of
//! arrival, asks its script what to do with it, and keeps a list of what it "stored": the truth
//! that the producer's outcomes are held against. Of a batch each message is recorded, and the
//! script is asked once, with the first or with all.

#![allow(dead_code, unused_imports, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod action;
mod black_hole;
mod broker;
mod frames;
mod name_server;
mod producer;
mod seen;

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

pub use action::Action;
pub use black_hole::{BlackHole, refusing};
pub use broker::Broker;
pub use frames::{answer, frame_of, request, request_of, stored_answer};
pub use name_server::{NameServer, Say, broker_data, queue_data, route};
pub use producer::{assert_all_ended, one_broker, producer, settled, two_brokers};
pub use seen::{Seen, first_copies, ids};

/// More than any test waits for on purpose: beyond this something hangs.
pub const HANG: Duration = Duration::from_secs(60);

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
