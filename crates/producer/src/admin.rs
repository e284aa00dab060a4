//! Topics and offsets of a cluster.

use crate::Producer;

/// Asks and changes what a cluster has.
#[derive(Clone, Debug)]
pub struct Admin {
    producer: Producer,
}

/// How an [`Admin`] call fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// No name server or broker answered.
    #[error("{0}")]
    Unreachable(String),
}

impl Admin {
    pub(crate) fn new(producer: Producer) -> Self {
        Self { producer }
    }
}
