//! Hop 4 of a send: what waits for room in one broker's window.
//!
//! Plain data, no runtime: the connection's task puts messages in and takes out what leaves
//! together. Lines are served in turn, the oldest first within each, so that one busy topic never
//! starves another.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::accepted::{Accepted, BatchRoom, Sharing};
use crate::connection::refused_batch::RefusedBatch;
use crate::connection::target::Target;

/// From this many lines on, unused lines are used again.
const MANY_LINES: usize = 4096;

/// How many messages these are.
pub(crate) fn count(all: &[OpenAttempt]) -> usize {
    all.iter().map(OpenAttempt::count).sum()
}

/// How many bytes a broker stores for them.
fn stored_bytes<'a>(all: impl IntoIterator<Item = &'a OpenAttempt>) -> usize {
    all.into_iter().map(OpenAttempt::stored_bytes).sum()
}

/// One message, or a batch that its caller made, that waits to leave.
#[derive(Debug)]
pub(crate) struct OpenAttempt {
    pub(crate) accepted: Arc<Accepted>,
    pub(crate) target: Target,
    /// When this attempt began.
    pub(crate) since: Instant,
    /// When this attempt ends, at the latest at the message's deadline.
    pub(crate) until: Instant,
    /// Set when it was in a batch that was refused.
    pub(crate) refused_batch: Option<Arc<RefusedBatch>>,
}

impl OpenAttempt {
    /// The same attempt, for another place that has to do with it.
    pub(crate) fn copy(&self) -> Self {
        let Self { accepted, target, since, until, refused_batch } = self;
        let (accepted, target, refused_batch) =
            (accepted.clone(), target.clone(), refused_batch.clone());
        Self { accepted, target, since: *since, until: *until, refused_batch }
    }

    /// How many messages it is.
    pub(crate) fn count(&self) -> usize {
        self.accepted.count()
    }

    fn stored_bytes(&self) -> usize {
        self.accepted.stored_bytes()
    }

    /// Whether it may be held back for its batch to grow.
    pub(crate) fn may_be_held(&self) -> bool {
        self.accepted.sharing != Sharing::Alone && !self.accepted.is_ordered()
    }
}

/// What messages that wait in one line have in common: any queue of a topic on a broker, or one
/// queue; and with whom they may share a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LineKey {
    topic: Arc<str>,
    broker: Arc<str>,
    queue: Option<i32>,
    sharing: Sharing,
    /// One request of an ordered line is in flight at a time.
    ordered: bool,
}

impl LineKey {
    fn of(attempt: &OpenAttempt) -> Self {
        Self {
            topic: attempt.target.broker.topic.clone(),
            broker: attempt.target.broker.name.clone(),
            queue: attempt.target.queue,
            sharing: attempt.accepted.sharing,
            ordered: attempt.accepted.is_ordered(),
        }
    }

    /// Whether a message belongs here for sure: the names are not compared, but whether they are
    /// the same ones.
    fn is_surely_of(&self, attempt: &OpenAttempt) -> bool {
        let Self { topic, broker, queue, sharing, ordered } = self;
        Arc::ptr_eq(topic, &attempt.target.broker.topic)
            && Arc::ptr_eq(broker, &attempt.target.broker.name)
            && *queue == attempt.target.queue
            && *sharing == attempt.accepted.sharing
            && *ordered == attempt.accepted.is_ordered()
    }

    /// Whether the line may be held back for its batch to grow.
    fn may_be_held(&self) -> bool {
        self.sharing != Sharing::Alone && !self.ordered
    }
}

#[derive(Debug)]
struct Line {
    key: LineKey,
    waiting: VecDeque<OpenAttempt>,
    /// Ordered: a request of it is in flight.
    blocked: bool,
}

/// A line, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineId(usize);

