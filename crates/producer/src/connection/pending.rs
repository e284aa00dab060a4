//! Requests in flight on one connection, by their number.

use std::sync::Arc;
use std::time::Instant;

use posthaste_protocol::Command;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::CallError;
use crate::accepted::Accepted;
use crate::config::credentials::Credentials;
use crate::connection::outbox::{self, LineId, OpenAttempt};
use crate::connection::target::RouteBroker;
use crate::connection::window;

/// Who gets an answer.
#[derive(Debug)]
pub(super) enum Asker {
    /// Messages; their request holds a place in the window.
    Messages(Sent),
    /// One-way messages that went before it, and with it, are known to be worked off when it is
    /// answered.
    Probe { confirms: usize, together: usize, broker: Arc<RouteBroker>, queue: i32 },
    /// A caller.
    Call(oneshot::Sender<Result<Command, CallError>>),
    /// The answer is ignored.
    Heartbeat,
}

/// Messages whose request was handed to the connection.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) messages: Vec<OpenAttempt>,
    /// Whose attempt has ended as unanswered already, by their place; messages behind the last have not.
    /// The request's place in the window is kept: the broker is still at it.
    given_up: Vec<bool>,
    /// How many messages it carries, and how many of those whose attempt has not ended were held
    /// back for their batch to grow, or could have been.
    together: usize,
    holdable: usize,
    /// Queue that the request names.
    pub(super) queue: i32,
    /// Place of the request's first byte among all that the connection writes.
    pub(super) starts_at: u64,
    /// Whether the request had the older form with full field names.
    pub(super) v1: bool,
    /// The ordered line that waits for its end.
    pub(super) blocks: Option<LineId>,
    pub(super) signed_with: Option<Credentials>,
}

impl Sent {
    /// Messages that have just left.
    pub(super) fn new(
        messages: Vec<OpenAttempt>,
        queue: i32,
        starts_at: u64,
        v1: bool,
        blocks: Option<LineId>,
        signed_with: Option<Credentials>,
    ) -> Self {
        let together = outbox::count(&messages);
        let holdable = messages.iter().filter(|attempt| attempt.may_be_held()).count();
        let given_up = Vec::new();
        Self { messages, given_up, together, holdable, queue, starts_at, v1, blocks, signed_with }
    }

    /// Its messages, and whether their attempt has ended.
    fn members(&self) -> impl Iterator<Item = (&OpenAttempt, bool)> {
        let none = std::iter::repeat(false);
        self.messages.iter().zip(self.given_up.iter().copied().chain(none))
    }

    /// Its ordered messages whose attempt has ended: their queues wait until the request is over.
    pub(super) fn holding(&self) -> Vec<Arc<Accepted>> {
        let given_up = self.members().filter(|(_, given_up)| *given_up);
        let held = given_up.filter(|(attempt, _)| attempt.accepted.is_ordered());
        held.map(|(attempt, _)| attempt.accepted.clone()).collect()
    }

    /// The server sends these messages away. Whether it is for the first time for all of them:
    /// messages of a request stay together, or they would lose their order.
    pub(super) fn note_sent_away(&self) -> bool {
        let open = self.members().filter(|(_, given_up)| !given_up);
        let again = open.filter(|(attempt, _)| !attempt.accepted.note_sent_away());
        again.count() == 0
    }

    /// The messages whose attempt has not ended.
    pub(super) fn open(self) -> impl Iterator<Item = OpenAttempt> {
        let none = std::iter::repeat(false);
        let members = self.messages.into_iter().zip(self.given_up.into_iter().chain(none));
        members.filter(|(_, given_up)| !given_up).map(|(attempt, _)| attempt)
    }

    /// How many messages it carries.
    pub(super) fn together(&self) -> usize {
        self.together
    }

    /// How many messages have ended their attempt already.
    pub(super) fn given_up(&self) -> usize {
        let given_up = self.members().filter(|(_, given_up)| *given_up);
        given_up.map(|(attempt, _)| attempt.count()).sum()
    }

    /// Gives up the messages that are due; gives them, and when the next one is.
    fn expire(&mut self, now: Instant) -> (Vec<OpenAttempt>, Option<Instant>) {
        let mut late = Vec::new();
        let mut due: Option<Instant> = None;
        if self.given_up.is_empty() {
            if self.messages.iter().all(|attempt| attempt.until > now) {
                return (late, self.messages.iter().map(|attempt| attempt.until).min());
            }
            self.given_up = vec![false; self.messages.len()];
        }
        for (attempt, given_up) in self.messages.iter().zip(&mut self.given_up) {
            match attempt.until <= now {
                _ if *given_up => {}
                true => {
                    *given_up = true;
                    self.holdable -= usize::from(attempt.may_be_held());
                    late.push(attempt.copy());
                }
                false => due = Some(due.map_or(attempt.until, |at| at.min(attempt.until))),
            }
        }
        (late, due)
    }
}

