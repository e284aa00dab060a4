//! Closing: what is accepted drains, and what does not is reported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::client::Client;
use crate::connection::Order;
use crate::observers::Observers;
use crate::{ErrorKind, Message, Outcome, Receipt};

/// How long beyond its time closing may take to leave the group, on all connections at once: a tenth of a
/// second, less what waking up takes.
const GOODBYE: Duration = Duration::from_millis(80);
/// How long the ends of messages are waited for when time is up. Every one comes at once, by whoever has the
/// message; the report has them all.
const ENDS: Duration = Duration::from_secs(5);

/// What [`Producer::close`](crate::Producer::close) could not deliver.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// Messages that ended badly after `close` was called. Their callers have been told too.
    pub undelivered: Vec<Undelivered>,
    /// Half messages of transactions that were begun here and are not decided, as far as is known
    /// here, the oldest first; of very many the first 10,000. The brokers will ask another member
    /// of the group about them.
    pub undecided: Vec<Receipt>,
}

impl CloseReport {
    /// Whether nothing failed after `close` was called, and no transaction that was begun here is
    /// undecided. Sends that failed before are not in the report: see [`Stats`](crate::Stats).
    pub fn is_clean(&self) -> bool {
        self.undelivered.is_empty() && self.undecided.is_empty()
    }
}

/// One message that closing could not deliver.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Undelivered {
    /// The message.
    pub message: Message,
    /// Why.
    pub kind: ErrorKind,
    /// Whether it may have been stored all the same.
    pub outcome: Outcome,
}

impl Client {
    /// Drains until `deadline`, ends what is left, says goodbye to the brokers; the message trace does
    /// the same meanwhile.
    pub(crate) async fn close(self: &Arc<Self>, deadline: Instant) -> CloseReport {
        self.begin_closing();
        self.end_lingering();
        let leave_by = deadline + GOODBYE;
        let drained = tokio::time::timeout_at(deadline.into(), self.all_ended()).await;
        if drained.is_err() {
            self.abandon(leave_by).await;
        }
        let goodbyes: Vec<_> = self
            .all_connections()
            .into_iter()
            .map(|connection| {
                let (left, gone) = oneshot::channel();
                connection.order(Order::Leave(left, leave_by));
                gone
            })
            .collect();
        let goodbye = async {
            for gone in goodbyes {
                // A task that is gone has said its goodbye.
                let _ = gone.await;
            }
        };
        let trace = async {
            if let Some(trace) = self.observers().and_then(Observers::trace) {
                trace.close(deadline).await;
            }
        };
        let _ = tokio::join!(tokio::time::timeout_at(leave_by.into(), goodbye), trace);
        self.let_go();
        CloseReport {
            undelivered: std::mem::take(&mut *self.undelivered()),
            undecided: self.transactions.take(),
        }
    }

    async fn all_ended(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // Listen before looking, or the last end could slip in between.
            ended.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            ended.await;
        }
    }

    async fn abandon(self: &Arc<Self>, leave_by: Instant) {
        self.begin_abandoning();
        self.stopped.cancel();
        for connection in self.connections() {
            connection.order(Order::Abandon(leave_by));
        }
        for accepted in self.lanes.all_waiting() {
            self.fail(&accepted, ErrorKind::Closed, "closing ran out of time");
        }
        let _ = tokio::time::timeout(ENDS, self.all_ended()).await;
    }
}
