//! Order: one request of a queue on its way at a time; what waits behind it is the next one.
//!
//! Real brokers store pipelined requests of one connection out of order (4.9.7 and 5.5.0 do), so
//! ordered messages leave only when earlier ones have ended, and then together, as far as they
//! may share a batch. Plain data under one lock; the order is the order of acceptance.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::accepted::{Accepted, BatchRoom, Failed, MOST_MESSAGES};
use crate::message::Destination;
use crate::{ErrorKind, MessageQueue};

/// Why messages fail with an earlier one of their key.
pub(crate) const EARLIER_FAILED: &str = "it was accepted before the earlier failure was reported";

/// Every queue that ordered messages are on their way to.
#[derive(Debug)]
pub(crate) struct Lanes {
    state: Mutex<LaneTable>,
    /// Most bytes of a batch.
    batch_bytes: usize,
}

#[derive(Debug, Default)]
struct LaneTable {
    lanes: HashMap<MessageQueue, Lane>,
    /// Keys with unfinished messages stay with their queue, even if the route has changed.
    keys: HashMap<OrderKey, KeyState>,
    /// How many messages wait in all lanes.
    waiting: usize,
    /// How many of them have ended: they are passed over when their turn comes.
    ended: usize,
    /// Nothing that waits expires before this.
    earliest: Option<Instant>,
}

/// One queue: what is on its way, and what waits behind it.
#[derive(Debug, Default)]
struct Lane {
    on_its_way: VecDeque<OnItsWay>,
    waiting: VecDeque<Arc<Accepted>>,
}

#[derive(Debug)]
struct OnItsWay {
    accepted: Arc<Accepted>,
    /// Its request timed out, and the broker may still store it: it keeps its place, though it has
    /// ended, until the request is over.
    held: bool,
}

/// What keeps messages together: topic and ordering key, or a given queue as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum OrderKey {
    Key(Arc<str>, Arc<str>),
    Queue(MessageQueue),
}

impl OrderKey {
    /// Whether this is the key of a message; without making that.
    fn is_of(&self, accepted: &Accepted) -> bool {
        match (self, accepted.destination()) {
            (Self::Key(topic, key), Destination::Key(other)) => {
                key == other && topic == accepted.topic()
            }
            (Self::Queue(queue), Destination::Queue { queue: other, ordered: true }) => {
                *queue == **other
            }
            (Self::Queue(queue), Destination::Selected(_)) => accepted.selected() == Some(queue),
            _ => false,
        }
    }
}

impl Lane {
    fn place_on_its_way(&self, accepted: &Arc<Accepted>) -> Option<usize> {
        self.on_its_way.iter().position(|one| Arc::ptr_eq(&one.accepted, accepted))
    }

    /// The keys of its messages that may move, and where to: not keys of which a message is on its way
    /// and not in the group, or may be stored.
    fn keys_that_may_move(
        &self,
        group: &[Arc<Accepted>],
        choose: impl Fn(&str) -> Option<MessageQueue>,
    ) -> HashMap<OrderKey, MessageQueue> {
        let in_group: HashSet<_> = group.iter().map(Arc::as_ptr).collect();
        let may_move = |one: &OnItsWay| {
            !one.held
                && in_group.contains(&Arc::as_ptr(&one.accepted))
                && !one.accepted.may_be_stored()
        };
        let stay = self.on_its_way.iter().filter(|one| !may_move(one));
        let stay: HashSet<_> = stay.filter_map(|one| order_key(&one.accepted)).collect();
        let all = self.on_its_way.iter().map(|one| &one.accepted).chain(&self.waiting);
        let keys: HashSet<_> = all.filter_map(|one| order_key(one)).collect();
        let to = |key: OrderKey| match &key {
            OrderKey::Key(_, text) if !stay.contains(&key) => Some((choose(text)?, key)),
            _ => None,
        };
        keys.into_iter().filter_map(to).map(|(queue, key)| (key, queue)).collect()
    }
}

