//! The way back: answers, and what each means for its message.

use std::time::Instant;

use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::Empty;
use posthaste_protocol::{Command, Frame, RequestCode, ResponseCode, command};

use super::leaving::WRITE_BUFFER;
use super::{DRAIN, Task};
use crate::answer::Remedy;
use crate::attempt;
use crate::connection::pending::{Asker, Sent};
use crate::deliver::AttemptFailed;
use crate::retry::Ended;

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

    pub(super) fn take_answer(&mut self, answer: Command, now: Instant) {
        let in_flight = self.pending.places();
        let Some((asker, sent_at)) = self.pending.take(answer.opaque) else {
            tracing::debug!(address = %self.address, opaque = answer.opaque, "answer to no request");
            return;
        };
        let round_trip = now.saturating_duration_since(sent_at);
        match asker {
            // The caller may have stopped waiting.
            Asker::Call(caller) => drop(caller.send(Ok(answer))),
            Asker::Heartbeat => {}
            Asker::Probe { confirms } => {
                self.link.unconfirmed = self.link.unconfirmed.saturating_sub(confirms);
                match answer.response_code() {
                    ResponseCode::SYSTEM_BUSY | ResponseCode::FLOW_CONTROL => self.refused(now),
                    _ => self.window.answered(now, round_trip, in_flight),
                }
            }
            Asker::Message(sent) => {
                let broker = sent.waiting.target.broker_name();
                match attempt::receipt(&answer, &sent.waiting.accepted, broker) {
                    Ok(receipt) => {
                        self.window.answered(now, round_trip, in_flight);
                        self.pause.succeeded();
                        self.client.stored(&sent.waiting.accepted, receipt);
                        self.done_with(1);
                    }
                    Err(refusal) => self.take_refusal(sent, answer.response_code(), refusal, now),
                }
            }
        }
    }

    pub(super) fn take_refusal(
        &mut self,
        sent: Sent,
        code: ResponseCode,
        refusal: attempt::Refusal,
        now: Instant,
    ) {
        if refusal.verdict.remedy == Remedy::WaitHere {
            self.refused(now);
            return self.put_back(sent);
        }
        if code == ResponseCode::REQUEST_CODE_NOT_SUPPORTED && !sent.v1 {
            self.v1 = true;
            return self.put_back(sent);
        }
        if code == ResponseCode::GO_AWAY {
            self.draining.get_or_insert(now + DRAIN);
        }
        let verdict = refusal.verdict;
        let ended = Ended::Answered(verdict.remedy);
        if sent.given_up {
            return self.done_with(1);
        }
        self.attempt_failed(sent.waiting, Some(sent.queue), |failed| AttemptFailed {
            kind: verdict.kind,
            outcome: verdict.outcome,
            reason: refusal.reason,
            ended,
            refresh_route: verdict.refresh_route,
            ..failed
        });
    }

    /// A broker that refuses gets less, and nothing for a moment.
    pub(super) fn refused(&mut self, now: Instant) {
        self.client.counters().busy.add_one();
        self.window.refused(now);
        self.pause.refused(now, fastrand::f64());
    }

    /// What was certainly not stored goes back to the head of its line.
    pub(super) fn put_back(&mut self, sent: Sent) {
        if sent.given_up || sent.waiting.accepted.has_ended() {
            return self.done_with(1);
        }
        sent.waiting.accepted.back_in_line();
        self.outbox.push_front(sent.waiting);
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
