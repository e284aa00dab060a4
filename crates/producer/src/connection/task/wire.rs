//! What belongs to one TCP connection, and ends with it: what is in flight on it, and its buffers.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use bytes::BytesMut;
use posthaste_protocol::answer::StoredReader;

use crate::ErrorKind;
use crate::connection::attempt_failure::{AttemptEnd, AttemptFailure};
use crate::connection::outbox::OpenAttempt;
use crate::connection::outgoing::Outgoing;
use crate::connection::pending::Pending;
use crate::message::cause::Cause;

/// What belongs to one TCP connection.
pub(super) struct Wire {
    /// Requests that wait for their answers.
    pub(super) pending: Pending,
    pub(super) out: Outgoing,
    pub(super) input: BytesMut,
    pub(super) answers: StoredReader,
    /// Bytes written since it was made.
    pub(super) written: u64,
    /// Up to here another part writes, and reports later: it may be on the wire already.
    pub(super) handed_over: u64,
    /// Since when the peer owes an answer and has said nothing.
    pub(super) owed_since: Option<Instant>,
    pub(super) heartbeat_at: Instant,
    /// The broker has what heartbeats with a fingerprint need not repeat.
    pub(super) known: bool,
    /// The server goes away: nothing new is sent here.
    pub(super) goes_away: bool,
    /// Whether anything of use has been read.
    pub(super) fruitful: bool,
    /// One-way messages that are not written yet.
    pub(super) oneways: VecDeque<Unwritten>,
    /// None of them is due before this.
    pub(super) oneways_due: Option<Instant>,
    /// One-way messages since the last probe.
    pub(super) since_probe: usize,
    /// One-way messages written that no answered probe speaks for.
    pub(super) unconfirmed: usize,
    /// Something went out whose arrival no answer confirms.
    pub(super) told_oneway: bool,
    pub(super) yield_probe: YieldProbe,
    /// Nothing more may be written: part of what should have been has been thrown away.
    pub(super) cut: bool,
    /// The peer has refused to talk to us, before it read anything of what was written.
    pub(super) no_trust: bool,
    /// What the system or TLS said when it broke.
    pub(super) broken_by: Option<Cause>,
}

/// Whether others are about to send when one does. Requests in flight say so; one-way messages have
/// none, so it is tried now and then whether waiting for others brings any.
#[derive(Default)]
pub(super) struct YieldProbe {
    /// It is tried again after this many turns.
    off: u32,
}

impl YieldProbe {
    /// After a yield that brought nothing, skip this many turns.
    const PAUSE: u32 = 32;

    pub(super) fn is_due(&mut self) -> bool {
        self.off = self.off.saturating_sub(1);
        self.off == 0
    }

    /// Whether others came.
    pub(super) fn brought(&mut self, others: bool) {
        self.off = if others { 0 } else { Self::PAUSE };
    }
}

/// A one-way message in the write buffer.
pub(super) struct Unwritten {
    pub(super) attempt: OpenAttempt,
    pub(super) queue: i32,
    /// Place of the byte after its last among all that the connection writes.
    pub(super) ends_at: u64,
    /// Whether its attempt has ended already.
    pub(super) given_up: bool,
}

impl Wire {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            pending: Pending::default(),
            out: Outgoing::default(),
            input: BytesMut::new(),
            answers: StoredReader::default(),
            written: 0,
            handed_over: 0,
            owed_since: None,
            heartbeat_at: now,
            known: false,
            goes_away: false,
            fruitful: false,
            oneways: VecDeque::new(),
            told_oneway: false,
            yield_probe: YieldProbe::default(),
            oneways_due: None,
            since_probe: 0,
            unconfirmed: 0,
            cut: false,
            no_trust: false,
            broken_by: None,
        }
    }

    /// What lies before this may have been read by the peer.
    pub(super) fn may_be_read(&self) -> u64 {
        self.written.max(self.handed_over)
    }

    /// Place of the next byte among all that the connection writes.
    pub(super) fn position(&self) -> u64 {
        self.written + self.out.len() as u64
    }

    /// It broke. A peer that refuses our certificate says so only now.
    pub(super) fn broke(&mut self, error: io::Error) -> String {
        #[cfg(feature = "tls")]
        {
            self.no_trust = !self.fruitful && crate::net::tls::refuses_us(&error);
        }
        let reason = error.to_string();
        self.broken_by = Some(error.into());
        reason
    }

    /// How an attempt failed when it broke before the request was on the wire, or when the peer has
    /// read nothing.
    pub(super) fn failure_of(&self, queue: i32, reason: &str) -> AttemptFailure {
        let (kind, ended) = match self.no_trust {
            true => (ErrorKind::Tls, AttemptEnd::NoTrust),
            false => (ErrorKind::ConnectionLost, AttemptEnd::Unsent),
        };
        AttemptFailure {
            queue: Some(queue),
            cause: self.broken_by.clone(),
            refresh_route: true,
            ended,
            ..AttemptFailure::unsent(kind, reason)
        }
    }
}
