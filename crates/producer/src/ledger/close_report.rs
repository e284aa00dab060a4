//! What closing could not deliver.

use crate::{ErrorKind, Message, Outcome, Receipt};

/// What [`Producer::close`](crate::Producer::close) could not deliver.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// Messages that ended badly after `close` was called. Their callers have learned of it too.
    pub undelivered: Vec<Undelivered>,
    /// Half messages of transactions that this producer began and that are undecided as far as it
    /// knows, the oldest first; at most the first 10,000. The brokers will ask another member of
    /// the group about them.
    pub undecided: Vec<Receipt>,
}

impl CloseReport {
    /// Whether nothing failed after `close` was called, and no transaction of this producer is
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
    /// Whether it may have been stored nevertheless.
    pub outcome: Outcome,
}