/// What leaves in one request.
#[derive(Debug)]
pub(crate) struct OutgoingBatch {
    pub(crate) messages: Vec<OpenAttempt>,
    /// The line to [`unblock`](Outbox::unblock) when the request has ended.
    pub(crate) blocks: Option<LineId>,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Empty lines stay, until there are many.
    lines: Vec<Line>,
    by_key: FxHashMap<LineKey, LineId>,
    /// Lines that have messages which may leave, the next to be served first: lines that leave as
    /// soon as there is room, and lines that may be held back.
    at_once: VecDeque<LineId>,
    holdable: VecDeque<LineId>,
    /// Whether it is the turn of the second kind.
    turn_of_holdable: bool,
    /// Messages in lines that may be held back, and their bytes as they are stored.
    holdable_messages: usize,
    holdable_bytes: usize,
    len: usize,
    /// No attempt in here ends before this.
    earliest: Option<Instant>,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many messages may be held back for their batch to grow.
    pub(crate) fn holdable(&self) -> usize {
        self.holdable_messages
    }

    /// How many bytes they have.
    pub(crate) fn holdable_bytes(&self) -> usize {
        self.holdable_bytes
    }

    /// A time before which nothing in here expires.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// Puts a message at the end of its line.
    pub(crate) fn push(&mut self, attempt: OpenAttempt) {
        self.put(attempt, VecDeque::push_back);
    }

    /// Puts a message that has to leave once more at the head of its line.
    pub(crate) fn push_front(&mut self, attempt: OpenAttempt) {
        self.put(attempt, VecDeque::push_front);
    }

    fn put(&mut self, attempt: OpenAttempt, put: fn(&mut VecDeque<OpenAttempt>, OpenAttempt)) {
        let id = self.line_of(&attempt);
        let Some(line) = self.lines.get_mut(id.0) else { return };
        self.len += 1;
        if line.key.may_be_held() {
            self.holdable_messages += 1;
            self.holdable_bytes += attempt.stored_bytes();
        }
        self.earliest = Some(self.earliest.map_or(attempt.until, |at| at.min(attempt.until)));
        let had_no_turn = line.waiting.is_empty();
        put(&mut line.waiting, attempt);
        if had_no_turn {
            self.give_turn(id);
        }
    }

    /// Takes what leaves next: a message, and the messages behind it in its line that share its request.
    /// `hold` passes over lines that may be held back; `room` says what a first message has beside
    /// itself.
    pub(crate) fn next(
        &mut self,
        hold: bool,
        room: impl FnOnce(&Accepted) -> BatchRoom,
    ) -> Option<OutgoingBatch> {
        let holdable = !hold && !self.holdable.is_empty();
        let id = match holdable && (self.turn_of_holdable || self.at_once.is_empty()) {
            true => self.holdable.pop_front()?,
            false => self.at_once.pop_front()?,
        };
        let line = self.lines.get_mut(id.0)?;
        let first = line.waiting.pop_front()?;
        let mut room = room(&first.accepted);
        let mut messages = Vec::with_capacity(1 + room.messages().min(line.waiting.len()));
        messages.push(first);
        while line.waiting.front().is_some_and(|next| room.take(&next.accepted)) {
            messages.extend(line.waiting.pop_front());
        }
        line.blocked = line.key.ordered;
        let blocks = line.blocked.then_some(id);
        self.len -= messages.len();
        if line.key.may_be_held() {
            self.holdable_messages -= messages.len();
            self.holdable_bytes -= stored_bytes(&messages);
        }
        self.turn_of_holdable = !line.key.may_be_held();
        self.give_turn(id);
        Some(OutgoingBatch { messages, blocks })
    }

    /// Takes out what waits in the lines of these messages, where they are ordered.
    pub(crate) fn take_behind(&mut self, messages: &[OpenAttempt]) -> Vec<OpenAttempt> {
        let mut behind = Vec::new();
        for one in messages.iter().filter(|one| one.accepted.is_ordered()) {
            let Some(id) = self.by_key.get(&LineKey::of(one)) else { continue };
            let Some(line) = self.lines.get_mut(id.0) else { continue };
            behind.extend(line.waiting.drain(..));
            if !line.blocked {
                self.at_once.retain(|other| other != id);
            }
        }
        self.len -= behind.len();
        behind
    }

