//! Requests in flight on one connection, by their number.

use std::collections::HashMap;
use std::time::Instant;

use posthaste_protocol::Command;
use tokio::sync::oneshot;

use super::CallError;
use crate::outbox::Waiting;

/// Who gets an answer.
#[derive(Debug)]
pub(super) enum Asker {
    /// A message; it holds a place in the window.
    Message(Sent),
    /// One-way messages that went before it are known to be worked off when it is answered.
    Probe { confirms: usize },
    /// A caller.
    Call(oneshot::Sender<Result<Command, CallError>>),
    /// Nobody looks at the answer.
    Heartbeat,
}

/// A message whose request was handed to the connection.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) waiting: Waiting,
    /// Queue that the request names.
    pub(super) queue: i32,
    /// Place of the request's first byte among all that the connection writes.
    pub(super) starts_at: u64,
    /// Whether its attempt has ended as unanswered already. The place in the window is kept: the
    /// broker is still at it.
    pub(super) given_up: bool,
    /// Whether the request had the older form with full field names.
    pub(super) v1: bool,
}

#[derive(Debug)]
struct Entry {
    asker: Asker,
    sent_at: Instant,
    /// When the place in the window is given up.
    forget_at: Instant,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Pending {
    entries: HashMap<i32, Entry>,
    next: i32,
    /// How many of the entries hold a place in the window.
    places: usize,
    /// Nothing in here is due before this.
    earliest: Option<Instant>,
}

impl Pending {
    /// How many requests hold a place in the window.
    pub(super) fn places(&self) -> usize {
        self.places
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A time before which nothing in here is due.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// A number that no request in flight has.
    pub(super) fn next_opaque(&mut self) -> i32 {
        let mut opaque = self.next;
        while self.entries.contains_key(&opaque) {
            opaque = next_after(opaque);
        }
        self.next = next_after(opaque);
        opaque
    }

    /// Remembers a request. It becomes due at `due` and is forgotten at `forget_at`.
    pub(super) fn insert(
        &mut self,
        opaque: i32,
        asker: Asker,
        now: Instant,
        due: Instant,
        forget_at: Instant,
    ) {
        self.places += usize::from(asker.holds_place());
        self.earliest = Some(self.earliest.map_or(due, |at| at.min(due)));
        self.entries.insert(opaque, Entry { asker, sent_at: now, forget_at });
    }

    /// Takes the request that an answer belongs to, and when it was sent.
    pub(super) fn take(&mut self, opaque: i32) -> Option<(Asker, Instant)> {
        let entry = self.entries.remove(&opaque)?;
        self.places -= usize::from(entry.asker.holds_place());
        Some((entry.asker, entry.sent_at))
    }

    /// Visits what is due: messages whose attempt ends unanswered are handed to `give_up`, and
    /// what is to be forgotten comes back.
    pub(super) fn expire(
        &mut self,
        now: Instant,
        mut give_up: impl FnMut(&mut Sent),
    ) -> Vec<Asker> {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return Vec::new();
        }
        let mut earliest: Option<Instant> = None;
        let mut forgotten = Vec::new();
        for (opaque, entry) in &mut self.entries {
            let mut due = entry.forget_at;
            match &mut entry.asker {
                Asker::Message(sent) if !sent.given_up && sent.waiting.until <= now => {
                    sent.given_up = true;
                    give_up(sent);
                }
                Asker::Message(sent) if !sent.given_up => due = due.min(sent.waiting.until),
                _ => {}
            }
            if entry.forget_at <= now {
                forgotten.push(*opaque);
            } else {
                earliest = Some(earliest.map_or(due, |at| at.min(due)));
            }
        }
        self.earliest = earliest;
        forgotten.iter().filter_map(|opaque| self.take(*opaque)).map(|(asker, _)| asker).collect()
    }

    /// Takes everything out, in the order of sending.
    pub(super) fn drain(&mut self) -> Vec<Asker> {
        let mut entries: Vec<_> = self.entries.drain().map(|(_, entry)| entry).collect();
        entries.sort_by_key(|entry| entry.sent_at);
        self.places = 0;
        self.earliest = None;
        entries.into_iter().map(|entry| entry.asker).collect()
    }

    /// Every message in flight.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Sent> {
        self.entries.values().filter_map(|entry| match &entry.asker {
            Asker::Message(sent) => Some(sent),
            _ => None,
        })
    }
}

impl Asker {
    fn holds_place(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Probe { .. })
    }
}

fn next_after(opaque: i32) -> i32 {
    opaque.checked_add(1).unwrap_or(0)
}
