//! What is settled when a message is accepted.

use std::task::Waker;
use std::time::Instant;

use posthaste_protocol::id::UniqueId;

use super::epoch::Epoch;
use super::sharing::Sharing;

/// Who waits for the end, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The caller awaits the receipt; dropping its future takes back what has not left.
    Sync,
    /// A [`Delivery`](crate::Delivery) stands for the receipt.
    Async,
    /// No receipt: the end is that the bytes are written.
    Oneway,
}

/// What is settled when a message is accepted.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) id: UniqueId,
    /// When it was accepted.
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
    pub(crate) epoch: Epoch,
    pub(crate) mode: Mode,
    pub(crate) sharing: Sharing,
    pub(crate) permit: Permit,
    /// Bytes that a broker stores.
    pub(crate) stored_bytes: u32,
    /// Who is woken by the end, if that is known.
    pub(crate) waker: Option<Waker>,
}

/// What a message, or a batch, takes of the bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permit {
    pub(crate) messages: u32,
    pub(crate) bytes: u32,
}