#[derive(Debug)]
struct KeyState {
    queue: MessageQueue,
    unfinished: usize,
    /// Messages of its lane that wait; when one fails, so do the ones behind it.
    waiting: VecDeque<Arc<Accepted>>,
}

/// What follows from the failure of an ordered message.
#[derive(Default)]
pub(crate) struct Followers {
    /// The next messages of the queue, which may leave now.
    pub(crate) next: Vec<Arc<Accepted>>,
    /// Messages of the same key that failed with it.
    pub(crate) failed: Vec<(Arc<Accepted>, Failed)>,
}

impl Lanes {
    /// Lanes whose batches have at most this many bytes.
    pub(crate) fn new(batch_bytes: usize) -> Self {
        Self { state: Mutex::default(), batch_bytes }
    }

    /// Puts a message at the end of its lane. `choose` names the queue when its key is not bound to
    /// one already.
    pub(crate) fn enter(
        &self,
        accepted: &Arc<Accepted>,
        choose: impl FnOnce() -> Option<MessageQueue>,
    ) -> Entered {
        let Some(key) = order_key(accepted) else { return Entered::MayLeave };
        let mut guard = self.state();
        let state = &mut *guard;
        if accepted.has_ended() {
            return Entered::Ended;
        }
        let bound = match state.keys.entry(key) {
            Entry::Occupied(bound) => bound.into_mut(),
            Entry::Vacant(place) => {
                let Some(queue) = choose() else { return Entered::NoQueue };
                place.insert(KeyState { queue, unfinished: 0, waiting: VecDeque::new() })
            }
        };
        bound.unfinished += 1;
        let lane = state.lanes.entry(bound.queue.clone()).or_default();
        if lane.on_its_way.is_empty() {
            lane.on_its_way.push_back(OnItsWay { accepted: accepted.clone(), held: false });
            return Entered::MayLeave;
        }
        bound.waiting.push_back(accepted.clone());
        lane.waiting.push_back(accepted.clone());
        state.waiting += 1;
        let sooner = state.earliest.is_none_or(|at| accepted.deadline < at);
        if sooner {
            state.earliest = Some(accepted.deadline);
        }
        Entered::Waits { sooner }
    }

    /// The queue that an ordered message is bound to.
    pub(crate) fn queue_of(&self, accepted: &Accepted) -> Option<MessageQueue> {
        let key = order_key(accepted)?;
        self.state().keys.get(&key).map(|bound| bound.queue.clone())
    }

    /// Ends a message well, by `end`, which says `None` when it had ended before. Gives the next
    /// messages of its queue, if it was the last in their way.
    pub(crate) fn end<T>(
        &self,
        accepted: &Arc<Accepted>,
        end: impl FnOnce() -> Option<T>,
    ) -> Option<(T, Vec<Arc<Accepted>>)> {
        let Some(key) = order_key(accepted) else { return Some((end()?, Vec::new())) };
        let mut state = self.state();
        let ended = end()?;
        Some((ended, state.leave(&key, accepted, self.batch_bytes)))
    }

    /// Ends a message as failed, wherever it is, and with it the messages of its key that wait behind it.
    /// `None` when it had ended before.
    ///
    /// All of it happens under the lock that [`enter`](Self::enter) takes: every message that entered before
    /// the failure can be seen fails too, and nothing that enters later does.
    pub(crate) fn fail(
        &self,
        accepted: &Arc<Accepted>,
        kind: ErrorKind,
        reason: &str,
    ) -> Option<(Failed, Followers)> {
        let Some(key) = order_key(accepted) else {
            return Some((accepted.fail(kind, reason)?, Followers::default()));
        };
        let mut state = self.state();
        let failed = accepted.fail(kind, reason)?;
        let mut followers = Followers::default();
        for follower in state.on_its_way_behind(&key, accepted) {
            if let Some(failed) = follower.fail_with_earlier(EARLIER_FAILED) {
                // It is not the last of its lane: the failed one is still there.
                state.leave(&key, &follower, self.batch_bytes);
                followers.failed.push((follower, failed));
            }
        }
        for follower in state.take_behind(&key, accepted) {
            state.ended += 1;
            if let Some(failed) = follower.fail_with_earlier(EARLIER_FAILED) {
                followers.failed.push((follower, failed));
            }
        }
        followers.next = state.leave(&key, accepted, self.batch_bytes);
        Some((failed, followers))
    }

