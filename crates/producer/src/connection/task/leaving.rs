//! Hops 5 and 6: what leaves, from the outbox into the write buffer and onto the wire.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::SILENCE;
use super::endpoint::Endpoint;
use super::retiring::Retiring;
use super::wire::{Unwritten, Wire};
use crate::ErrorKind;
use crate::accepted::lanes::EARLIER_FAILED;
use crate::accepted::{Accepted, BatchRoom, End, MOST_MESSAGES, Mode};
use crate::config::credentials::Credentials;
use crate::connection::Call;
use crate::connection::attempt::{self, Form};
use crate::connection::hold::HoldFacts;
use crate::connection::outbox::{self, OpenAttempt, OutgoingBatch};
use crate::connection::pending::{Asker, Sent};
use crate::connection::target::RouteBroker;
use crate::message::timestamp::Present;

/// No more requests are encoded while so much is not written: it is held in memory, copied or not.
pub(super) const WRITE_BUFFER: usize = 256 * 1024;
/// One in this many one-way messages goes as an ordinary request.
const ONEWAYS_PER_PROBE: usize = 64;

impl Endpoint {
    /// Lets leave what may: calls at once, messages while the window has room.
    pub(super) fn fill(&mut self, wire: &mut Wire, now: Instant) {
        while let Some(call) = self.calls.pop_front() {
            self.put_call(wire, call, now);
        }
        self.window.end_overdue_measurement(now);
        let mut present = None;
        // A task that leaves begins nothing.
        while self.leaving.is_none() && self.has_room(wire, now) {
            let facts = (self.outbox.holdable() > 0).then(|| self.hold_facts(wire));
            let hold = facts.is_some_and(|facts| self.hold.until(now, &facts).is_some());
            let (unbatched_topics, batch_bytes) =
                (&mut self.unbatched_topics, self.ledger.batch_bytes);
            let most = if self.pause.was_busy() { 1 } else { MOST_MESSAGES };
            let most_oneways = self.window.limit() * ONEWAYS_PER_PROBE - wire.unconfirmed;
            let outgoing = self.outbox.next(hold, |first| {
                let most = match first.mode {
                    Mode::Oneway => most.min(most_oneways),
                    Mode::Sync | Mode::Async => most,
                };
                BatchRoom::beside(
                    first,
                    most.min(unbatched_topics.most(first.topic(), now)),
                    batch_bytes,
                )
            });
            let Some(outgoing) = outgoing else { break };
            self.put_messages(wire, outgoing, *present.get_or_insert_with(|| Present::at(now)));
        }
        if !wire.pending.is_empty() {
            wire.owed_since.get_or_insert(now);
        }
        if self.outbox.holdable() == 0 {
            self.hold.clear();
        }
        self.show_load(wire);
    }

    /// Shows others what is in flight.
    pub(super) fn show_load(&self, wire: &Wire) {
        let load = &self.load;
        let (mut requests, mut messages) =
            (wire.pending.requests(), wire.pending.messages_in_flight());
        for Retiring { wire, .. } in &self.retiring {
            requests += wire.pending.requests();
            messages += wire.pending.messages_in_flight();
        }
        let window = self.window.limit();
        load.requests.store(requests, Ordering::Relaxed);
        load.in_flight.store(messages, Ordering::Relaxed);
        load.window.store(window, Ordering::Relaxed);
        let waiting = || self.mailbox.backlog().saturating_sub(messages);
        self.meters.show(requests, waiting, window);
    }

    pub(super) fn has_room(&self, wire: &Wire, now: Instant) -> bool {
        let limit = self.window.limit();
        wire.pending.weight() < limit
            && wire.out.len() < WRITE_BUFFER
            && wire.unconfirmed < limit * ONEWAYS_PER_PROBE
            && self.pause.until(now).is_none()
            // The end of the request that is on its way decides about the others.
            && !(self.pause.was_busy() && wire.pending.requests() > 0)
    }

    fn hold_facts(&self, wire: &Wire) -> HoldFacts {
        HoldFacts {
            waiting: self.outbox.holdable(),
            waiting_bytes: self.outbox.holdable_bytes(),
            in_flight: wire.pending.holdable(),
            round_trip: self.window.round_trip(),
            earliest: self.outbox.earliest(),
            may_linger: !self.ledger.ends_are_awaited(),
        }
    }

    pub(super) fn put_call(&mut self, wire: &mut Wire, call: Call, now: Instant) {
        let Call { mut command, answer } = call;
        let seal = &self.ledger.config().seal;
        let Some(answer) = answer else {
            // No one waits for it: a peer that asks and does not read gets none of our memory.
            if wire.out.len() < WRITE_BUFFER {
                wire.told_oneway = true;
                seal.put_command(command, wire.out.text());
            }
            return;
        };
        if !answer.is_closed() {
            // How long to wait is the caller's matter; the entry only must not stay for ever.
            let forget_at = now + 4 * SILENCE;
            command.opaque = wire.pending.next_opaque();
            wire.pending.insert(command.opaque, Asker::Call(answer), now, forget_at, forget_at);
            seal.put_command(command, wire.out.text());
        }
    }

