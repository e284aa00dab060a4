//! What clients were sent and have not answered yet: replies, pushed to the client that waits for
//! them, and questions of others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use posthaste_protocol::request::{MembersOffsets, SendAnswer};
use rustc_hash::FxHashMap;

use super::{Millis, SessionId, effects::Caller};

/// How many may be on their way.
const MAX_REPLIES: usize = 4_096;
/// How long a client may take to answer.
const LIMIT_MS: Millis = 10_000;

/// What was sent to a client.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// Who wants to know the answer.
    pub(crate) caller: Caller,
    /// Who has got it.
    pub(crate) to: SessionId,
    /// The id of that client.
    pub(crate) client_id: String,
    /// What the answer is for.
    pub(crate) waiting: Waiting,
}

/// What an answer is for.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// It says that a reply has arrived, which was stored here.
    Reply(SendAnswer),
    /// It is handed on to who has asked for a member of this consumer group.
    Question {
        /// Name of the group.
        group: String,
    },
    /// It is one of several that are reported together, by the last one of them.
    Offsets(Arc<Mutex<MembersOffsets>>),
}

/// All that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    pushed: FxHashMap<i32, Pushed>,
    /// When each push has taken too long. Pushes that have ended may still be among them.
    deadlines: VecDeque<(Millis, i32)>,
    last: i32,
}

impl Replies {
    /// Whether no further one may be on its way.
    pub(crate) fn is_full(&self) -> bool {
        self.pushed.len() >= MAX_REPLIES
    }

    /// One leaves; gives back the number that its client answers to.
    pub(crate) fn insert(&mut self, now: Millis, pushed: Pushed) -> i32 {
        self.last = self.last.wrapping_add(1);
        self.pushed.insert(self.last, pushed);
        self.deadlines.push_back((now + LIMIT_MS, self.last));
        self.last
    }

    /// A client has answered. It cannot answer a question to another client.
    pub(crate) fn answered(&mut self, session: SessionId, opaque: i32) -> Option<Pushed> {
        let is_meant = self.pushed.get(&opaque).is_some_and(|pushed| pushed.to == session);
        let pushed = if is_meant { self.pushed.remove(&opaque) } else { None };
        self.drop_passed();
        pushed
    }

    /// A session is gone: gives back what was pushed to it, and forgets what it has sent.
    pub(crate) fn forget(&mut self, session: SessionId) -> Vec<Pushed> {
        self.pushed.retain(|_, pushed| pushed.caller.session != session);
        let lost = self.pushed.extract_if(|_, pushed| pushed.to == session);
        let lost = lost.map(|(_, pushed)| pushed).collect();
        self.drop_passed();
        lost
    }

    /// What was asked for a caller's request is not waited for any more.
    pub(crate) fn forget_question(&mut self, caller: Caller) {
        self.pushed.retain(|_, pushed| pushed.caller != caller);
        self.drop_passed();
    }

    /// Gives all replies back.
    pub(crate) fn forget_all(&mut self) -> Vec<Pushed> {
        let is_reply = |pushed: &Pushed| matches!(pushed.waiting, Waiting::Reply(_));
        let replies = self.pushed.extract_if(|_, pushed| is_reply(pushed));
        let replies = replies.map(|(_, pushed)| pushed).collect();
        self.drop_passed();
        replies
    }

    /// What has taken too long.
    pub(crate) fn expired(&mut self, now: Millis) -> Vec<Pushed> {
        let mut expired = Vec::new();
        while let Some((_, opaque)) = self.deadlines.front().filter(|(at, _)| *at <= now).copied() {
            self.deadlines.pop_front();
            expired.extend(self.pushed.remove(&opaque));
        }
        self.drop_passed();
        expired
    }

    /// When the next one has taken too long.
    pub(crate) fn earliest(&self) -> Option<Millis> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    fn drop_passed(&mut self) {
        while let Some((_, opaque)) = self.deadlines.front()
            && !self.pushed.contains_key(opaque)
        {
            self.deadlines.pop_front();
        }
    }
}
