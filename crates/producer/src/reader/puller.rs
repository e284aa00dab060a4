//! Pulling one queue, one request at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use posthaste_protocol::request::{Pull, PullAnswer, pull_flag};
use posthaste_protocol::{Command, ResponseCode};
use tokio::sync::{Notify, mpsc, watch};

use super::queues::{Home, Homes};
use super::{Pulled, PulledBatch};
use crate::connection::Connection;
use crate::net::backoff::Backoff;
use crate::route::WireQueue;
use crate::{AdminError, MessageQueue};

/// Every broker has this group, and no offsets are kept under it (Java:
/// `MixAll.TOOLS_CONSUMER_GROUP`).
const GROUP: &str = "TOOLS_CONSUMER";
/// Real brokers give at most 32, or 8 from disk; the embedded broker gives this many.
const MAX_MESSAGES: i32 = 1024;
/// How long the broker is asked to wait for messages. Real ones look at the clock every 5 s, and a
/// connection that is silent for 8 s is taken for dead.
const SUSPEND: Duration = Duration::from_secs(2);
/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(10);
/// An answer that says "nothing" sooner than this did not wait; then the reader does.
const SHORTEST_SUSPEND: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(200);
/// Pauses after pulls that failed.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(2) };

/// The end of a queue that is followed.
pub(super) const NO_END: i64 = i64::MAX;

/// What is still to be read of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) offset: i64,
    /// The first offset that is not wanted, or [`NO_END`].
    pub(super) until: i64,
}

pub(super) struct Puller {
    pub(super) queue: MessageQueue,
    pub(super) range: Range,
    pub(super) subscription: Arc<str>,
    pub(super) max_bytes: i32,
    pub(super) patience: Duration,
    pub(super) homes: watch::Receiver<Homes>,
    pub(super) trouble: Arc<Notify>,
    pub(super) pulled: mpsc::Sender<Pulled>,
}

/// What an answer to a pull means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Messages, where to go on, and what is to be added to the messages' offsets.
    Found(Bytes, i64, i64),
    /// None; go on there, at once.
    GoOn(i64),
    /// The queue ends here, for now.
    AtEnd,
    /// None, and no progress either: ask again in a moment.
    AskAgain,
}

impl Puller {
    /// Pulls until the range is read, or the reader is gone.
    pub(super) async fn run(mut self) {
        let mut failing = Failing::default();
        while self.range.offset < self.range.until {
            let asked_at = Instant::now();
            let more = match self.pull().await {
                Ok((step, address)) => {
                    failing = Failing::default();
                    self.take(step, address, asked_at).await
                }
                Err(error) => self.wait_and_see(error, &mut failing).await,
            };
            if !more {
                return;
            }
        }
    }

    async fn pull(&mut self) -> Result<(Step, Arc<str>), AdminError> {
        let home = self.homes.borrow_and_update().get(&self.queue).cloned();
        let Home { queue, connection } = home.ok_or_else(|| {
            AdminError::Unreachable(format!("it is not known where queue {} is", self.queue))
        })?;
        let answer = connection.call_raw(&self.request(queue), Instant::now() + ANSWER).await;
        let answer = answer.map_err(|error| AdminError::of_call(error, self.queue.topic()))?;
        let step = self.read(&connection, answer)?;
        Ok((step, connection.address().clone()))
    }

    fn request(&self, queue: WireQueue) -> Pull {
        let follows = self.range.until == NO_END;
        let suspend = if follows { pull_flag::SUSPEND } else { 0 };
        Pull {
            group: GROUP.to_owned(),
            topic: queue.topic,
            queue_id: queue.id,
            queue_offset: self.range.offset,
            max_messages: MAX_MESSAGES,
            sys_flag: pull_flag::SUBSCRIPTION | suspend,
            commit_offset: 0,
            suspend_ms: SUSPEND.as_millis() as i64,
            subscription: Some(self.subscription.to_string()),
            sub_version: 0,
            expression_type: Some("TAG".to_owned()),
            max_bytes: Some(self.max_bytes),
            broker_name: Some(queue.broker),
        }
    }

