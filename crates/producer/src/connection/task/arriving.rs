//! The way back: answers, and what each means for its message.

use std::time::Instant;

use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::Empty;
use posthaste_protocol::{Command, Frame, RequestCode, ResponseCode, command};

use super::leaving::WRITE_BUFFER;
use super::{DRAIN, Task};
use crate::ErrorKind;
use crate::answer::{self, Remedy};
use crate::attempt::{Refusal, Stored};
use crate::batch::{self, Trial};
use crate::connection::pending::{Asker, Member, Sent};
use crate::deliver::AttemptFailed;
use crate::order::EARLIER_FAILED;
use crate::outbox::Waiting;
use crate::retry::Ended;
use crate::window::Trip;

impl Task {
    pub(super) fn receive(&mut self) -> Result<(), String> {
        let now = Instant::now();
        self.link.owed_since = None;
        while let Some(frame) =
            Frame::take(&mut self.link.input, MAX_FRAME).map_err(|e| e.to_string())?
        {
            let command = Command::decode(frame).map_err(|e| e.to_string())?;
            if command.is_answer() {
                self.take_answer(command, now);
            } else {
                self.answer_peer(&command);
            }
            self.link.fruitful = true;
        }
        Ok(())
    }

    fn take_answer(&mut self, answer: Command, now: Instant) {
        let in_flight = self.pending.weight();
        let Some((asker, sent_at)) = self.pending.take(answer.opaque) else {
            tracing::debug!(address = %self.address, opaque = answer.opaque, "answer to no request");
            return;
        };
        let trip = Trip { now, took: now.saturating_duration_since(sent_at), in_flight };
        match asker {
            // The caller may have stopped waiting.
            Asker::Call(caller) => drop(caller.send(Ok(answer))),
            Asker::Heartbeat => {}
            Asker::Probe { confirms, together, topic } => {
                self.link.unconfirmed = self.link.unconfirmed.saturating_sub(confirms);
                match answer.response_code() {
                    ResponseCode::SYSTEM_BUSY | ResponseCode::FLOW_CONTROL => self.refused(now),
                    code if together > 1 && batch::is_refused(code) => self.singly.add(&topic, now),
                    code if answer::is_stored(code) => self.answered(&trip, together),
                    _ => {}
                }
            }
            Asker::Messages(mut sent) => {
                let blocks = sent.blocks.take();
                self.take_send_answer(sent, &answer, &trip);
                self.unblock(blocks);
            }
        }
    }

    fn take_send_answer(&mut self, sent: Sent, answer: &Command, trip: &Trip) {
        let Some(first) = sent.members.first().map(|first| &first.waiting) else { return };
        match Stored::read(answer, first.accepted.topic(), first.target.broker_name()) {
            Ok(stored) => {
                self.answered(trip, sent.members.len());
                self.stored(&sent, &stored, trip.now);
            }
            Err(refusal) => self.take_refusal(sent, answer.response_code(), refusal, trip.now),
        }
    }

    /// A request of so many messages was stored.
    fn answered(&mut self, trip: &Trip, together: usize) {
        self.window.answered(trip, together);
        self.pause.succeeded();
    }

    fn stored(&mut self, sent: &Sent, stored: &Stored, now: Instant) {
        let together = sent.members.len();
        // Before the permits go back: who gets one looks at the backlog.
        self.done_with(together);
        let ids = sent.members.iter().map(|member| member.waiting.accepted.id);
        for (member, receipt) in sent.members.iter().zip(stored.receipts(ids)) {
            let Waiting { accepted, trial, .. } = &member.waiting;
            if trial.as_ref().is_some_and(|trial| trial.stored(together)) {
                self.singly.add(accepted.topic(), now);
            }
            self.client.stored(accepted, receipt);
        }
    }

    fn take_refusal(&mut self, sent: Sent, code: ResponseCode, refusal: Refusal, now: Instant) {
        let together = sent.members.len();
        if refusal.verdict.remedy == Remedy::WaitHere {
            self.refused(now);
            return self.put_back(sent);
        }
        if code == ResponseCode::REQUEST_CODE_NOT_SUPPORTED && !sent.v1 && together == 1 {
            self.v1 = true;
            return self.put_back(sent);
        }
        if together > 1 && batch::is_refused(code) {
            return self.go_in_smaller_batches(sent);
        }
        if code == ResponseCode::GO_AWAY {
            self.draining.get_or_insert(now + DRAIN);
        }
        let verdict = refusal.verdict;
        let (queue, given_up) = (sent.queue, sent.given_up());
        let messages: Vec<Waiting> = sent.open().collect();
        for trial in messages.iter().filter_map(|waiting| waiting.trial.as_ref()) {
            trial.failed();
        }
        self.done_with(given_up);
        self.request_failed(
            messages,
            &AttemptFailed {
                queue: Some(queue),
                kind: verdict.kind,
                outcome: verdict.outcome,
                reason: refusal.reason,
                ended: Ended::Answered(verdict.remedy),
                refresh_route: verdict.refresh_route,
                // 5.x answers a batch that it finds too large in a way that tells nothing.
                singly: together > 1 && code == ResponseCode::SYSTEM_ERROR,
            },
        );
    }

    /// A refused batch was not stored. Whether it is the batch that the broker does not like, or
    /// one of the messages, shows when they go in smaller ones, and at the end singly.
    fn go_in_smaller_batches(&mut self, sent: Sent) {
        let together = sent.members.len();
        tracing::debug!(address = %self.address, together, "batch refused; halved");
        let trial = Trial::of(together);
        let mut sent = sent;
        for Member { waiting, .. } in &mut sent.members {
            waiting.accepted.go_with(together / 2);
            waiting.trial.get_or_insert_with(|| trial.clone());
        }
        self.put_back(sent);
    }

    /// A broker that refuses gets less, and nothing for a moment.
    pub(super) fn refused(&mut self, now: Instant) {
        self.client.counters().busy.add_one();
        self.window.refused(now);
        self.pause.refused(now, fastrand::f64());
    }

    /// What was certainly not stored goes back to the head of its line.
    pub(super) fn put_back(&mut self, sent: Sent) {
        let together = sent.members.len();
        let mut kept = 0;
        for waiting in sent.open().collect::<Vec<_>>().into_iter().rev() {
            let accepted = &waiting.accepted;
            accepted.back_in_line();
            if accepted.earlier_failed() {
                self.client.fail(accepted, ErrorKind::EarlierFailed, EARLIER_FAILED);
            }
            if !accepted.has_ended() {
                kept += 1;
                self.outbox.push_front(waiting);
            }
        }
        self.done_with(together - kept);
    }

    /// A request from the peer. None is known yet that a producer has to fulfil.
    pub(super) fn answer_peer(&mut self, request: &Command) {
        let code = request.request_code();
        tracing::debug!(address = %self.address, %code, "request from the peer");
        // A peer that asks and does not read gets no answers, rather than all of our memory.
        let has_room = self.link.out.len() < WRITE_BUFFER;
        if has_room && !request.is_oneway() && code != RequestCode::CHECK_TRANSACTION_STATE {
            let remark = format!(" request type {} not supported", code.0);
            let not_supported = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
            let out = &mut self.link.out;
            command::put_answer(out, request.opaque, not_supported, Some(&remark), &Empty);
        }
    }
}
