//! A transaction that has begun.

use std::fmt;
use std::sync::Arc;

use super::runtime::Runtime;
use crate::{Receipt, TransactionError};

/// As the asynchronous [`Transaction`](crate::Transaction): its half message is stored, and no
/// consumer sees it. Dropped undecided, it is left to the transaction checker.
#[must_use = "dropped undecided, it is left to the transaction checker"]
pub struct Transaction {
    transaction: crate::Transaction,
    runtime: Arc<Runtime>,
}

impl Transaction {
    pub(super) fn new(transaction: crate::Transaction, runtime: Arc<Runtime>) -> Self {
        Self { transaction, runtime }
    }

    /// The unique id of the message; the checker and consumers see the same.
    pub fn message_id(&self) -> &str {
        self.transaction.message_id()
    }

    /// Where the half message is stored.
    pub fn receipt(&self) -> &Receipt {
        self.transaction.receipt()
    }

    /// Has consumers get the message; returns when the broker has confirmed it, at the deadline at
    /// the latest.
    ///
    /// # Errors
    /// See [`commit`](crate::Transaction::commit) of the asynchronous transaction.
    pub fn commit(self) -> Result<(), TransactionError> {
        self.runtime.wait(self.transaction.commit())
    }

    /// Drops the message; returns when the broker has confirmed it, at the deadline at the latest.
    ///
    /// # Errors
    /// See [`rollback`](crate::Transaction::rollback) of the asynchronous transaction.
    pub fn rollback(self) -> Result<(), TransactionError> {
        self.runtime.wait(self.transaction.rollback())
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.transaction.fmt(f)
    }
}
