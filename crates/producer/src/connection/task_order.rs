//! Orders to a connection's task, and how a call fails.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use posthaste_protocol::{Command, DecodeError, ResponseCode};
use tokio::sync::oneshot;

use super::outbox::{self, OpenAttempt};
use crate::message::cause::Cause;

/// An order to a connection's task. What is queued here is bounded by the permits of messages and
/// by the few calls that are made.
#[derive(Debug)]
pub(crate) enum TaskOrder {
    /// Send this, when there is room in the window.
    Send(OpenAttempt),
    /// Send these, which must not be torn apart.
    SendAll(Vec<OpenAttempt>),
    /// Send this at once. Boxed, because otherwise every order would be as large.
    Call(Box<Call>),
    /// Something came of a connection of this address that retires.
    Retired(u64, OldConnectionEvent),
    /// Connect and say who is there, though there is nothing to send.
    Greet,
    /// Messages were taken back; drop what has ended.
    Sweep,
    /// What lingers may leave.
    Look,
    /// End everything now, as closed; the connection ends by then.
    Abandon(Instant),
    /// Leave the producer group, write out what is there and close, by then.
    Leave(oneshot::Sender<()>, Instant),
    /// All handles of the connection are gone: finish what is there, then end.
    Unused,
}

/// A request beside messages: route look-ups, admin calls.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) command: Command,
    /// Who waits for the answer, if there is to be one.
    pub(super) answer: Option<oneshot::Sender<Result<Command, CallError>>>,
}

/// How a call fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("{address}: {reason}")]
    Connect { address: Arc<str>, reason: String, cause: Option<Cause> },
    #[error("{address}: {reason}")]
    Tls { address: Arc<str>, reason: String, for_good: bool, cause: Option<Cause> },
    #[error("{address}: the broker is not trusted: {reason}")]
    Untrusted { address: Arc<str>, reason: String },
    #[error("{address}: the connection broke: {reason}")]
    Lost { address: Arc<str>, reason: String, cause: Option<Cause> },
    #[error(
        "{address}: no answer in time; a server that does not know a request may not answer it"
    )]
    Timeout { address: Arc<str> },
    #[error("{address}: code {code}: {remark}")]
    Refused { address: Arc<str>, code: ResponseCode, remark: String },
    #[error("{address}: {error}")]
    Garbled { address: Arc<str>, error: DecodeError },
}

/// What a peer is to this producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    NameServer,
    /// Gets heartbeats.
    Broker,
}

impl TaskOrder {
    /// How many messages it brings.
    pub(super) fn messages(&self) -> usize {
        match self {
            Self::Send(attempt) => attempt.count(),
            Self::SendAll(group) => outbox::count(group),
            _ => 0,
        }
    }

    /// How many messages it is that may be held back for their batch to grow; 0 for all else.
    pub(super) fn holdable(&self) -> usize {
        match self {
            Self::Send(attempt) if attempt.may_be_held() => attempt.count(),
            _ => 0,
        }
    }
}

impl Call {
    /// There will be no answer.
    pub(super) fn fail(self, error: impl FnOnce() -> CallError) {
        if let Some(answer) = self.answer {
            // The caller may have stopped waiting.
            let _ = answer.send(Err(error()));
        }
    }
}

impl CallError {
    /// What the system or TLS said.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Connect { cause, .. } | Self::Tls { cause, .. } | Self::Lost { cause, .. } => {
                cause.as_ref()
            }
            Self::Untrusted { .. }
            | Self::Timeout { .. }
            | Self::Refused { .. }
            | Self::Garbled { .. } => None,
        }
    }
}

/// What still comes of a connection that retires.
#[derive(Debug)]
pub(crate) enum OldConnectionEvent {
    Written(usize),
    /// The next bytes are read when the sender is dropped: what comes may be more than can be decoded
    /// in the time.
    Read(BytesMut, oneshot::Sender<()>),
    /// Time has passed.
    Tick,
    Ended(String),
}
