//! The way back: answers, and what each means for its message.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::{Buf as _, BytesMut};
use posthaste_protocol::answer::Stored;
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::{Empty, HeartbeatAnswer};
use posthaste_protocol::{
    Command, DecodeError, Frame, FrameView, RequestCode, ResponseCode, command,
};

use super::endpoint::Endpoint;
use super::leaving::WRITE_BUFFER;
use super::wire::Wire;
use crate::ErrorKind;
use crate::accepted::lanes::EARLIER_FAILED;
use crate::accepted::{Accepted, End, Sharing};
use crate::connection::WayBack;
use crate::connection::answer::{Remedy, Verdict};
use crate::connection::attempt;
use crate::connection::attempt_failure::{AttemptEnd, AttemptFailure};
use crate::connection::course::{Course, Facts, course};
use crate::connection::outbox::OpenAttempt;
use crate::connection::pending::{Asker, Sent};
use crate::connection::refused_batch::{self, RefusedBatch};
use crate::connection::target::RouteBroker;
use crate::connection::window::Trip;
use crate::message::KNOWS_ALL_WISHES;
use crate::message::receipt;
use crate::observers::StoredAt;

impl Endpoint {
    pub(super) fn receive(&mut self, wire: &mut Wire) -> Result<(), String> {
        let received = self.receive_all(wire, Instant::now());
        // Before the permits go back: who gets one looks at the backlog.
        self.mailbox.done_with(std::mem::take(&mut self.answered_now));
        self.stored.tell(&self.ledger, |next| self.events.may_follow(next));
        received
    }

    fn receive_all(&mut self, wire: &mut Wire, now: Instant) -> Result<(), String> {
        wire.owed_since = None;
        // Out of the link while it is read: what most frames say is not copied out of it.
        let mut input = std::mem::take(&mut wire.input);
        let received = self.receive_frames(wire, &mut input, now);
        wire.input = input;
        received.map_err(|error| error.to_string())
    }

