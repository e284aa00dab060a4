//! Why a rule is not taken, or did not do what was waited for.

use std::time::Duration;

/// Why a rule is not taken, or did not do what was waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// The rule makes no sense; the text says why, and what there is.
    #[error("{0}")]
    Senseless(String),
    /// Fewer requests were hit in time than were waited for.
    #[error(
        "the rule has hit {hits} of {wanted} requests after {} ms; {matched} requests fitted it",
        .waited.as_millis()
    )]
    Missed {
        /// How many were waited for.
        wanted: u64,
        /// How many were hit.
        hits: u64,
        /// How many fitted the rule: those hit, and those spared.
        matched: u64,
        /// How long was waited.
        waited: Duration,
    },
}