    /// A queue is gone, and `group` is what was on its way to it and is certainly not stored. Its keys
    /// move to the queues that `choose` names, each with all that waits for it and in its order; but
    /// keys stay of which a message may be stored. Gives what may leave now: messages of the group
    /// that stay, and messages that moved where nothing is before them.
    pub(crate) fn move_keys(
        &self,
        from: &MessageQueue,
        group: Vec<Arc<Accepted>>,
        choose: impl Fn(&str) -> Option<MessageQueue>,
    ) -> Vec<Arc<Accepted>> {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(mut lane) = state.lanes.remove(from) else { return group };
        let moving = lane.keys_that_may_move(&group, choose);
        let moves =
            |one: &Arc<Accepted>| order_key(one).is_some_and(|key| moving.contains_key(&key));
        let (leaving, stay) = lane.on_its_way.drain(..).partition(|one| moves(&one.accepted));
        lane.on_its_way = stay;
        let (waiting, stay) = lane.waiting.drain(..).partition(moves);
        lane.waiting = stay;
        state.lanes.insert(from.clone(), lane);
        state.join(leaving, waiting, &moving);
        let mut may_leave: Vec<_> =
            group.into_iter().filter(|one| !moves(one) && !one.has_ended()).collect();
        let queues: HashSet<_> = moving.into_values().chain([from.clone()]).collect();
        for queue in queues {
            may_leave.extend(state.next_of(&queue, self.batch_bytes));
        }
        may_leave
    }

    /// A caller took a message back. Gives the next messages of its queue, if it was the last in
    /// their way.
    pub(crate) fn withdrawn(&self, accepted: &Arc<Accepted>) -> Vec<Arc<Accepted>> {
        let Some(key) = order_key(accepted) else { return Vec::new() };
        let mut state = self.state();
        if !state.is_on_its_way(&key, accepted) {
            state.ended += 1;
        }
        state.leave(&key, accepted, self.batch_bytes)
    }

    /// The request of a message has timed out, but is not over: its queue waits for that, also once
    /// the message has ended. To be followed by [`request_over`](Self::request_over).
    pub(crate) fn hold(&self, accepted: &Arc<Accepted>) {
        let Some(key) = order_key(accepted) else { return };
        if let Some(one) = self.state().on_its_way_mut(&key, accepted) {
            one.held = true;
        }
    }

    /// The request of a message that is held is over. Gives the next messages of its queue, if it was
    /// the last in their way.
    pub(crate) fn request_over(&self, accepted: &Arc<Accepted>) -> Vec<Arc<Accepted>> {
        let Some(key) = order_key(accepted) else { return Vec::new() };
        let mut state = self.state();
        let Some(one) = state.on_its_way_mut(&key, accepted) else { return Vec::new() };
        let was_held = std::mem::take(&mut one.held);
        match was_held && accepted.has_ended() {
            true => state.leave(&key, accepted, self.batch_bytes),
            false => Vec::new(),
        }
    }

    /// A time before which nothing that waits expires.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.state().earliest
    }

    /// What waits in a lane beyond its deadline. It stays there until [`end`](Self::end).
    pub(crate) fn expired(&self, now: Instant) -> Vec<Arc<Accepted>> {
        let mut state = self.state();
        if state.earliest.is_none_or(|earliest| now < earliest) {
            return Vec::new();
        }
        let waiting = || state.lanes.values().flat_map(|lane| lane.waiting.iter());
        let due = |one: &&Arc<Accepted>| one.deadline <= now && !one.has_ended();
        let expired = waiting().filter(due).cloned().collect();
        let earliest = waiting().map(|one| one.deadline).filter(|at| *at > now).min();
        state.earliest = earliest;
        expired
    }

    /// Everything that waits in a lane. It stays there until [`end`](Self::end).
    pub(crate) fn all_waiting(&self) -> Vec<Arc<Accepted>> {
        let state = self.state();
        state.lanes.values().flat_map(|lane| lane.waiting.iter().cloned()).collect()
    }

    fn state(&self) -> MutexGuard<'_, LaneTable> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of entering a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entered {
    /// Nothing is before it.
    MayLeave,
    /// It waits; `sooner`: it expires before all that have been waiting.
    Waits { sooner: bool },
    /// It has ended meanwhile, and has no place in the lane.
    Ended,
    /// The topic has no queue for it.
    NoQueue,
}

