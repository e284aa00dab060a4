//! Why a running broker does not do what a test asks of it.

use crate::error::{BrokerError, Stopped};
use crate::kit::wait::NotArrived;
use crate::store::StoreError;

/// Why a running broker does not do what a test asks of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// The broker was stopped or dropped, or has failed.
    #[error("the broker has stopped{}", .0.as_ref().map(|why| format!(", because of a bug: {why}")).unwrap_or_default())]
    Stopped(Option<String>),
    /// Stored messages cannot be read.
    #[error("what the broker has stored cannot be read: {0}")]
    Unreadable(String),
    /// Fewer messages arrived than were awaited.
    #[error("{0}")]
    NotArrived(Box<NotArrived>),
    /// No half message with this id waits for a decision.
    #[error(
        "no half message with the id {0} waits for a decision; it may be decided already, see \
         `undecided` for the ones that wait"
    )]
    Decided(String),
    /// A port or the data folder cannot be used.
    #[error(transparent)]
    Broker(BrokerError),
    /// The broker does not do it.
    #[error("the broker does not do it: {0}")]
    Refused(String),
}

impl From<Stopped> for KitError {
    fn from(Stopped(why): Stopped) -> Self {
        Self::Stopped(why)
    }
}

impl From<StoreError> for KitError {
    fn from(error: StoreError) -> Self {
        Self::Unreadable(error.to_string())
    }
}
