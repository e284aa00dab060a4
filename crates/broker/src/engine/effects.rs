//! What a turn of the engine leads to: answers, pushes, and what must be kept first.

use bytes::BytesMut;
use posthaste_protocol::command::{put_answer, put_request};
use posthaste_protocol::request::{AnswerTemplate, Empty, NotifyConsumerIdsChanged, SendAnswer};
use posthaste_protocol::{Payload, Request, ResponseCode};
use rustc_hash::FxHashMap;

use super::{SessionId, refusal::Refusal};
use crate::store::Commit;

/// Once a turn has so much for a session, what else it asks for and might be large has to be asked
/// for again.
pub(crate) const PLENTY: usize = 2 * 1024 * 1024;

/// Room for the first answers of a session that wait for the commit: mostly there are several.
const ROOM: usize = 4 * 1024;

/// Who asked, and how an answer finds its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The session.
    pub(crate) session: SessionId,
    /// The request's number.
    pub(crate) opaque: i32,
    /// Whether no answer is wanted. None is sent then, not even an error.
    pub(crate) oneway: bool,
}

/// What a turn leads to.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// What must be kept.
    pub(crate) commit: Commit,
    /// Frames that may leave.
    ready: Frames,
    promises: Promises,
    /// What answers to plain sends share, once there was one.
    template: Option<AnswerTemplate>,
}

/// Frames that say "it is kept".
#[derive(Debug, Default)]
struct Promises {
    /// They may leave once it is.
    frames: Frames,
    /// Who hears it when it could not be kept.
    callers: Vec<Caller>,
}

impl Promises {
    /// Where an answer to the caller goes.
    fn to(&mut self, caller: Caller) -> &mut BytesMut {
        self.callers.push(caller);
        let room = || BytesMut::with_capacity(ROOM);
        self.frames.entry(caller.session).or_insert_with(room)
    }
}

type Frames = FxHashMap<SessionId, BytesMut>;

impl Effects {
    /// Answers with success or an error.
    pub(crate) fn answer<P: Payload>(&mut self, caller: Caller, result: Result<P, Refusal>) {
        match result {
            Ok(answer) => self.answer_with(caller, ResponseCode::SUCCESS, None, &answer),
            Err(refusal) => self.refuse(caller, &refusal),
        }
    }

    /// Answers with success once `commit` is kept, or with an error at once.
    pub(crate) fn answer_after_commit<P: Payload>(
        &mut self,
        caller: Caller,
        result: Result<P, Refusal>,
    ) {
        match result {
            Ok(_) if caller.oneway => {}
            Ok(answer) => {
                let out = self.promises.to(caller);
                put_answer(out, caller.opaque, ResponseCode::SUCCESS, None, &answer);
            }
            Err(refusal) => self.refuse(caller, &refusal),
        }
    }

    /// As [`answer_after_commit`](Self::answer_after_commit), of a send: most answers are.
    pub(crate) fn stored_after_commit(
        &mut self,
        caller: Caller,
        result: Result<SendAnswer, Refusal>,
    ) {
        let answer = match result {
            Ok(_) if caller.oneway => return,
            Ok(answer) => answer,
            Err(refusal) => return self.refuse(caller, &refusal),
        };
        let out = self.promises.to(caller);
        match self.template.as_ref().filter(|template| template.fits(&answer)) {
            Some(template) => template.put(out, caller.opaque, &answer),
            None => {
                put_answer(out, caller.opaque, ResponseCode::SUCCESS, None, &answer);
                self.template = self.template.take().or_else(|| AnswerTemplate::of(answer));
            }
        }
    }

    /// Answers with any code.
    pub(crate) fn answer_with<P: Payload>(
        &mut self,
        caller: Caller,
        code: ResponseCode,
        remark: Option<&str>,
        answer: &P,
    ) {
        if !caller.oneway {
            let out = self.ready.entry(caller.session).or_default();
            put_answer(out, caller.opaque, code, remark, answer);
        }
    }

    /// Answers with an error.
    pub(crate) fn refuse(&mut self, caller: Caller, refusal: &Refusal) {
        self.answer_with(caller, refusal.code, Some(&refusal.remark), &Empty);
    }

    /// Writes bytes that are no frame.
    pub(crate) fn put_raw(&mut self, session: SessionId, bytes: &[u8]) {
        self.ready.entry(session).or_default().extend_from_slice(bytes);
    }

    /// Tells a member that its group has changed.
    pub(crate) fn notify(&mut self, session: SessionId, group: &str) {
        self.tell(session, &NotifyConsumerIdsChanged { group: group.to_owned() });
    }

    /// Tells a client something; there will be no answer.
    pub(crate) fn tell<R: Request>(&mut self, session: SessionId, request: &R) {
        put_request(self.ready.entry(session).or_default(), 0, true, request);
    }

    /// Asks a client something. It will answer to this number.
    pub(crate) fn ask<R: Request>(&mut self, session: SessionId, opaque: i32, request: &R) {
        put_request(self.ready.entry(session).or_default(), opaque, false, request);
    }

    /// As [`ask`](Self::ask), once `commit` is kept.
    pub(crate) fn ask_after_commit<R: Request>(
        &mut self,
        session: SessionId,
        opaque: i32,
        request: &R,
    ) {
        put_request(self.promises.frames.entry(session).or_default(), opaque, false, request);
    }

    /// How many bytes this turn has for a session already.
    pub(crate) fn pending(&self, session: SessionId) -> usize {
        [&self.ready, &self.promises.frames]
            .into_iter()
            .filter_map(|frames| frames.get(&session))
            .map(BytesMut::len)
            .sum()
    }

    /// Whether a session may have another answer that might be large. One that asks for such
    /// answers often enough, and all at once, would fill the memory with them.
    pub(crate) fn check_room(&self, session: SessionId) -> Result<(), Refusal> {
        match self.pending(session) < PLENTY {
            true => Ok(()),
            false => Err(Refusal::busy("too much is asked for at once; ask again in a while")),
        }
    }

    /// Answers with what might be large, if there is room for that.
    pub(crate) fn answer_if_room<P: Payload>(
        &mut self,
        caller: Caller,
        answer: impl FnOnce() -> Result<P, Refusal>,
    ) {
        let result = self.check_room(caller.session).and_then(|()| answer());
        self.answer(caller, result);
    }

    /// `commit` is kept: the answers that waited for it may leave.
    pub(crate) fn kept(&mut self) {
        self.promises.callers.clear();
        for (session, frames) in self.promises.frames.drain() {
            match self.ready.get_mut(&session) {
                Some(ready) => ready.unsplit(frames),
                None => {
                    self.ready.insert(session, frames);
                }
            }
        }
    }

    /// `commit` may not be kept: nothing that said so leaves.
    pub(crate) fn lost(&mut self, refusal: &Refusal) {
        self.promises.frames.clear();
        for caller in std::mem::take(&mut self.promises.callers) {
            self.refuse(caller, refusal);
        }
    }

    /// Takes the frames that may leave, by session.
    pub(crate) fn take_ready(&mut self) -> impl ExactSizeIterator<Item = (SessionId, BytesMut)> {
        self.ready.drain()
    }
}
