//! What is due: deadlines, heartbeats, and peers that have fallen silent.

use std::sync::atomic::Ordering;
use std::time::Instant;

use posthaste_protocol::request::Heartbeat;

use super::endpoint::Endpoint;
use super::wire::Wire;
use super::{SILENCE, TIMER_STEP};
use crate::connection::Peer;
use crate::connection::attempt_failure::{AttemptEnd, AttemptFailure};
use crate::connection::outbox;
use crate::connection::pending::Asker;
use crate::{ErrorKind, Outcome};

impl Endpoint {
    pub(super) fn next_due(&self, wire: &Wire) -> Instant {
        let now = Instant::now();
        let soon = now + TIMER_STEP;
        let paused = self.pause.until(now).filter(|_| !self.outbox.is_empty());
        // Without room they wait for that, and nothing is due.
        let held = self.hold.due().filter(|_| self.has_room(wire, now));
        let measured = self.window.measures_until().filter(|_| !self.outbox.is_empty());
        let silence = wire.owed_since.map(|since| (since + SILENCE).max(soon));
        let ends = [self.outbox.earliest(), wire.pending.earliest()];
        ends.into_iter()
            .flatten()
            .map(|at| at.max(soon))
            .chain(paused)
            .chain(held)
            .chain(measured)
            .chain(silence)
            .chain(wire.oneways_due.map(|at| at.max(soon)))
            .fold(wire.heartbeat_at.max(soon), Instant::min)
    }

    pub(super) fn tick(&mut self, wire: &mut Wire, now: Instant) -> Result<(), String> {
        self.expire_waiting(now);
        self.expire_pending(wire, now);
        self.expire_oneways(wire, now);
        if wire.owed_since.is_some_and(|since| now >= since + SILENCE) {
            return Err(format!("the peer owes an answer and was silent for {SILENCE:?}"));
        }
        if now >= wire.heartbeat_at {
            self.heartbeat(wire, now);
        }
        Ok(())
    }

    pub(super) fn heartbeat(&mut self, wire: &mut Wire, now: Instant) {
        let next = now + self.ledger.config().heartbeat_interval;
        wire.heartbeat_at = next;
        if self.peer == Peer::NameServer {
            return;
        }
        let heartbeat = Heartbeat { without_subscriptions: wire.known, ..self.ledger.heartbeat() };
        let opaque = wire.pending.next_opaque();
        wire.pending.insert(opaque, Asker::Heartbeat, now, next, next);
        self.ledger.config().seal.put(wire.out.text(), opaque, false, &heartbeat);
    }

    pub(super) fn expire_waiting(&mut self, now: Instant) {
        let expired = self.outbox.expire(now);
        if expired.is_empty() {
            return;
        }
        let failed = match (self.load.connected.load(Ordering::Relaxed), &self.no_connection) {
            (true, _) => {
                AttemptFailure::unsent(ErrorKind::Busy, "no room in the broker's window in time")
            }
            (false, Some(last)) => AttemptFailure {
                cause: last.cause.clone(),
                ..AttemptFailure::unsent(last.kind, &*last.reason)
            },
            (false, None) => AttemptFailure::unsent(ErrorKind::Connect, "no connection in time"),
        };
        self.report_failure(expired, &failed);
    }

    pub(super) fn expire_pending(&mut self, wire: &mut Wire, now: Instant) {
        let mut late = Vec::new();
        let forgotten = wire.pending.expire(now, |messages, queue| late.push((messages, queue)));
        if !late.is_empty() {
            self.unanswered();
        }
        for (messages, queue) in late {
            // They stay in the table, in the backlog, and in the way of their queue, until their
            // request is over: its answer may come, or it is forgotten.
            self.mailbox.keep(outbox::count(&messages));
            messages.iter().for_each(|attempt| self.ledger.lanes.hold(&attempt.accepted));
            for refused_batch in
                messages.iter().filter_map(|attempt| attempt.refused_batch.as_ref())
            {
                refused_batch.failed();
            }
            self.report_failure(messages, &unanswered(queue, "no answer in time"));
        }
        for asker in forgotten {
            match asker {
                Asker::Messages(sent) => {
                    self.mailbox.done_with(sent.together());
                    let held = sent.holding();
                    self.unblock(sent.blocks);
                    self.requests_over(held);
                }
                Asker::Probe { confirms, .. } => {
                    wire.unconfirmed = wire.unconfirmed.saturating_sub(confirms);
                }
                Asker::Call(_) | Asker::Heartbeat => {}
            }
        }
    }

    /// One-way messages whose time is up in the write buffer. They cannot be taken out of it, so
    /// they may be written yet.
    pub(super) fn expire_oneways(&mut self, wire: &mut Wire, now: Instant) {
        if wire.oneways_due.is_none_or(|due| now < due) {
            return;
        }
        let mut late = Vec::new();
        let mut due: Option<Instant> = None;
        for one in wire.oneways.iter_mut().filter(|one| !one.given_up) {
            if one.attempt.until <= now {
                one.given_up = true;
                late.push((one.attempt.copy(), one.queue));
            } else {
                due = Some(due.map_or(one.attempt.until, |at| at.min(one.attempt.until)));
            }
        }
        wire.oneways_due = due;
        for (attempt, queue) in late {
            // It stays in the backlog, and in the way of its queue, until it is written or lost.
            self.mailbox.keep(1);
            self.ledger.lanes.hold(&attempt.accepted);
            self.report_failure(vec![attempt], &unanswered(queue, "not written in time"));
        }
    }
}

fn unanswered(queue: i32, reason: &str) -> AttemptFailure {
    AttemptFailure {
        queue: Some(queue),
        outcome: Outcome::Unknown,
        ended: AttemptEnd::Unanswered,
        ..AttemptFailure::unsent(ErrorKind::Timeout, reason)
    }
}