impl LaneTable {
    fn on_its_way_mut(
        &mut self,
        key: &OrderKey,
        accepted: &Arc<Accepted>,
    ) -> Option<&mut OnItsWay> {
        let lane = self.lanes.get_mut(&self.keys.get(key)?.queue)?;
        let place = lane.place_on_its_way(accepted)?;
        lane.on_its_way.get_mut(place)
    }

    fn is_on_its_way(&self, key: &OrderKey, accepted: &Arc<Accepted>) -> bool {
        let lane = self.keys.get(key).and_then(|bound| self.lanes.get(&bound.queue));
        lane.is_some_and(|lane| lane.place_on_its_way(accepted).is_some())
    }

    /// Messages of a key that are on their way behind this one.
    fn on_its_way_behind(&self, key: &OrderKey, accepted: &Arc<Accepted>) -> Vec<Arc<Accepted>> {
        let lane = self.keys.get(key).and_then(|bound| self.lanes.get(&bound.queue));
        let Some(lane) = lane else { return Vec::new() };
        let Some(place) = lane.place_on_its_way(accepted) else { return Vec::new() };
        let behind = lane.on_its_way.iter().skip(place + 1).map(|one| &one.accepted);
        behind.filter(|one| key.is_of(one)).cloned().collect()
    }

    /// Takes an ended message, and the messages of its key behind it, from the messages that wait.
    /// Their places in the lane stay, and are passed over.
    fn take_behind(&mut self, key: &OrderKey, accepted: &Arc<Accepted>) -> VecDeque<Arc<Accepted>> {
        let on_its_way = self.is_on_its_way(key, accepted);
        let Some(bound) = self.keys.get_mut(key) else { return VecDeque::new() };
        if on_its_way {
            return std::mem::take(&mut bound.waiting);
        }
        match bound.waiting.iter().position(|one| Arc::ptr_eq(one, accepted)) {
            Some(place) => bound.waiting.split_off(place),
            None => VecDeque::new(),
        }
    }

    /// Takes an ended message out of the way of its lane, unless it is held; gives the next ones, which
    /// may leave now if it was the last that was on its way.
    fn leave(
        &mut self,
        key: &OrderKey,
        accepted: &Arc<Accepted>,
        batch_bytes: usize,
    ) -> Vec<Arc<Accepted>> {
        let mut next = Vec::new();
        if let Some(queue) = self.take_from_its_way(key, accepted) {
            self.unbind(key);
            next = self.next_of(&queue, batch_bytes);
        }
        if self.ended > 64 && self.ended * 2 > self.waiting {
            self.sweep();
        }
        next
    }

    /// Messages of keys that move take their places at the ends of their new lanes: messages that
    /// were on their way come before messages of their key that waited already.
    fn join(
        &mut self,
        leaving: VecDeque<OnItsWay>,
        waiting: VecDeque<Arc<Accepted>>,
        moving: &HashMap<OrderKey, MessageQueue>,
    ) {
        self.waiting += leaving.len();
        for one in leaving.iter().rev().map(|one| &one.accepted) {
            self.earliest = Some(self.earliest.map_or(one.deadline, |at| at.min(one.deadline)));
            if let Some(bound) = order_key(one).and_then(|key| self.keys.get_mut(&key)) {
                bound.waiting.push_front(one.clone());
            }
        }
        for one in leaving.into_iter().map(|one| one.accepted).chain(waiting) {
            if let Some(queue) = order_key(&one).and_then(|key| moving.get(&key)) {
                self.lanes.entry(queue.clone()).or_default().waiting.push_back(one);
            }
        }
        for (key, queue) in moving {
            if let Some(bound) = self.keys.get_mut(key) {
                bound.queue = queue.clone();
            }
        }
    }

