//! Fault rules acted out: on a request where it is dispatched, on its answer where that leaves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use posthaste_protocol::frame::{FrameView, MAX_FRAME};
use posthaste_protocol::request::TopicRoute;
use posthaste_protocol::{Command, Frame, ResponseCode};
use rustc_hash::{FxHashMap, FxHashSet};

use super::held::{Held, HeldBack};
use crate::engine::effects::{Caller, Effects};
use crate::engine::refusal::Refusal;
use crate::engine::{Engine, Millis, SessionId};
use crate::fault::{Action, Asked, FaultHit, FaultRule, FaultRules, GARBAGE, Lie, LineFaults};
use crate::outbox::{End, Piece};

/// Whether a request is carried out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// It is carried out.
    GoOn,
    /// It is not: it was answered, or will not be.
    Stop,
    /// It is carried out later.
    Later(Millis),
}

/// The rules, and what they have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Interference {
    pub(super) rules: Arc<FaultRules>,
    pub(super) held: HeldBack,
    /// Requests that are carried out, and whose answers do not leave as they are.
    marked: FxHashMap<(SessionId, i32), FaultHit>,
    /// Connections that end once this turn's answers are on their way.
    ends: Vec<(SessionId, End)>,
    /// Connections that end, or have ended by a rule: nothing that comes on them is carried out any more.
    ending: FxHashSet<SessionId>,
}

impl Interference {
    pub(super) fn of(rules: Arc<FaultRules>) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Asks the rules about a request, and acts where a rule acts before the request is carried out.
    pub(super) fn before(
        &mut self,
        now: Millis,
        caller: Caller,
        asked: &Asked<'_>,
        engine: &Engine,
        line: Option<&LineFaults>,
        effects: &mut Effects,
    ) -> Course {
        let Some(hit) = self.rules.hit(asked, Instant::now()) else { return Course::GoOn };
        let FaultHit { rule, .. } = &hit;
        let action = rule.action();
        if action.is_of_line() {
            if let Some(line) = line {
                line.begin(rule.clone());
            }
            return Course::GoOn;
        }
        if rule.fault().after_store || action.needs_true_answer() {
            return self.mark(caller, hit);
        }
        match action {
            Action::Refuse(code) => {
                effects.refuse(caller, &refusal(rule, *code));
                Course::Stop
            }
            Action::GoAway => {
                effects.refuse(caller, &refusal(rule, ResponseCode::GO_AWAY));
                Course::Stop
            }
            Action::Delay(_) => Course::Later(now + millis(hit.delay())),
            Action::Close => self.end(caller.session, End::Close),
            Action::Reset => self.end(caller.session, End::Reset),
            Action::SlowClose(time) => self.end(caller.session, End::CloseAfter(*time)),
            Action::Garbage => {
                effects.put_raw(caller.session, &GARBAGE);
                Course::Stop
            }
            Action::Lie(lie) => {
                effects.answer(caller, told(engine, rule, lie, asked.topic().unwrap_or_default()));
                Course::Stop
            }
            // The others are marked above, or do not act.
            _ => Course::Stop,
        }
    }

    /// The request is carried out, and something is done then.
    fn mark(&mut self, caller: Caller, hit: FaultHit) -> Course {
        match (caller.oneway, hit.rule.action()) {
            (true, Action::Reset) => self.ends.push((caller.session, End::Reset)),
            (true, Action::SlowClose(time)) => {
                self.ends.push((caller.session, End::CloseAfter(*time)));
            }
            (true, _) => self.ends.push((caller.session, End::Close)),
            (false, _) => {
                self.marked.insert((caller.session, caller.opaque), hit);
            }
        }
        Course::GoOn
    }

    fn end(&mut self, session: SessionId, end: End) -> Course {
        self.ends.push((session, end));
        self.ending.insert(session);
        Course::Stop
    }

    /// Whether every request is carried out as it is.
    pub(super) fn is_off(&self) -> bool {
        self.rules.is_empty() && self.ending.is_empty()
    }

    /// Whether nothing that comes on a connection is carried out any more.
    pub(super) fn has_ended(&self, session: SessionId) -> bool {
        self.ending.contains(&session)
    }

    /// Whether answers leave as they are.
    pub(super) fn is_idle(&self) -> bool {
        self.marked.is_empty()
    }

    /// The connections that end now.
    pub(super) fn take_ends(&mut self) -> Vec<(SessionId, End)> {
        std::mem::take(&mut self.ends)
    }