    fn receive_frames(
        &mut self,
        wire: &mut Wire,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<(), DecodeError> {
        while let Some(frame) = FrameView::of_first(input, MAX_FRAME)? {
            if let Some(stored) = wire.answers.peek(frame)
                && let Some((sent, trip)) = self.take_sent(wire, stored.opaque, now)
            {
                wire.fruitful = true;
                self.stored(sent, &stored, &trip);
                input.advance(frame.length);
                continue;
            }
            let Some(frame) = Frame::take(input, MAX_FRAME)? else { break };
            let command = Command::decode(frame)?;
            if command.is_answer() && command.response_code() == ResponseCode::GO_AWAY {
                wire.goes_away = true;
            } else {
                wire.fruitful = true;
            }
            if command.is_answer() {
                self.take_answer(wire, command, now);
            } else {
                self.answer_peer(wire, &command);
            }
        }
        Ok(())
    }

    /// Takes the messages that an answer belongs to, if it is they that it belongs to.
    fn take_sent(&mut self, wire: &mut Wire, opaque: i32, now: Instant) -> Option<(Sent, Trip)> {
        let in_flight = wire.pending.weight();
        let (sent, sent_at) = wire.pending.take_sent(opaque)?;
        Some((sent, Trip { now, took: now.saturating_duration_since(sent_at), in_flight }))
    }

    fn take_answer(&mut self, wire: &mut Wire, answer: Command, now: Instant) {
        if let Some((sent, trip)) = self.take_sent(wire, answer.opaque, now) {
            return match Stored::of(&answer) {
                Ok(Some(stored)) => self.stored(sent, &stored, &trip),
                Ok(None) | Err(_) => self.take_refusal(sent, &answer, now),
            };
        }
        let in_flight = wire.pending.weight();
        let Some((asker, sent_at)) = wire.pending.take(answer.opaque) else {
            tracing::debug!(address = %self.address, opaque = answer.opaque, "answer to no request");
            return;
        };
        match asker {
            // The caller may have stopped waiting.
            Asker::Call(caller) => drop(caller.send(Ok(answer))),
            Asker::Heartbeat => self.met(wire, &answer),
            Asker::Messages(_) => {}
            Asker::Probe { confirms, together, broker, queue } => {
                wire.unconfirmed = wire.unconfirmed.saturating_sub(confirms);
                let took = now.saturating_duration_since(sent_at);
                match answer.response_code() {
                    ResponseCode::SYSTEM_BUSY | ResponseCode::FLOW_CONTROL => self.broker_busy(now),
                    code if together > 1 && refused_batch::may_refuse_batches(code) => {
                        self.unbatched_topics.add(&broker.topic, now);
                    }
                    code if code.means_stored() => {
                        self.answered(&Trip { now, took, in_flight }, together);
                    }
                    _ => self.probe_refused(&broker, queue, &answer),
                }
            }
        }
    }

    /// One in every few one-way messages is answered. If the answer refuses it, what it says about the
    /// route counts for the messages that follow.
    fn probe_refused(&self, broker: &RouteBroker, queue: i32, answer: &Command) {
        let verdict = attempt::refusal(answer).verdict;
        if verdict.remedy == Remedy::AnotherQueue {
            broker.memo.end_at(queue);
        }
        if verdict.refresh_route {
            self.events.route_in_doubt(&broker.topic);
        }
    }

    /// The answer to a heartbeat.
    fn met(&mut self, wire: &mut Wire, answer: &Command) {
        self.load.version.store(answer.version, Ordering::Relaxed);
        let told = answer.read::<HeartbeatAnswer>().unwrap_or_default();
        wire.known = self.ledger.config().heartbeat_v2
            && told.supports_v2 == Some(true)
            && told.subscriptions_changed != Some(true);
    }

    fn stored(&mut self, mut sent: Sent, stored: &Stored<'_>, trip: &Trip) {
        let Some(first) = sent.messages.first() else { return };
        let together = sent.together();
        self.answered(trip, together);
        if first.accepted.sharing == Sharing::Alone {
            self.warn_if_passed_over(&first.accepted);
        }
        self.answered_now += together;
        let queue = first.target.broker.queue(stored.queue_id);
        let ids = sent.messages.iter().flat_map(|attempt| attempt.accepted.ids());
        let mut receipts = receipt::receipts(stored, queue, ids, together);
        let at = StoredAt { address: &self.address, trace_on: stored.trace_on != Some(false) };
        for OpenAttempt { accepted, refused_batch, .. } in &sent.messages {
            let end = match accepted.count() {
                1 => receipts.next().map(End::Stored),
                count => Some(End::BatchStored(receipts.by_ref().take(count).collect())),
            };
            let Some(end) = end else { break };
            if let Some(observers) = self.ledger.observers() {
                observers.stored(accepted, &end, at);
            }
            self.stored.add(&self.ledger, accepted, end, trip.now);
            if refused_batch.as_ref().is_some_and(|refused_batch| refused_batch.stored(together)) {
                self.unbatched_topics.add(accepted.topic(), trip.now);
            }
        }
        self.unblock(sent.blocks.take());
        self.requests_over(sent.holding());
    }

    /// Old brokers store what they do not know how to treat as an ordinary message. Said once for
    /// each wish: it concerns all messages that have it.
    fn warn_if_passed_over(&mut self, accepted: &Accepted) {
        let version = self.load.version.load(Ordering::Relaxed);
        if version == 0 || version >= KNOWS_ALL_WISHES {
            return;
        }
        let wishes = accepted.with_content(|content| content.first.passed_over_by(version));
        for (wish, needed) in wishes.unwrap_or_default() {
            if !self.passed_over.contains(&wish) {
                self.passed_over.push(wish);
                let (address, topic) = (&self.address, accepted.topic());
                tracing::warn!(
                    %address, %topic, version, needed,
                    "the broker is too old for a {wish}: its messages are delivered as ordinary \
                     messages"
                );
            }
        }
    }

    /// A request of this many messages was stored.
    fn answered(&mut self, trip: &Trip, together: usize) {
        self.window.answered(trip, together);
        self.meters.answered(trip.took);
        self.pause.succeeded();
        let avoidance = &self.ledger.config().avoidance;
        if self.load.health.answered(avoidance, trip.now, trip.took) {
            self.events.broker_left_out();
        }
    }

    fn take_refusal(&mut self, mut sent: Sent, answer: &Command, now: Instant) {
        let (blocks, held) = (sent.blocks.take(), sent.holding());
        self.refuse(sent, answer, now);
        self.unblock(blocks);
        self.requests_over(held);
    }

    fn refuse(&mut self, sent: Sent, answer: &Command, now: Instant) {
        let (code, refusal) = (answer.response_code(), attempt::refusal(answer));
        let verdict = refusal.verdict;
        if verdict.remedy == Remedy::AnotherQueue
            && let Some(first) = sent.messages.first()
        {
            first.target.broker.memo.end_at(sent.queue);
        }
        if code == ResponseCode::GO_AWAY {
            self.ledger.counts().sent_away.add(1);
        }
        match course(code, verdict, self.facts(&sent, code, verdict)) {
            Course::Pause => {
                self.broker_busy(now);
                self.put_back(sent);
            }
            Course::OlderForm => {
                self.v1 = true;
                self.put_back(sent);
            }
            Course::SmallerBatches => self.go_in_smaller_batches(sent),
            Course::NextServer => {
                if let Some(first) = sent.messages.first() {
                    self.events.route_in_doubt(first.accepted.topic());
                }
                self.put_back(sent);
            }
            Course::Failed { remedy, singly } => {
                let queue = Some(sent.queue);
                self.fail_refused(
                    sent,
                    &AttemptFailure {
                        cause: None,
                        queue,
                        kind: verdict.kind,
                        outcome: verdict.outcome,
                        reason: refusal.reason,
                        ended: AttemptEnd::Answered(remedy),
                        refresh_route: verdict.refresh_route,
                        singly,
                    },
                );
            }
        }
    }

    fn facts(&self, sent: &Sent, code: ResponseCode, verdict: Verdict) -> Facts {
        let config = self.ledger.config();
        Facts {
            together: sent.together(),
            shared: sent.messages.len() > 1,
            v1: sent.v1,
            sent_away_before: code == ResponseCode::GO_AWAY && !sent.note_sent_away(),
            credentials_renewed: verdict.kind == ErrorKind::Denied
                && config.seal.has_changed(&sent.signed_with),
            retried_code: config.retry_codes.contains(&code),
        }
    }

    fn fail_refused(&mut self, sent: Sent, failed: &AttemptFailure) {
        let given_up = sent.given_up();
        let messages: Vec<OpenAttempt> = sent.open().collect();
        for refused_batch in messages.iter().filter_map(|attempt| attempt.refused_batch.as_ref()) {
            refused_batch.failed();
        }
        self.mailbox.done_with(given_up);
        self.report_failed_request(messages, failed);
    }

    /// A refused batch was not stored. Whether it is the batch that the broker does not like, or
    /// one of the messages, shows when they go in smaller ones, and at the end singly.
    fn go_in_smaller_batches(&mut self, sent: Sent) {
        let together = sent.messages.len();
        tracing::debug!(address = %self.address, together, "batch refused; halved");
        let refused_batch = RefusedBatch::of(together);
        let mut sent = sent;
        for attempt in &mut sent.messages {
            attempt.accepted.limit_batch(together / 2);
            attempt.refused_batch.get_or_insert_with(|| refused_batch.clone());
        }
        self.put_back(sent);
    }

    /// A broker that refuses gets less, and nothing for a moment.
    pub(super) fn broker_busy(&mut self, now: Instant) {
        self.meters.counts.busy(1);
        self.window.busy(now);
        self.pause.busy(now, fastrand::f64());
    }

    /// What was certainly not stored goes back to the head of its line.
    pub(super) fn put_back(&mut self, sent: Sent) {
        let together = sent.together();
        let mut kept = 0;
        for attempt in sent.open().collect::<Vec<_>>().into_iter().rev() {
            let accepted = &attempt.accepted;
            accepted.returned_to_line();
            if accepted.earlier_failed() {
                self.fail(accepted, ErrorKind::EarlierFailed, EARLIER_FAILED);
            }
            if !accepted.has_ended() {
                kept += accepted.count();
                self.outbox.push_front(attempt);
            }
        }
        if kept > 0 {
            // They have lingered.
            self.hold.came_back();
        }
        self.mailbox.done_with(together - kept);
    }

    /// A request from the peer.
    pub(super) fn answer_peer(&mut self, wire: &mut Wire, request: &Command) {
        let code = request.request_code();
        tracing::debug!(address = %self.address, %code, "request from the peer");
        let (answer, remark) = match code {
            // Never answered, also where a proxy does not call it one-way.
            RequestCode::CHECK_TRANSACTION_STATE => {
                let (address, mailbox) = (self.address.clone(), self.mailbox.clone());
                let way_back = WayBack { address, mailbox };
                return self.events.transaction_asked(way_back, request);
            }
            RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT => match self.events.reply_came(request) {
                Ok(()) => (ResponseCode::SUCCESS, None),
                Err(error) => (ResponseCode::SYSTEM_ERROR, Some(error.to_string())),
            },
            RequestCode(code) => {
                let remark = format!(" request type {code} not supported");
                (ResponseCode::REQUEST_CODE_NOT_SUPPORTED, Some(remark))
            }
        };
        // A peer that asks and does not read gets no answers, rather than all of our memory.
        if !request.is_oneway() && wire.out.len() < WRITE_BUFFER {
            let out = wire.out.text();
            command::put_answer(out, request.opaque, answer, remark.as_deref(), &Empty);
        }
    }
}
