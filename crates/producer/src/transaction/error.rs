//! Why a transaction did not begin, or did not end.

use std::error::Error;
use std::fmt;

use super::TransactionState;
use crate::{ErrorKind, Outcome, Receipt, SendError};

/// A transaction that did not begin, or whose end the broker may not know.
///
/// In the second case nothing is lost: the broker asks the
/// [`transaction_checker`](crate::ProducerBuilder::transaction_checker), which should give the same
/// answer.
pub struct TransactionError(Box<Case>);

enum Case {
    NotBegun(SendError),
    NotEnded {
        state: TransactionState,
        kind: ErrorKind,
        outcome: Outcome,
        reason: String,
        receipt: Receipt,
    },
}

impl TransactionError {
    pub(super) fn not_begun(error: SendError) -> Self {
        Self(Box::new(Case::NotBegun(error)))
    }

    pub(super) fn not_ended(
        state: TransactionState,
        kind: ErrorKind,
        outcome: Outcome,
        reason: String,
        receipt: Receipt,
    ) -> Self {
        Self(Box::new(Case::NotEnded { state, kind, outcome, reason, receipt }))
    }

    /// Why.
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Case::NotBegun(error) => error.kind(),
            Case::NotEnded { kind, .. } => *kind,
        }
    }

    /// Of a transaction that has not begun: whether a half message may be stored. Of one that has:
    /// whether the broker may know its end ([`Unknown`](Outcome::Unknown)), or certainly does not.
    pub fn outcome(&self) -> Outcome {
        match &*self.0 {
            Case::NotBegun(error) => error.outcome(),
            Case::NotEnded { outcome, .. } => *outcome,
        }
    }

    /// The half message, of a transaction that has begun.
    pub fn receipt(&self) -> Option<&Receipt> {
        match &*self.0 {
            Case::NotBegun(_) => None,
            Case::NotEnded { receipt, .. } => Some(receipt),
        }
    }

    /// The error of the half message, with the message, of a transaction that has not begun.
    pub fn into_send_error(self) -> Option<SendError> {
        match *self.0 {
            Case::NotBegun(error) => Some(error),
            Case::NotEnded { .. } => None,
        }
    }

    /// What to do about it, in a sentence or two.
    pub fn help(&self) -> String {
        match &*self.0 {
            Case::NotBegun(error) => error.help(),
            Case::NotEnded { state, .. } => format!(
                "Nothing, if the transaction checker also answers {state}: the broker will ask \
                 it. Check that the broker runs."
            ),
        }
    }
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Case::NotBegun(error) => write!(f, "the transaction has not begun: {error}"),
            Case::NotEnded { state, kind, outcome, reason, receipt } => {
                let told = match outcome {
                    Outcome::NotStored => "was not told to",
                    Outcome::Unknown => "may not know that it should",
                };
                let (queue, id) = (receipt.queue(), receipt.message_id());
                write!(f, "broker {} {told} {state} message {id}: {kind}", queue.broker())?;
                match reason.is_empty() {
                    true => Ok(()),
                    false => write!(f, ": {reason}"),
                }
            }
        }
    }
}

impl fmt::Debug for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionError")
            .field("kind", &self.kind())
            .field("outcome", &self.outcome())
            .field("receipt", &self.receipt())
            .field("text", &format_args!("{self}"))
            .finish()
    }
}

impl Error for TransactionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Case::NotBegun(error) => Some(error),
            Case::NotEnded { .. } => None,
        }
    }
}