    /// The request of an ordered line has ended.
    pub(crate) fn unblock(&mut self, id: LineId) {
        if let Some(line) = self.lines.get_mut(id.0)
            && line.blocked
        {
            line.blocked = false;
            self.give_turn(id);
        }
    }

    /// Puts a line that has no turn at the end of its row, if something in it may leave.
    fn give_turn(&mut self, id: LineId) {
        match self.lines.get(id.0) {
            Some(line) if line.blocked || line.waiting.is_empty() => {}
            Some(line) if line.key.may_be_held() => self.holdable.push_back(id),
            Some(_) => self.at_once.push_back(id),
            None => {}
        }
    }

    /// Takes out what expired by `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<OpenAttempt> {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return Vec::new();
        }
        self.take_if(|attempt| attempt.until <= now)
    }

    /// Drops what has ended or was taken back by its caller; says how many.
    pub(crate) fn sweep(&mut self) -> usize {
        count(&self.take_if(|attempt| attempt.accepted.has_ended()))
    }

    /// Takes everything out, each line in its order.
    pub(crate) fn drain(&mut self) -> Vec<OpenAttempt> {
        self.take_if(|_| true)
    }

    fn take_if(&mut self, wanted: impl Fn(&OpenAttempt) -> bool) -> Vec<OpenAttempt> {
        let mut taken = Vec::new();
        let mut earliest: Option<Instant> = None;
        for line in &mut self.lines {
            let (out, kept): (VecDeque<_>, _) =
                std::mem::take(&mut line.waiting).into_iter().partition(&wanted);
            line.waiting = kept;
            if line.key.may_be_held() {
                self.holdable_messages -= out.len();
                self.holdable_bytes -= stored_bytes(&out);
            }
            taken.extend(out);
            let line_earliest = line.waiting.iter().map(|attempt| attempt.until).min();
            earliest = [earliest, line_earliest].into_iter().flatten().min();
        }
        let lines = &self.lines;
        let has_some = |id: &LineId| lines.get(id.0).is_some_and(|line| !line.waiting.is_empty());
        self.at_once.retain(has_some);
        self.holdable.retain(has_some);
        self.len -= taken.len();
        self.earliest = earliest;
        taken
    }

    /// The line that a message belongs in, made when there is none. Most likely it is the line of the last
    /// message of its topic.
    fn line_of(&mut self, attempt: &OpenAttempt) -> LineId {
        let memo = &attempt.target.broker.memo;
        let last = LineId(memo.last_line());
        if self.lines.get(last.0).is_some_and(|line| line.key.is_surely_of(attempt)) {
            return last;
        }
        let id = self.line_by_name(LineKey::of(attempt));
        memo.took_line(id.0);
        id
    }

    fn line_by_name(&mut self, key: LineKey) -> LineId {
        let Some(id) = self.by_key.get(&key).copied() else { return self.new_line(key) };
        if let Some(line) = self.lines.get_mut(id.0) {
            // A new route has the same names in other places.
            line.key = key;
        }
        id
    }

    fn new_line(&mut self, key: LineKey) -> LineId {
        let is_unused = |line: &Line| line.waiting.is_empty() && !line.blocked;
        let many = self.lines.len() >= MANY_LINES;
        let unused = many.then(|| self.lines.iter().position(is_unused)).flatten();
        let id = LineId(unused.unwrap_or(self.lines.len()));
        let line = Line { key: key.clone(), waiting: VecDeque::new(), blocked: false };
        match self.lines.get_mut(id.0) {
            Some(unused) => drop(self.by_key.remove(&std::mem::replace(unused, line).key)),
            None => self.lines.push(line),
        }
        self.by_key.insert(key, id);
        id
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Message;
    use crate::accepted::MOST_MESSAGES;
    use crate::accepted::tests::terms;
    use crate::connection::Connection;
    use crate::connection::target::RouteBroker;
    use crate::message::content::Content;
    use crate::route::{BrokerQueues, Route};

    /// The broker of a topic, in a separate route.
    fn broker(topic: &str) -> Arc<RouteBroker> {
        let plan = BrokerQueues {
            broker: "broker".into(),
            cluster: "cluster".into(),
            address: Some("127.0.0.1:1".into()),
            logical: None,
            queues: vec![0],
        };
        let connection = |address: &str| Arc::new(Connection::to_nobody(address));
        let route = Route::new(topic.into(), topic.into(), vec![plan], false, connection);
        route.brokers[0].clone()
    }

    fn waiting(
        topic: &'static str,
        body: &'static str,
        queue: Option<i32>,
        until: Instant,
    ) -> OpenAttempt {
        sharing_attempt(topic, body, queue, until, Sharing::Alone)
    }

    pub(crate) fn sharing_attempt(
        topic: &'static str,
        body: &'static str,
        queue: Option<i32>,
        until: Instant,
        sharing: Sharing,
    ) -> OpenAttempt {
        let message = Message::new(topic, body);
        let accepted = Arc::new(Accepted::new(message.into(), terms(until, sharing)));
        OpenAttempt {
            accepted,
            target: Target { broker: broker(topic), queue },
            since: until,
            until,
            refused_batch: None,
        }
    }

    fn bodies(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| next(outbox, false)).collect()
    }

    /// The bodies of what leaves next.
    fn next(outbox: &mut Outbox, hold: bool) -> Option<String> {
        let outgoing =
            outbox.next(hold, |first| BatchRoom::beside(first, MOST_MESSAGES, 1 << 20))?;
        let body = |attempt: &OpenAttempt| {
            let text =
                |content: &Content| String::from_utf8_lossy(content.first.body()).into_owned();
            attempt.accepted.with_content(text)
        };
        let bodies: Vec<String> = outgoing.messages.iter().filter_map(body).collect();
        Some(bodies.join("+"))
    }

    #[test]
    fn lines_are_served_in_turn_and_in_order() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for body in ["a1", "a2", "a3"] {
            outbox.push(waiting("a", body, None, now));
        }
        outbox.push(waiting("b", "b1", None, now));
        outbox.push(waiting("a", "q1", Some(7), now));
        assert_eq!(bodies(&mut outbox), ["a1", "b1", "q1", "a2", "a3"]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_new_route_with_the_same_names_has_the_same_line() {
        let mut outbox = Outbox::default();
        let (first, second) =
            (waiting("a", "1", None, Instant::now()), waiting("a", "2", None, Instant::now()));
        let (old, new) = (first.copy(), second.copy());
        outbox.push(first);
        let knows = |outbox: &Outbox, one| outbox.lines[0].key.is_surely_of(one);
        assert!(knows(&outbox, &old) && !knows(&outbox, &new));
        outbox.push(second);
        assert!(outbox.lines.len() == 1 && knows(&outbox, &new));
    }

    #[test]
    fn what_was_refused_goes_first() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        outbox.push(waiting("a", "second", None, now));
        outbox.push_front(waiting("a", "first", None, now));
        assert_eq!(bodies(&mut outbox), ["first", "second"]);
    }

    #[test]
    fn what_expires_comes_out_and_the_rest_stays() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        outbox.push(waiting("a", "now", None, now));
        outbox.push(waiting("a", "later", None, later));
        assert_eq!(outbox.earliest(), Some(now));
        assert_eq!(outbox.expire(now).len(), 1);
        assert_eq!(outbox.earliest(), Some(later));
        assert_eq!(outbox.expire(now).len(), 0);
        assert_eq!(bodies(&mut outbox), ["later"]);
    }

    #[test]
    fn what_callers_took_back_is_swept() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        let gone = waiting("a", "gone", None, now);
        assert!(gone.accepted.withdraw());
        outbox.push(gone);
        outbox.push(waiting("a", "there", None, now));
        assert_eq!(outbox.sweep(), 1);
        assert_eq!(bodies(&mut outbox), ["there"]);
    }

    const WITH: Sharing = Sharing::With { wait_stored: true, oneway: false, sys_flag: 0 };

    #[test]
    fn what_waits_in_a_line_leaves_together_unless_it_is_held() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for body in ["1", "2", "3"] {
            outbox.push(sharing_attempt("a", body, None, now, WITH));
        }
        outbox.push(waiting("a", "alone", None, now));
        let other = Sharing::With { wait_stored: false, oneway: false, sys_flag: 0 };
        outbox.push(sharing_attempt("a", "fast", None, now, other));
        assert_eq!(outbox.holdable(), 4);
        assert_eq!(next(&mut outbox, true).as_deref(), Some("alone"));
        assert_eq!(next(&mut outbox, true), None);
        assert_eq!(next(&mut outbox, false).as_deref(), Some("1+2+3"));
        assert_eq!(next(&mut outbox, false).as_deref(), Some("fast"));
        assert!(outbox.is_empty() && outbox.holdable() == 0);
    }

    #[test]
    fn kinds_of_lines_take_turns() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for body in ["1", "2", "3"] {
            outbox.push(waiting("a", body, None, now));
        }
        outbox.push(sharing_attempt("a", "batch", None, now, WITH));
        outbox.push(sharing_attempt("b", "batch", None, now, WITH));
        let order: Vec<_> = std::iter::from_fn(|| next(&mut outbox, false)).collect();
        assert_eq!(order, ["1", "batch", "2", "batch", "3"]);
    }

    fn ordered_waiting(body: &'static str, now: Instant) -> OpenAttempt {
        let mut one = sharing_attempt("a", body, Some(1), now, WITH);
        let message = Message::new("a", body).order_by("k");
        one.accepted = Arc::new(Accepted::new(message.into(), terms(now, WITH)));
        one
    }

    fn alone(first: &Accepted) -> BatchRoom {
        BatchRoom::beside(first, 1, 1 << 20)
    }

    #[test]
    fn what_waits_behind_an_ordered_request_can_be_taken_along() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for in_flight in [true, false] {
            for body in ["1", "2", "3"] {
                outbox.push(ordered_waiting(body, now));
            }
            outbox.push(waiting("a", "other", None, now));
            let OutgoingBatch { messages, blocks } = outbox.next(true, alone).unwrap();
            if !in_flight {
                outbox.unblock(blocks.unwrap());
            }
            assert_eq!(outbox.take_behind(&messages).len(), 2);
            assert!(outbox.take_behind(&messages).is_empty());
            if in_flight {
                outbox.unblock(blocks.unwrap());
            }
            assert_eq!(next(&mut outbox, true).as_deref(), Some("other"));
            assert!(outbox.is_empty());
            // The line is as good as new.
            outbox.push(ordered_waiting("4", now));
            let OutgoingBatch { blocks, .. } = outbox.next(true, alone).unwrap();
            outbox.unblock(blocks.unwrap());
        }
    }

    #[test]
    fn an_ordered_line_has_one_request_in_flight() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        let ordered = |body| ordered_waiting(body, now);
        outbox.push(ordered("1"));
        outbox.push(ordered("2"));
        let first = outbox.next(true, alone).unwrap();
        assert_eq!(first.messages.len(), 1);
        assert!(outbox.next(true, alone).is_none());
        outbox.push(ordered("3"));
        assert!(outbox.next(true, alone).is_none());
        outbox.unblock(first.blocks.unwrap());
        assert_eq!(next(&mut outbox, true).as_deref(), Some("2+3"));
        assert!(outbox.is_empty());
    }
}