    fn read(&self, connection: &Connection, answer: Command) -> Result<Step, AdminError> {
        let code = answer.response_code();
        let topic = self.queue.topic();
        if !matches!(
            code,
            ResponseCode::SUCCESS
                | ResponseCode::PULL_NOT_FOUND
                | ResponseCode::PULL_RETRY_IMMEDIATELY
                | ResponseCode::PULL_OFFSET_MOVED
        ) {
            let remark = answer.remark.unwrap_or_default();
            return Err(AdminError::refused(connection.address(), code, remark, topic));
        }
        let answer = answer.read::<PullAnswer>();
        let answer =
            answer.map_err(|error| AdminError::of_call(connection.garbled(error), topic))?;
        Ok(judge(code, answer, self.range.offset))
    }

    /// `false` when there is nothing more to do.
    async fn take(&mut self, step: Step, address: Arc<str>, asked_at: Instant) -> bool {
        match step {
            Step::Found(records, next, delta) => {
                let from = std::mem::replace(&mut self.range.offset, next);
                let (queue, until) = (self.queue.clone(), self.range.until);
                let batch = PulledBatch { queue, address, records, delta, from, until };
                return self.pulled.send(Pulled::Batch(batch)).await.is_ok();
            }
            Step::GoOn(next) => self.range.offset = next,
            // What was there at the opening has gone meanwhile.
            Step::AtEnd if self.range.until != NO_END => return false,
            Step::AtEnd if asked_at.elapsed() >= SHORTEST_SUSPEND => {}
            Step::AtEnd | Step::AskAgain => tokio::time::sleep(PAUSE).await,
        }
        true
    }

    /// Tells of the trouble, at once or when it has lasted, and waits before the next try.
    async fn wait_and_see(&mut self, error: AdminError, failing: &mut Failing) -> bool {
        let (queue, passing) = (&self.queue, error.is_passing());
        tracing::debug!(%queue, offset = self.range.offset, %error, "pull failed");
        self.trouble.notify_one();
        let now = Instant::now();
        let since = *failing.since.get_or_insert(now);
        if !passing || now.saturating_duration_since(since) >= self.patience {
            failing.since = Some(now);
            if self.pulled.send(Pulled::Trouble(error)).await.is_err() {
                return false;
            }
        }
        failing.count = failing.count.saturating_add(u32::from(passing));
        let failures = if passing { failing.count } else { u32::MAX };
        tokio::select! {
            () = tokio::time::sleep(BACKOFF.spread(failures)) => {}
            // The broker may be elsewhere now.
            _ = self.homes.changed() => {}
        }
        true
    }
}

/// A row of failed pulls.
#[derive(Debug, Default)]
struct Failing {
    /// Since the first of them, or since the reader last learned of it.
    since: Option<Instant>,
    count: u32,
}

/// What an answer with one of the codes 0, 19, 20, 21 to a pull at `offset` means.
fn judge(code: ResponseCode, answer: PullAnswer, offset: i64) -> Step {
    let next = answer.next_offset;
    match code {
        ResponseCode::SUCCESS if next > offset && !answer.messages.is_empty() => {
            Step::Found(answer.messages, next, answer.offset_delta.unwrap_or_default())
        }
        // Back, when the broker has lost what it had.
        ResponseCode::PULL_OFFSET_MOVED if next >= 0 && next != offset => Step::GoOn(next),
        ResponseCode::PULL_OFFSET_MOVED => Step::AskAgain,
        // Also code 19 moves on, over a hole in the queue's index.
        _ if next > offset => Step::GoOn(next),
        ResponseCode::PULL_NOT_FOUND => Step::AtEnd,
        _ => Step::AskAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_says_how_to_go_on() {
        let messages = Bytes::from_static(b"records");
        let none = Bytes::new();
        for (code, next, body, expected) in [
            (0, 15, &messages, Step::Found(messages.clone(), 15, 0)),
            (0, 15, &none, Step::GoOn(15)),
            // An answer that says both "found" and "stay" would bring the same ones for ever.
            (0, 10, &messages, Step::AskAgain),
            (19, 10, &none, Step::AtEnd),
            (19, 0, &none, Step::AtEnd),
            (19, 300, &none, Step::GoOn(300)),
            (20, 300, &none, Step::GoOn(300)),
            (20, 10, &none, Step::AskAgain),
            (21, 300, &none, Step::GoOn(300)),
            (21, 0, &none, Step::GoOn(0)),
            (21, 10, &none, Step::AskAgain),
            (21, -1, &none, Step::AskAgain),
        ] {
            let answer =
                PullAnswer { next_offset: next, messages: body.clone(), ..PullAnswer::default() };
            let step = judge(ResponseCode(code), answer, 10);
            assert_eq!(step, expected, "code {code}, next {next}");
        }
    }
}
