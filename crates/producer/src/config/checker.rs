//! What an application says of its transactions.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use posthaste_protocol::request::decision;

use crate::ReadMessage;

/// What the application says of half messages.
pub(crate) type Checker = dyn Fn(ReadMessage) -> CheckAnswer + Send + Sync;

/// What it will say of one.
type CheckAnswer = Pin<Box<dyn Future<Output = TransactionState> + Send>>;

/// The decision about a half message (Java: `LocalTransactionState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionState {
    /// Consumers get it.
    Commit,
    /// No consumer ever gets it.
    Rollback,
    /// Not known yet: the broker asks the checker later.
    Unknown,
}

impl TransactionState {
    /// The decision as it travels.
    pub(crate) fn decision(self) -> i32 {
        match self {
            Self::Commit => decision::COMMIT,
            Self::Rollback => decision::ROLLBACK,
            Self::Unknown => decision::UNKNOWN,
        }
    }
}

impl fmt::Display for TransactionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            Self::Unknown => "unknown",
        })
    }
}
