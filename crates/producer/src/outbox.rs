//! What waits for room in one broker's window.
//!
//! Plain data, no runtime: the connection's task puts messages in and takes out what leaves
//! together. Lines are served in turn, the oldest first within each, so that one busy topic never
//! starves another.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::accepted::Accepted;
use crate::batch::{Room, Sharing, Trial};
use crate::route::Target;

/// One message that waits to leave.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) accepted: Arc<Accepted>,
    pub(crate) target: Target,
    /// When this attempt began.
    pub(crate) since: Instant,
    /// When this attempt ends, at the latest at the message's deadline.
    pub(crate) until: Instant,
    /// Set when it was in a batch that was refused.
    pub(crate) trial: Option<Arc<Trial>>,
}

impl Waiting {
    /// The same attempt, for another place that has to do with it.
    pub(crate) fn copy(&self) -> Self {
        let Self { accepted, target, since, until, trial } = self;
        let (accepted, target, trial) = (accepted.clone(), target.clone(), trial.clone());
        Self { accepted, target, since: *since, until: *until, trial }
    }

    /// Whether it may be held back for its batch to grow.
    pub(crate) fn may_be_held(&self) -> bool {
        self.accepted.sharing != Sharing::Alone && !self.accepted.is_ordered()
    }

    fn line(&self) -> LineKey {
        let accepted = &self.accepted;
        LineKey {
            topic: accepted.topic().clone(),
            broker: self.target.broker_name().clone(),
            queue: self.target.queue,
            sharing: accepted.sharing,
            ordered: accepted.is_ordered(),
        }
    }
}

/// What messages that wait in one line have in common: any queue of a topic on a broker, or one
/// queue; and with whom they may share a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LineKey {
    topic: Arc<str>,
    broker: Arc<str>,
    queue: Option<i32>,
    sharing: Sharing,
    /// One request of an ordered line is in flight at a time.
    ordered: bool,
}

impl LineKey {
    /// Whether the line may be held back for its batch to grow.
    fn may_be_held(&self) -> bool {
        self.sharing != Sharing::Alone && !self.ordered
    }
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    /// Ordered: a request of it is in flight.
    blocked: bool,
}

