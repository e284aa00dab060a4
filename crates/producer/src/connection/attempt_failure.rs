//! How an attempt failed.

use std::time::Instant;

use crate::connection::answer::Remedy;
use crate::connection::outbox::OpenAttempt;
use crate::message::cause::Cause;
use crate::{Attempt, ErrorKind, Outcome};

/// How an attempt ended, as far as the next one is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptEnd {
    /// Before a byte of it was written.
    Unsent,
    /// Likewise, and the broker will not be reached with the next try either: one of the two does
    /// not trust the other.
    NoTrust,
    /// After it was written: no answer came, or the connection broke.
    Unanswered,
    /// With an answer that asks for this.
    Answered(Remedy),
}

impl AttemptEnd {
    /// Whether the next attempt waits for the route to be looked up again.
    pub(crate) fn wants_new_route(self) -> bool {
        self == Self::Answered(Remedy::TryOnceWithNewRoute)
    }
}

/// How an attempt failed.
#[derive(Debug, Clone)]
pub(crate) struct AttemptFailure {
    /// Queue, once one was chosen.
    pub(crate) queue: Option<i32>,
    pub(crate) kind: ErrorKind,
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
    /// What the system or TLS said.
    pub(crate) cause: Option<Cause>,
    pub(crate) ended: AttemptEnd,
    /// Whether the route is looked up again, since it may be out of date.
    pub(crate) refresh_route: bool,
    /// Whether the messages go singly from now on.
    pub(crate) singly: bool,
}

impl AttemptFailure {
    /// An attempt of which nothing was written.
    pub(crate) fn unsent(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self {
            queue: None,
            kind,
            outcome: Outcome::NotStored,
            reason: reason.into(),
            cause: None,
            ended: AttemptEnd::Unsent,
            refresh_route: false,
            singly: false,
        }
    }

    /// What the message's error says of the attempt.
    pub(crate) fn describe(&self, attempt: &OpenAttempt, now: Instant) -> Attempt {
        let target = &attempt.target;
        Attempt {
            broker: target.broker.name.clone(),
            address: target.broker.connection.address().clone(),
            queue: self.queue.or(target.queue),
            took: now.saturating_duration_since(attempt.since),
            kind: self.kind,
            outcome: self.outcome,
            reason: self.reason.clone(),
        }
    }
}