#[derive(Debug)]
struct PendingRequest {
    asker: Asker,
    sent_at: Instant,
    /// When the place in the window is given up.
    forget_at: Instant,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Pending {
    entries: FxHashMap<i32, PendingRequest>,
    next: i32,
    /// How many requests hold a place in the window, and what they weigh.
    requests: usize,
    weight: usize,
    /// How many messages wait for their answers, and how many of them could have been held back.
    messages: usize,
    holdable: usize,
    /// Nothing in here is due before this.
    earliest: Option<Instant>,
}

impl Pending {
    /// How many requests hold a place in the window.
    pub(super) fn requests(&self) -> usize {
        self.requests
    }

    /// What they weigh there.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// How many messages wait for their answers; one-way messages are not among them.
    pub(super) fn messages_in_flight(&self) -> usize {
        self.messages
    }

    /// How many messages are on their way that could have been held back for their batch to grow.
    pub(super) fn holdable(&self) -> usize {
        self.holdable
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
        self.count(&asker);
        self.earliest = Some(self.earliest.map_or(due, |at| at.min(due)));
        self.entries.insert(opaque, PendingRequest { asker, sent_at: now, forget_at });
    }

    /// Takes the request that an answer belongs to, and when it was sent.
    pub(super) fn take(&mut self, opaque: i32) -> Option<(Asker, Instant)> {
        let entry = self.entries.remove(&opaque)?;
        self.uncount(&entry.asker);
        Some((entry.asker, entry.sent_at))
    }

    /// As [`take`](Self::take), if it is messages that the answer belongs to.
    pub(super) fn take_sent(&mut self, opaque: i32) -> Option<(Sent, Instant)> {
        let PendingRequest { asker: Asker::Messages(_), .. } = self.entries.get(&opaque)? else {
            return None;
        };
        match self.take(opaque)? {
            (Asker::Messages(sent), sent_at) => Some((sent, sent_at)),
            _ => None,
        }
    }

    fn count(&mut self, asker: &Asker) {
        if let Some(together) = asker.together() {
            self.requests += 1;
            self.weight += window::weight(together);
        }
        if let Asker::Messages(sent) = asker {
            self.messages += sent.together;
            self.holdable += sent.holdable;
        }
    }

    fn uncount(&mut self, asker: &Asker) {
        if let Some(together) = asker.together() {
            self.requests -= 1;
            self.weight -= window::weight(together);
        }
        if let Asker::Messages(sent) = asker {
            self.messages -= sent.together;
            self.holdable -= sent.holdable;
        }
    }

    /// Visits what is due: the messages of a request whose attempt ends unanswered are handed to
    /// `give_up`, with the queue that was asked for, and what is to be forgotten comes back.
    pub(super) fn expire(
        &mut self,
        now: Instant,
        mut give_up: impl FnMut(Vec<OpenAttempt>, i32),
    ) -> Vec<Asker> {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return Vec::new();
        }
        let mut earliest: Option<Instant> = None;
        let mut forgotten = Vec::new();
        for (opaque, entry) in &mut self.entries {
            let mut due = entry.forget_at;
            if let Asker::Messages(sent) = &mut entry.asker {
                self.holdable -= sent.holdable;
                let (late, next) = sent.expire(now);
                self.holdable += sent.holdable;
                due = next.map_or(due, |at| at.min(due));
                if !late.is_empty() {
                    give_up(late, sent.queue);
                }
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
        (self.requests, self.weight, self.messages, self.holdable) = (0, 0, 0, 0);
        self.earliest = None;
        entries.into_iter().map(|entry| entry.asker).collect()
    }

    /// Every request with messages.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.entries.values().filter_map(|entry| match &entry.asker {
            Asker::Messages(sent) => Some(sent),
            _ => None,
        })
    }
}

impl Asker {
    /// How many messages are in its request, if it holds a place in the window.
    fn together(&self) -> Option<usize> {
        match self {
            Self::Messages(sent) => Some(sent.together()),
            Self::Probe { together, .. } => Some(*together),
            Self::Call(_) | Self::Heartbeat => None,
        }
    }
}

fn next_after(opaque: i32) -> i32 {
    opaque.checked_add(1).unwrap_or(0)
}

/// A request into the table and out, with a thousand others in it, for the benchmarks. Takes the
/// messages of all, which are more than a thousand.
#[cfg(feature = "bench")]
pub(crate) fn operation(mut free: Vec<OpenAttempt>) -> impl FnMut() {
    let mut pending = Pending::default();
    let mut insert = move |attempt: OpenAttempt| {
        let until = attempt.until;
        let sent = Sent::new(vec![attempt], 0, 0, false, None, None);
        let opaque = pending.next_opaque();
        pending.insert(opaque, Asker::Messages(sent), Instant::now(), until, until);
        pending.take_sent(opaque.saturating_sub(1000))
    };
    move || {
        if let Some(attempt) = free.pop() {
            let sent = insert(attempt).map(|(sent, _)| sent.messages);
            free.extend(sent.into_iter().flatten());
        }
    }
}