/// What leaves in one request.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) messages: Vec<Waiting>,
    /// The line to [`unblock`](Outbox::unblock) when the request has ended.
    pub(crate) blocks: Option<LineKey>,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    lines: HashMap<LineKey, Line>,
    /// Lines that have messages which may leave, the next to be served first: those that leave as
    /// soon as there is room, and those that may be held back.
    at_once: VecDeque<LineKey>,
    holdable: VecDeque<LineKey>,
    /// Whether it is the turn of the second kind.
    turn_of_holdable: bool,
    /// Messages in lines that may be held back.
    holdable_messages: usize,
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

    /// A time before which nothing in here expires.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// Puts a message at the end of its line.
    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.line(&waiting).push_back(waiting);
    }

    /// Puts a message that has to leave once more at the head of its line.
    pub(crate) fn push_front(&mut self, waiting: Waiting) {
        self.line(&waiting).push_front(waiting);
    }

    /// Takes what leaves next: a message, and those behind it in its line that share its request.
    /// `hold` passes over lines that may be held back; `room` says what a first message has beside
    /// itself.
    pub(crate) fn next(
        &mut self,
        hold: bool,
        room: impl FnOnce(&Accepted) -> Room,
    ) -> Option<Departure> {
        let holdable = !hold && !self.holdable.is_empty();
        let key = match holdable && (self.turn_of_holdable || self.at_once.is_empty()) {
            true => self.holdable.pop_front()?,
            false => self.at_once.pop_front()?,
        };
        self.turn_of_holdable = !key.may_be_held();
        let line = self.lines.get_mut(&key)?;
        let first = line.waiting.pop_front()?;
        let mut room = room(&first.accepted);
        let mut messages = vec![first];
        while line.waiting.front().is_some_and(|next| room.take(&next.accepted)) {
            messages.extend(line.waiting.pop_front());
        }
        line.blocked = key.ordered;
        self.len -= messages.len();
        if key.may_be_held() {
            self.holdable_messages -= messages.len();
        }
        let blocks = key.ordered.then(|| key.clone());
        self.give_turn(key);
        Some(Departure { messages, blocks })
    }

    /// Takes out what waits in the lines of these messages, where they are ordered.
    pub(crate) fn take_behind(&mut self, messages: &[Waiting]) -> Vec<Waiting> {
        let mut behind = Vec::new();
        for one in messages.iter().filter(|one| one.accepted.is_ordered()) {
            let key = one.line();
            let Some(line) = self.lines.get_mut(&key) else { continue };
            behind.extend(line.waiting.drain(..));
            if !line.blocked {
                self.lines.remove(&key);
                self.at_once.retain(|other| *other != key);
            }
        }
        self.len -= behind.len();
        behind
    }

    /// The request of an ordered line has ended.
    pub(crate) fn unblock(&mut self, key: LineKey) {
        if let Some(line) = self.lines.get_mut(&key) {
            line.blocked = false;
            self.give_turn(key);
        }
    }

    /// Puts a line that is not in a row of turns at its end, or forgets it when nothing is left.
    fn give_turn(&mut self, key: LineKey) {
        match self.lines.get(&key) {
            None => {}
            Some(line) if line.blocked => {}
            Some(line) if line.waiting.is_empty() => drop(self.lines.remove(&key)),
            Some(_) if key.may_be_held() => self.holdable.push_back(key),
            Some(_) => self.at_once.push_back(key),
        }
    }

    /// Takes out what expired by `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Waiting> {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return Vec::new();
        }
        self.take_if(|waiting| waiting.until <= now)
    }

    /// Drops what has ended or was taken back by its caller; says how many.
    pub(crate) fn sweep(&mut self) -> usize {
        self.take_if(|waiting| waiting.accepted.has_ended()).len()
    }

    /// Takes everything out, each line in its order.
    pub(crate) fn drain(&mut self) -> Vec<Waiting> {
        self.take_if(|_| true)
    }

    fn take_if(&mut self, wanted: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let mut taken = Vec::new();
        let mut earliest: Option<Instant> = None;
        for (key, line) in &mut self.lines {
            let (out, kept) = std::mem::take(&mut line.waiting).into_iter().partition(&wanted);
            line.waiting = kept;
            if key.may_be_held() {
                self.holdable_messages -= VecDeque::len(&out);
            }
            taken.extend::<VecDeque<_>>(out);
            let line_earliest = line.waiting.iter().map(|waiting| waiting.until).min();
            earliest = [earliest, line_earliest].into_iter().flatten().min();
        }
        self.lines.retain(|_, line| line.blocked || !line.waiting.is_empty());
        let lines = &self.lines;
        let has_some = |key: &LineKey| lines.get(key).is_some_and(|line| !line.waiting.is_empty());
        self.at_once.retain(has_some);
        self.holdable.retain(has_some);
        self.len -= taken.len();
        self.earliest = earliest;
        taken
    }

    fn line(&mut self, waiting: &Waiting) -> &mut VecDeque<Waiting> {
        let key = waiting.line();
        self.len += 1;
        self.holdable_messages += usize::from(key.may_be_held());
        self.earliest = Some(self.earliest.map_or(waiting.until, |at| at.min(waiting.until)));
        let row = if key.may_be_held() { &mut self.holdable } else { &mut self.at_once };
        let line = match self.lines.entry(key) {
            Entry::Occupied(line) => line.into_mut(),
            Entry::Vacant(place) => {
                row.push_back(place.key().clone());
                place.insert(Line::default())
            }
        };
        &mut line.waiting
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Message;
    use crate::accepted::{Mode, Terms};
    use crate::batch::MOST_MESSAGES;
    use crate::route::Route;
    use crate::unique_id::{UniqueIds, own_ip};

    fn waiting(
        topic: &'static str,
        body: &'static str,
        queue: Option<i32>,
        until: Instant,
    ) -> Waiting {
        sharing_waiting(topic, body, queue, until, Sharing::Alone)
    }

    fn sharing_waiting(
        topic: &'static str,
        body: &'static str,
        queue: Option<i32>,
        until: Instant,
        sharing: Sharing,
    ) -> Waiting {
        let id = UniqueIds::new(own_ip()).next();
        let message = Message::new(topic, body);
        let terms = Terms {
            id,
            born_at_ms: 0,
            deadline: until,
            mode: Mode::Async,
            sharing,
            bytes: 1,
            stored_bytes: 300,
        };
        let accepted = Arc::new(Accepted::new(message, terms));
        let no_connection = |_: &str| unreachable!("the route has no broker");
        let route = Arc::new(Route::new(Arc::from(topic), Vec::new(), false, no_connection));
        Waiting {
            accepted,
            target: Target { route, broker: 0, queue },
            since: until,
            until,
            trial: None,
        }
    }

    fn bodies(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| next(outbox, false)).collect()
    }

    /// The bodies of what leaves next.
    fn next(outbox: &mut Outbox, hold: bool) -> Option<String> {
        let departure = outbox.next(hold, |first| Room::beside(first, MOST_MESSAGES, 1 << 20))?;
        let body = |waiting: &Waiting| {
            let text = |message: &Message| String::from_utf8_lossy(message.body()).into_owned();
            waiting.accepted.show(text)
        };
        let bodies: Vec<String> = departure.messages.iter().filter_map(body).collect();
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

    const WITH: Sharing = Sharing::With { wait_stored: true, oneway: false };

    #[test]
    fn what_waits_in_a_line_leaves_together_unless_it_is_held() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for body in ["1", "2", "3"] {
            outbox.push(sharing_waiting("a", body, None, now, WITH));
        }
        outbox.push(waiting("a", "alone", None, now));
        let other = Sharing::With { wait_stored: false, oneway: false };
        outbox.push(sharing_waiting("a", "fast", None, now, other));
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
        outbox.push(sharing_waiting("a", "batch", None, now, WITH));
        outbox.push(sharing_waiting("b", "batch", None, now, WITH));
        let order: Vec<_> = std::iter::from_fn(|| next(&mut outbox, false)).collect();
        assert_eq!(order, ["1", "batch", "2", "batch", "3"]);
    }

    fn ordered_waiting(body: &'static str, now: Instant) -> Waiting {
        let mut one = sharing_waiting("a", body, Some(1), now, WITH);
        let message = Message::new("a", body).order_by("k");
        let terms = Terms {
            id: one.accepted.id,
            born_at_ms: 0,
            deadline: now,
            mode: Mode::Async,
            sharing: WITH,
            bytes: 1,
            stored_bytes: 300,
        };
        one.accepted = Arc::new(Accepted::new(message, terms));
        one
    }

    fn alone(first: &Accepted) -> Room {
        Room::beside(first, 1, 1 << 20)
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
            let Departure { messages, blocks } = outbox.next(true, alone).unwrap();
            if !in_flight {
                outbox.unblock(blocks.clone().unwrap());
            }
            assert_eq!(outbox.take_behind(&messages).len(), 2);
            assert!(outbox.take_behind(&messages).is_empty());
            if in_flight {
                outbox.unblock(blocks.unwrap());
            }
            assert_eq!(next(&mut outbox, true).as_deref(), Some("other"));
            assert!(outbox.is_empty() && outbox.lines.is_empty());
            // The line is as good as new.
            outbox.push(ordered_waiting("4", now));
            let Departure { blocks, .. } = outbox.next(true, alone).unwrap();
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
