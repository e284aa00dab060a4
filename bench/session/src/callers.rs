//! Callers that each send and await, again and again.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::{Latencies, Tally};

/// How a call ended: messages that were acknowledged and that were not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Acknowledged.
    pub messages: u64,
    /// Not acknowledged.
    pub failed: u64,
}

impl Outcome {
    /// All messages of a call fared alike.
    pub fn of(messages: u64, acknowledged: bool) -> Self {
        if acknowledged {
            Self { messages, failed: 0 }
        } else {
            Self { messages: 0, failed: messages }
        }
    }
}

/// When the callers stop: after a time, or after so many messages.
#[derive(Debug)]
struct End {
    over: AtomicBool,
    /// Messages that may still be sent.
    left: Option<AtomicU64>,
}

impl End {
    fn is_reached(&self) -> bool {
        let used_up = |left: &AtomicU64| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err()
        };
        self.over.load(Ordering::Relaxed) || self.left.as_ref().is_some_and(used_up)
    }
}

/// Somebody who sends and awaits. Each caller has a handle of its own, as each task of an application
/// would.
pub trait Caller: Clone + Send + Sync + 'static {
    /// One call of the caller of this number.
    fn call(&self, number: usize) -> impl Future<Output = Outcome> + Send;
}

/// Runs `callers` tasks for `time`, or until `calls` have been made, and awaits their last answers.
///
/// Of many callers every eighth call is timed; that keeps the clock from being what is measured.
///
/// # Errors
/// When a caller panicked.
pub async fn drive(
    caller: &impl Caller,
    callers: usize,
    time: Duration,
    calls: Option<u64>,
    latencies: Arc<Mutex<Latencies>>,
) -> Result<Tally> {
    let end = Arc::new(End { over: AtomicBool::new(false), left: calls.map(AtomicU64::new) });
    let stride = if callers == 1 { 1 } else { 8 };
    let mut tasks = JoinSet::new();
    for number in 0..callers {
        let (end, latencies, caller) = (end.clone(), latencies.clone(), caller.clone());
        tasks.spawn(async move { call(&caller, number, stride, &end, &latencies).await });
    }
    if calls.is_none() {
        tokio::time::sleep(time).await;
        end.over.store(true, Ordering::Relaxed);
    }
    let (mut messages, mut failed) = (0, 0);
    while let Some(outcome) = tasks.join_next().await {
        let outcome = outcome?;
        messages += outcome.messages;
        failed += outcome.failed;
    }
    let latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Tally { messages, failed, latencies })
}

async fn call(
    caller: &impl Caller,
    number: usize,
    stride: usize,
    end: &End,
    latencies: &Mutex<Latencies>,
) -> Outcome {
    let mut sum = Outcome { messages: 0, failed: 0 };
    let mut turn = number;
    while !end.is_reached() {
        let began = turn.is_multiple_of(stride).then(Instant::now);
        let outcome = caller.call(number).await;
        if let Some(began) = began {
            let took = began.elapsed();
            latencies.lock().unwrap_or_else(PoisonError::into_inner).record(took);
        }
        sum.messages += outcome.messages;
        sum.failed += outcome.failed;
        turn += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that end so, after they have yielded.
    #[derive(Clone)]
    struct Fixed(fn(usize) -> Outcome);

    impl Caller for Fixed {
        async fn call(&self, number: usize) -> Outcome {
            tokio::task::yield_now().await;
            self.0(number)
        }
    }

    fn none_yet() -> Arc<Mutex<Latencies>> {
        Arc::new(Mutex::new(Latencies::new().unwrap()))
    }

    #[tokio::test]
    async fn as_many_calls_as_asked_for() {
        let caller = Fixed(|_| Outcome::of(32, true));
        let tally = drive(&caller, 7, Duration::ZERO, Some(100), none_yet()).await.unwrap();
        assert_eq!((tally.messages, tally.failed), (3200, 0));
    }

    #[tokio::test]
    async fn every_eighth_call_is_timed_whoever_makes_it() {
        let caller = Fixed(|_| Outcome::of(1, true));
        let tally = drive(&caller, 3, Duration::ZERO, Some(6400), none_yet()).await.unwrap();
        let timed = tally.latencies.count();
        assert!((6400 / 8 - 3..=6400 / 8 + 3).contains(&timed), "{timed} of 6400");
    }

    #[tokio::test]
    async fn failures_count_apart() {
        let caller = Fixed(|number| Outcome::of(1, number != 0));
        let tally = drive(&caller, 1, Duration::ZERO, Some(3), none_yet()).await.unwrap();
        assert_eq!((tally.messages, tally.failed), (0, 3));
    }
}