    /// Hop 5: the request goes into the write buffer, and the messages that wait for its answer into the table.
    fn put_messages(&mut self, wire: &mut Wire, outgoing: OutgoingBatch, present: Present) {
        let Present { now, .. } = present;
        let OutgoingBatch { mut messages, blocks } = outgoing;
        let mut together = outbox::count(&messages);
        messages.retain(|attempt| {
            let may_leave = self.may_leave(&attempt.accepted);
            if !may_leave {
                together -= attempt.count();
                self.mailbox.done_with(attempt.count());
            }
            may_leave
        });
        let Some(first) = messages.first() else { return self.unblock(blocks) };
        let oneway = first.accepted.mode == Mode::Oneway;
        let probe = oneway
            && !self.ledger.config().oneway_unlimited
            && (wire.since_probe + messages.len() >= ONEWAYS_PER_PROBE || self.pause.was_busy());
        let queue = match probe {
            true => first.target.last_queue(together),
            false => first.target.next_queue(together),
        };
        let opaque = wire.pending.next_opaque();
        let form = Form { opaque, oneway: oneway && !probe, v1: self.v1 };
        let (starts_at, length) = (wire.position(), wire.out.text().len());
        let signed_with = self.put_request(wire, &mut messages, together, queue, form, present);
        self.mailbox.done_with(together - outbox::count(&messages));
        if messages.is_empty() {
            wire.out.truncate(length);
            return self.unblock(blocks);
        }
        if oneway {
            self.remember_oneways(wire, messages, queue, probe.then_some(opaque), now);
            return self.unblock(blocks);
        }
        // It waits as long as its longest message may.
        let forget_at = messages.iter().map(forget_at).max().unwrap_or(now);
        let due = messages.iter().map(|attempt| attempt.until).min().unwrap_or(now);
        let sent = Sent::new(messages, queue, starts_at, form.v1, blocks, signed_with);
        wire.pending.insert(opaque, Asker::Messages(sent), now, due, forget_at);
    }

    /// Whether a message may leave: not when its caller took it back, or an earlier one of its key has
    /// failed since it left for the first time.
    fn may_leave(&self, accepted: &Arc<Accepted>) -> bool {
        if accepted.is_ordered() && accepted.earlier_failed() {
            self.fail(accepted, ErrorKind::EarlierFailed, EARLIER_FAILED);
        }
        !accepted.has_ended()
    }

    /// Gives the credentials that the request was signed with. Messages that have ended meanwhile are
    /// not in it, and taken out.
    fn put_request(
        &mut self,
        wire: &mut Wire,
        messages: &mut Vec<OpenAttempt>,
        together: usize,
        queue: i32,
        form: Form,
        present: Present,
    ) -> Option<Credentials> {
        let first = messages.first()?;
        self.meters.request(together);
        if together == 1 {
            let put = self
                .writer(wire, &first.target.broker, queue, form, present)
                .put_message(&first.accepted);
            if put.is_none() {
                messages.clear();
            }
            return put.flatten();
        }
        let broker = first.target.broker.clone();
        self.writer(wire, &broker, queue, form, present).put_batch(messages)
    }

    fn writer<'a>(
        &'a mut self,
        wire: &'a mut Wire,
        broker: &'a RouteBroker,
        queue: i32,
        form: Form,
        present: Present,
    ) -> attempt::Writer<'a> {
        attempt::Writer {
            out: &mut wire.out,
            scratch: &mut self.scratch,
            config: self.ledger.config(),
            topic: &broker.wire_topic,
            broker: &broker.name,
            cluster: &broker.cluster,
            queue,
            template: Some(&broker.memo.template),
            form,
            present,
        }
    }

    fn remember_oneways(
        &mut self,
        wire: &mut Wire,
        messages: Vec<OpenAttempt>,
        queue: i32,
        probe: Option<i32>,
        now: Instant,
    ) {
        let together = messages.len();
        let broker = messages.first().map(|first| first.target.broker.clone());
        wire.told_oneway = true;
        wire.since_probe += together;
        if !self.ledger.config().oneway_unlimited {
            wire.unconfirmed += together;
        }
        if let (Some(opaque), Some(broker)) = (probe, broker) {
            let confirms = std::mem::take(&mut wire.since_probe);
            let forget_at = now + SILENCE;
            let asker = Asker::Probe { confirms, together, broker, queue };
            wire.pending.insert(opaque, asker, now, forget_at, forget_at);
        }
        let ends_at = wire.position();
        for attempt in messages {
            let due = attempt.until;
            wire.oneways_due = Some(wire.oneways_due.map_or(due, |at| at.min(due)));
            wire.oneways.push_back(Unwritten { attempt, queue, ends_at, given_up: false });
        }
    }

    /// Hop 6 is done for the first `length` bytes of the write buffer.
    pub(super) fn wrote(&mut self, wire: &mut Wire, length: usize) {
        wire.written += length as u64;
        let written = wire.written;
        let waits = wire.oneways.iter().position(|one| one.ends_at > written);
        let done = waits.unwrap_or(wire.oneways.len());
        if done == 0 {
            return;
        }
        let (ledger, now) = (&self.ledger, Instant::now());
        let mut held = Vec::new();
        for one in wire.oneways.drain(..done) {
            let Unwritten { attempt: OpenAttempt { accepted, .. }, given_up, .. } = one;
            if let Some(observers) = ledger.observers() {
                observers.written(&accepted);
            }
            self.written.add(ledger, &accepted, End::Written, now);
            if given_up {
                held.push(accepted);
            }
        }
        // Each is one message: a batch is not sent one-way.
        self.mailbox.done_with(done);
        self.written.tell(&self.ledger, |next| self.events.may_follow(next));
        self.requests_over(held);
    }
}

/// When the request of a message is given up that is not answered.
///
/// One that timed out keeps its place in the window for as long again: the broker may still be working
/// on it. Ordered ones hold their queue meanwhile, for twice that time: what is stored later than that
/// is out of order.
fn forget_at(attempt: &OpenAttempt) -> Instant {
    let cap = attempt.until.saturating_duration_since(attempt.since);
    let most = if attempt.accepted.is_ordered() { 2 * cap } else { cap };
    attempt.until + most
}
