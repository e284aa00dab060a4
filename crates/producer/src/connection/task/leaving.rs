//! Hops 5 and 6: what leaves, from the outbox into the write buffer and onto the wire.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::link::Unwritten;
use super::{SILENCE, Task};
use crate::accepted::Mode;
use crate::attempt::{self, Form};
use crate::connection::Call;
use crate::connection::pending::{Asker, Sent};
use crate::outbox::Waiting;

/// No more requests are encoded while so much is not written: encoded copies count as memory too.
pub(super) const WRITE_BUFFER: usize = 256 * 1024;
/// One in so many one-way messages goes as an ordinary request.
const ONEWAYS_PER_PROBE: usize = 64;

impl Task {
    /// Lets leave what may: calls at once, messages while the window has room.
    pub(super) fn fill(&mut self, now: Instant) {
        while let Some(call) = self.calls.pop_front() {
            self.put_call(call, now);
        }
        while self.has_room(now) {
            let Some(waiting) = self.outbox.next() else { break };
            self.put_message(waiting, now);
        }
        if !self.pending.is_empty() {
            self.link.owed_since.get_or_insert(now);
        }
        self.load.in_flight.store(self.pending.places(), Ordering::Relaxed);
        self.load.window.store(self.window.limit(), Ordering::Relaxed);
    }

    pub(super) fn has_room(&self, now: Instant) -> bool {
        let limit = self.window.limit();
        self.pending.places() < limit
            && self.link.out.len() < WRITE_BUFFER
            && self.link.unconfirmed < limit * ONEWAYS_PER_PROBE
            && self.draining.is_none()
            && self.pause.until(now).is_none()
    }

    pub(super) fn put_call(&mut self, call: Call, now: Instant) {
        let Call { mut command, answer } = call;
        if !answer.is_closed() {
            // How long to wait is the caller's matter; the entry only must not stay for ever.
            let forget_at = now + 4 * SILENCE;
            command.opaque = self.pending.next_opaque();
            self.pending.insert(command.opaque, Asker::Call(answer), now, forget_at, forget_at);
            command.encode(&mut self.link.out);
        }
    }

    /// Hop 5: the message goes into the write buffer, and its waiter into the table.
    pub(super) fn put_message(&mut self, waiting: Waiting, now: Instant) {
        let accepted = waiting.accepted.clone();
        let queue = waiting.target.next_queue();
        let oneway = accepted.mode == Mode::Oneway;
        let probe = oneway
            && !self.client.config().oneway_unlimited
            && self.link.since_probe + 1 >= ONEWAYS_PER_PROBE;
        let form =
            Form { opaque: self.pending.next_opaque(), oneway: oneway && !probe, v1: self.v1 };
        let starts_at = self.link.position();
        let broker = waiting.target.broker_name().clone();
        let left = accepted.leave(|message| {
            let (out, scratch) = (&mut self.link.out, &mut self.scratch);
            let to = (&*broker, queue);
            attempt::put_request(out, scratch, self.client.config(), &accepted, message, to, form);
        });
        if left.is_none() {
            // Its caller took it back.
            return self.done_with(1);
        }
        if oneway {
            return self.remember_oneway(waiting, queue, probe.then_some(form.opaque), now);
        }
        let until = waiting.until;
        // A timed-out request keeps its place in the window for as long again: the broker may
        // still be working on it.
        let forget_at = until + until.saturating_duration_since(waiting.since);
        let sent = Sent { waiting, queue, starts_at, given_up: false, v1: form.v1 };
        self.pending.insert(form.opaque, Asker::Message(sent), now, until, forget_at);
    }

    pub(super) fn remember_oneway(
        &mut self,
        waiting: Waiting,
        queue: i32,
        probe: Option<i32>,
        now: Instant,
    ) {
        let link = &mut self.link;
        link.since_probe += 1;
        if !self.client.config().oneway_unlimited {
            link.unconfirmed += 1;
        }
        if let Some(opaque) = probe {
            let confirms = std::mem::take(&mut link.since_probe);
            let forget_at = now + SILENCE;
            self.pending.insert(opaque, Asker::Probe { confirms }, now, forget_at, forget_at);
        }
        let due = waiting.until;
        link.oneways_due = Some(link.oneways_due.map_or(due, |at| at.min(due)));
        let ends_at = link.position();
        link.oneways.push_back(Unwritten { waiting, queue, ends_at, given_up: false });
    }

    /// Hop 6 is done for the first `length` bytes of the write buffer.
    pub(super) fn wrote(&mut self, length: usize) {
        self.link.written += length as u64;
        while self.link.oneways.front().is_some_and(|one| one.ends_at <= self.link.written) {
            let Some(one) = self.link.oneways.pop_front() else { break };
            self.client.written(&one.waiting.accepted);
            self.done_with(1);
        }
    }
}
