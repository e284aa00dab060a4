//! What belongs to one TCP connection, and ends with it.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::BytesMut;

use crate::outbox::Waiting;

/// What belongs to one TCP connection.
pub(super) struct Link {
    pub(super) out: BytesMut,
    pub(super) input: BytesMut,
    /// Bytes written since it was made.
    pub(super) written: u64,
    pub(super) last_read: Instant,
    pub(super) heartbeat_at: Instant,
    /// Whether anything of use has been read.
    pub(super) fruitful: bool,
    /// One-way messages that are not written yet, with the place at which each ends.
    pub(super) oneways: VecDeque<(u64, Waiting, i32)>,
    /// One-way messages since the last probe.
    pub(super) since_probe: usize,
    /// One-way messages written that no answered probe speaks for.
    pub(super) unconfirmed: usize,
    /// Nothing more may be written: part of what should have been has been thrown away.
    pub(super) cut: bool,
}

impl Link {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            out: BytesMut::new(),
            input: BytesMut::new(),
            written: 0,
            last_read: now,
            heartbeat_at: now,
            fruitful: false,
            oneways: VecDeque::new(),
            since_probe: 0,
            unconfirmed: 0,
            cut: false,
        }
    }

    /// Place of the next byte among all that the connection writes.
    pub(super) fn position(&self) -> u64 {
        self.written + self.out.len() as u64
    }
}
