//! Closing: what is accepted drains, and what does not is reported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Client;
use crate::connection::TaskOrder;
use crate::observers::Observers;
use crate::{CloseReport, ErrorKind};

/// How long beyond its time closing may take to leave the group, on all connections at once: a tenth of a
/// second, less what waking up takes.
const GOODBYE: Duration = Duration::from_millis(80);
/// How long the ends of messages are waited for when time is up. Each comes at once, from the part
/// that has the message; the report has them all.
const ENDS: Duration = Duration::from_secs(5);

impl Client {
    /// Drains until `deadline`, ends what is left, says goodbye to the brokers; the message trace does
    /// the same meanwhile.
    pub(crate) async fn close(self: &Arc<Self>, deadline: Instant) -> CloseReport {
        self.ledger.begin_closing();
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
                connection.order(TaskOrder::Leave(left, leave_by));
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
            if let Some(trace) = self.ledger.observers().and_then(Observers::trace) {
                trace.close(deadline).await;
            }
        };
        let _ = tokio::join!(tokio::time::timeout_at(leave_by.into(), goodbye), trace);
        self.let_go();
        CloseReport {
            undelivered: std::mem::take(&mut *self.ledger.undelivered()),
            undecided: self.ledger.transactions.take(),
        }
    }

    async fn all_ended(&self) {
        self.ledger.all_ended(|| self.ledger.in_flight() == 0).await;
    }

    async fn abandon(self: &Arc<Self>, leave_by: Instant) {
        self.ledger.begin_abandoning();
        self.ledger.stopped.cancel();
        for connection in self.connections() {
            connection.order(TaskOrder::Abandon(leave_by));
        }
        for accepted in self.ledger.lanes.all_waiting() {
            self.fail(&accepted, ErrorKind::Closed, "closing ran out of time");
        }
        let _ = tokio::time::timeout(ENDS, self.all_ended()).await;
    }
}