    /// A session is gone.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.held.forget(session);
        self.ending.remove(&session);
        self.marked.retain(|(of, _), _| *of != session);
    }

    /// The pieces that leave in place of these frames.
    pub(super) fn after(
        &mut self,
        now: Millis,
        session: SessionId,
        mut frames: BytesMut,
    ) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        while let Ok(Some(length)) = first_length(&frames) {
            let answer = frames.split_to(length);
            let Some(hit) = self.mark_of(session, &answer) else {
                pieces.push(answer);
                continue;
            };
            let rule = &hit.rule;
            match rule.action() {
                Action::Refuse(code) => {
                    let remark = refusal(rule, *code).remark;
                    pieces.push(altered(answer, |it| {
                        *it = Command { code: code.0, remark: Some(remark), ..empty(it) };
                    }));
                }
                Action::Status(code) => pieces.push(altered(answer, |it| {
                    if it.response_code() == ResponseCode::SUCCESS {
                        it.code = code.0;
                    }
                })),
                Action::AnswerTwice => {
                    pieces.push(answer.clone());
                    pieces.push(answer);
                }
                Action::AnswerToAnotherNumber => {
                    // Clients count upwards from 0 or 1.
                    pieces.push(altered(answer, |it| it.opaque = !it.opaque));
                }
                Action::Garbage => pieces.push(BytesMut::from(&GARBAGE[..])),
                Action::Trickle(rate) => pieces.0.push(Piece::Trickle(answer, *rate)),
                Action::CutAfter(bytes) => {
                    let mut part = answer;
                    part.truncate(*bytes);
                    pieces.push(part);
                    pieces.0.push(Piece::End(End::Close));
                }
                Action::Close => pieces.0.push(Piece::End(End::Close)),
                Action::Reset => pieces.0.push(Piece::End(End::Reset)),
                Action::SlowClose(time) => {
                    self.ending.insert(session);
                    pieces.0.push(Piece::End(End::CloseAfter(*time)));
                }
                Action::Delay(_) => {
                    let due = now + millis(hit.delay());
                    if let Err(Held::Answer(answer)) =
                        self.held.hold(due, session, Held::Answer(answer))
                    {
                        pieces.push(answer);
                    }
                }
                Action::NoAnswer => {}
                // These are never done to an answer.
                Action::GoAway | Action::Lie(_) | Action::Pass => pieces.push(answer),
                Action::CutRequestAfter(_) => pieces.push(answer),
                Action::StopReading | Action::ReadAt(_) | Action::WriteAt(_) => {
                    pieces.push(answer);
                }
            }
        }
        pieces.push(frames);
        pieces.0
    }

    /// The rule that acts on an answer.
    fn mark_of(&mut self, session: SessionId, frame: &BytesMut) -> Option<FaultHit> {
        let command = decoded(frame)?;
        command.is_answer().then(|| self.marked.remove(&(session, command.opaque))).flatten()
    }
}

/// The pieces that leave, in their order.
#[derive(Debug, Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn push(&mut self, frames: BytesMut) {
        match self.0.last_mut() {
            _ if frames.is_empty() => {}
            Some(Piece::Frames(last)) => last.unsplit(frames),
            _ => self.0.push(Piece::Frames(frames)),
        }
    }
}

/// Why a rule refuses.
fn refusal(rule: &FaultRule, code: ResponseCode) -> Refusal {
    let said = rule.fault().remark.clone();
    Refusal::new(code, said.unwrap_or_else(|| format!("a fault rule (number {})", rule.id())))
}

/// The answer to a question for a route, as the rule has it.
fn told(engine: &Engine, rule: &FaultRule, lie: &Lie, topic: &str) -> Result<TopicRoute, Refusal> {
    let real = engine.route_of(topic);
    let told = rule.told(lie, topic, real.ok(), Instant::now());
    told.ok_or_else(|| Engine::no_route(topic))
}

fn first_length(frames: &BytesMut) -> Result<Option<usize>, posthaste_protocol::DecodeError> {
    Ok(FrameView::of_first(frames, MAX_FRAME)?.map(|view| view.length))
}

fn decoded(frame: &BytesMut) -> Option<Command> {
    let frame = Frame::take(&mut frame.clone(), MAX_FRAME).ok()??;
    Command::decode(frame).ok()
}

/// The same answer with something changed.
fn altered(answer: BytesMut, alter: impl FnOnce(&mut Command)) -> BytesMut {
    let Some(mut command) = decoded(&answer) else { return answer };
    alter(&mut command);
    let mut out = BytesMut::new();
    command.encode(&mut out);
    out
}

/// An answer that says nothing but its number.
fn empty(answer: &Command) -> Command {
    let mut empty = answer.clone();
    (empty.fields, empty.body, empty.remark) = Default::default();
    empty
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(Millis::MAX / 2)
}