    /// Takes a message from the messages on their way, unless it is held; gives its queue.
    fn take_from_its_way(
        &mut self,
        key: &OrderKey,
        accepted: &Arc<Accepted>,
    ) -> Option<MessageQueue> {
        let queue = self.keys.get(key)?.queue.clone();
        let lane = self.lanes.get_mut(&queue)?;
        let place = lane.place_on_its_way(accepted)?;
        if lane.on_its_way.get(place)?.held {
            return None;
        }
        lane.on_its_way.remove(place);
        Some(queue)
    }

    /// The next messages of a lane, as many as may share a batch, if nothing of it is on its way.
    fn next_of(&mut self, queue: &MessageQueue, batch_bytes: usize) -> Vec<Arc<Accepted>> {
        let Some(mut lane) = self.lanes.remove(queue) else { return Vec::new() };
        let mut next: Vec<Arc<Accepted>> = Vec::new();
        let mut room: Option<BatchRoom> = None;
        while lane.on_its_way.is_empty()
            && let Some(one) = lane.waiting.pop_front()
        {
            if one.has_ended() {
                self.waiting -= 1;
                self.forget(&one);
                continue;
            }
            let joins = room.as_mut().is_none_or(|room| room.take(&one));
            if !joins {
                lane.waiting.push_front(one);
                break;
            }
            room.get_or_insert_with(|| BatchRoom::beside(&one, MOST_MESSAGES, batch_bytes));
            self.waiting -= 1;
            if let Some(bound) = order_key(&one).and_then(|key| self.keys.get_mut(&key)) {
                // What stands before it there has ended.
                while bound.waiting.pop_front().is_some_and(|other| !Arc::ptr_eq(&other, &one)) {}
            }
            next.push(one);
        }
        let leave = next.iter().map(|one| OnItsWay { accepted: one.clone(), held: false });
        lane.on_its_way.extend(leave);
        if !lane.on_its_way.is_empty() {
            self.lanes.insert(queue.clone(), lane);
        }
        next
    }

    /// Drops what has ended, so that it does not pile up while a broker stalls.
    fn sweep(&mut self) {
        let mut gone = Vec::new();
        for lane in self.lanes.values_mut() {
            let (ended, kept) =
                std::mem::take(&mut lane.waiting).into_iter().partition(|one| one.has_ended());
            lane.waiting = kept;
            gone.extend::<VecDeque<_>>(ended);
        }
        self.waiting -= gone.len();
        for one in &gone {
            self.forget(one);
        }
        for bound in self.keys.values_mut() {
            bound.waiting.retain(|one| !one.has_ended());
        }
        self.ended = 0;
    }

    /// A message that has ended leaves its lane.
    fn forget(&mut self, accepted: &Accepted) {
        self.ended = self.ended.saturating_sub(1);
        if let Some(key) = order_key(accepted) {
            self.unbind(&key);
        }
    }

    fn unbind(&mut self, key: &OrderKey) {
        if let Some(bound) = self.keys.get_mut(key) {
            bound.unfinished = bound.unfinished.saturating_sub(1);
            if bound.unfinished == 0 {
                self.keys.remove(key);
            }
        }
    }
}

pub(crate) fn order_key(accepted: &Accepted) -> Option<OrderKey> {
    match accepted.destination() {
        Destination::Key(key) => Some(OrderKey::Key(accepted.topic().clone(), key.clone())),
        Destination::Queue { queue, ordered: true } => {
            Some(OrderKey::Queue(queue.as_ref().clone()))
        }
        Destination::Selected(_) => accepted.selected().cloned().map(OrderKey::Queue),
        Destination::Any | Destination::Queue { ordered: false, .. } => None,
    }
}

#[cfg(test)]
mod tests;
