//! Order: one message of a queue on its way at a time, the others wait behind it.
//!
//! Real brokers store pipelined requests of one connection out of order (4.9.7 and 5.5.0 do), so an
//! ordered message leaves only when the one before it has ended. Plain data under one lock; the
//! order is the order of acceptance.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::MessageQueue;
use crate::accepted::Accepted;
use crate::message::Destination;

/// Every queue that ordered messages are on their way to.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lanes: HashMap<MessageQueue, Lane>,
    /// Keys with unfinished messages stay with their queue, whatever the route says by now.
    keys: HashMap<OrderKey, KeyState>,
    /// How many messages wait in all lanes.
    waiting: usize,
    /// How many of them were taken back by their callers and are still met.
    withdrawn: usize,
    /// Nothing that waits expires before this.
    earliest: Option<Instant>,
}

/// One queue: what is on its way, and what waits behind it.
#[derive(Debug, Default)]
struct Lane {
    on_its_way: Option<Arc<Accepted>>,
    waiting: VecDeque<Arc<Accepted>>,
}

/// What keeps messages together: topic and ordering key, or a given queue as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum OrderKey {
    Key(Arc<str>, Arc<str>),
    Queue(MessageQueue),
}

#[derive(Debug)]
struct KeyState {
    queue: MessageQueue,
    unfinished: usize,
}

/// What follows from the end of an ordered message.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    /// The next message of the queue, which may leave now.
    pub(crate) next: Option<Arc<Accepted>>,
    /// Messages of the same key that fail with a failed one.
    pub(crate) failed: Vec<Arc<Accepted>>,
}

impl Lanes {
    /// Puts a message at the end of its lane. `choose` names the queue when its key is not bound to
    /// one already.
    pub(crate) fn enter(
        &self,
        accepted: &Arc<Accepted>,
        choose: impl FnOnce() -> Option<MessageQueue>,
    ) -> Entered {
        let Some(key) = order_key(accepted) else { return Entered::MayLeave };
        let mut state = self.state();
        let queue = match state.keys.get_mut(&key) {
            Some(bound) => {
                bound.unfinished += 1;
                bound.queue.clone()
            }
            None => {
                let Some(queue) = choose() else { return Entered::NoQueue };
                state.keys.insert(key, KeyState { queue: queue.clone(), unfinished: 1 });
                queue
            }
        };
        let lane = state.lanes.entry(queue).or_default();
        if lane.on_its_way.is_none() {
            lane.on_its_way = Some(accepted.clone());
            return Entered::MayLeave;
        }
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

    /// Ends a message, wherever it is, by `end`, which says `None` when it had ended before.
    ///
    /// With `failed`, those of its key that wait behind it are taken out. All of it happens under
    /// the lock that [`enter`](Self::enter) takes: whatever entered before the failure can be seen
    /// fails too, and nothing that enters later does.
    pub(crate) fn end<T>(
        &self,
        accepted: &Arc<Accepted>,
        failed: bool,
        end: impl FnOnce() -> Option<T>,
    ) -> Option<(T, Followers)> {
        let Some(key) = order_key(accepted) else {
            return Some((end()?, Followers::default()));
        };
        let mut state = self.state();
        let ended = end()?;
        Some((ended, state.leave(&key, accepted, failed)))
    }

    /// A caller took a message back. One that waits is met and dropped later; so that these do not
    /// pile up while a broker stalls, they are swept now and then.
    pub(crate) fn withdrawn(&self, accepted: &Arc<Accepted>) -> Followers {
        let Some(key) = order_key(accepted) else { return Followers::default() };
        let mut state = self.state();
        if state.is_on_its_way(&key, accepted) {
            return state.leave(&key, accepted, false);
        }
        state.withdrawn += 1;
        if state.withdrawn > 64 && state.withdrawn * 2 > state.waiting {
            state.sweep();
        }
        Followers::default()
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
        let expired = waiting().filter(|one| one.deadline <= now).cloned().collect();
        let earliest = waiting().map(|one| one.deadline).filter(|at| *at > now).min();
        state.earliest = earliest;
        expired
    }

    /// Everything that waits in a lane. It stays there until [`end`](Self::end).
    pub(crate) fn all_waiting(&self) -> Vec<Arc<Accepted>> {
        let state = self.state();
        state.lanes.values().flat_map(|lane| lane.waiting.iter().cloned()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of entering a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entered {
    /// Nothing is before it.
    MayLeave,
    /// It waits; `sooner`: it expires before all that have been waiting.
    Waits { sooner: bool },
    /// The topic has no queue for it.
    NoQueue,
}

impl State {
    fn is_on_its_way(&self, key: &OrderKey, accepted: &Arc<Accepted>) -> bool {
        let lane = self.keys.get(key).and_then(|bound| self.lanes.get(&bound.queue));
        lane.and_then(|lane| lane.on_its_way.as_ref()).is_some_and(|one| Arc::ptr_eq(one, accepted))
    }

    /// Takes an ended message out of its lane, and with `failed` those of its key behind it.
    fn leave(&mut self, key: &OrderKey, accepted: &Arc<Accepted>, failed: bool) -> Followers {
        let mut followers = Followers::default();
        let Some(queue) = self.keys.get(key).map(|bound| bound.queue.clone()) else {
            return followers;
        };
        let Some(mut lane) = self.lanes.remove(&queue) else { return followers };
        if failed {
            let (failed, kept) = std::mem::take(&mut lane.waiting)
                .into_iter()
                .partition(|other| order_key(other).as_ref() == Some(key));
            lane.waiting = kept;
            followers.failed = Vec::from_iter::<VecDeque<_>>(failed);
            self.waiting -= followers.failed.len();
            self.unbind(key, followers.failed.len());
            followers.failed.retain(|other| !Arc::ptr_eq(other, accepted));
        }
        if lane.on_its_way.as_ref().is_some_and(|one| Arc::ptr_eq(one, accepted)) {
            self.unbind(key, 1);
            lane.on_its_way = None;
            followers.next = self.next_of(&mut lane);
        }
        if lane.on_its_way.is_some() {
            self.lanes.insert(queue, lane);
        }
        followers
    }

    /// The next message of a lane, over those taken back by their callers.
    fn next_of(&mut self, lane: &mut Lane) -> Option<Arc<Accepted>> {
        while let Some(next) = lane.waiting.pop_front() {
            self.waiting -= 1;
            if next.has_ended() {
                self.forget(&next);
                continue;
            }
            lane.on_its_way = Some(next.clone());
            return Some(next);
        }
        None
    }

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
        self.withdrawn = 0;
    }

    /// A message that was taken back leaves its lane.
    fn forget(&mut self, accepted: &Accepted) {
        self.withdrawn = self.withdrawn.saturating_sub(1);
        if let Some(key) = order_key(accepted) {
            self.unbind(&key, 1);
        }
    }

    fn unbind(&mut self, key: &OrderKey, count: usize) {
        if let Some(bound) = self.keys.get_mut(key) {
            bound.unfinished = bound.unfinished.saturating_sub(count);
            if bound.unfinished == 0 {
                self.keys.remove(key);
            }
        }
    }
}

fn order_key(accepted: &Accepted) -> Option<OrderKey> {
    match accepted.destination() {
        Destination::Key(key) => Some(OrderKey::Key(accepted.topic().clone(), key.clone())),
        Destination::Queue { queue, ordered: true } => Some(OrderKey::Queue(queue.clone())),
        Destination::Any | Destination::Queue { ordered: false, .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Message;
    use crate::accepted::Mode;
    use crate::unique_id::{UniqueIds, own_ip};

    fn message(key: &'static str) -> Arc<Accepted> {
        let id = UniqueIds::new(own_ip()).next();
        let deadline = Instant::now() + Duration::from_secs(1);
        let message = Message::new("t", "x").order_by(key);
        Arc::new(Accepted::new(message, Mode::Async, id, 0, deadline, 1))
    }

    fn queue(id: i32) -> Option<MessageQueue> {
        Some(MessageQueue::new("t", "b", id))
    }

    /// Enters messages of these keys, all into queue 0.
    fn lane(keys: &[&'static str]) -> (Lanes, Vec<Arc<Accepted>>) {
        let lanes = Lanes::default();
        let messages: Vec<_> = keys.iter().map(|key| message(key)).collect();
        for (place, one) in messages.iter().enumerate() {
            let entered = lanes.enter(one, || queue(0));
            assert_eq!(entered == Entered::MayLeave, place == 0);
        }
        (lanes, messages)
    }

    fn end(lanes: &Lanes, one: &Arc<Accepted>, failed: bool) -> Followers {
        lanes.end(one, failed, || Some(())).unwrap().1
    }

    fn same(left: Option<&Arc<Accepted>>, right: &Arc<Accepted>) -> bool {
        left.is_some_and(|left| Arc::ptr_eq(left, right))
    }

    #[test]
    fn one_at_a_time_in_the_order_of_acceptance() {
        let (lanes, messages) = lane(&["a", "b", "a"]);
        assert!(same(end(&lanes, &messages[0], false).next.as_ref(), &messages[1]));
        assert!(same(end(&lanes, &messages[1], false).next.as_ref(), &messages[2]));
        assert!(end(&lanes, &messages[2], false).next.is_none());
        assert!(lanes.state().keys.is_empty() && lanes.state().lanes.is_empty());
    }

    #[test]
    fn a_failure_takes_those_of_its_key_along_and_no_other() {
        let (lanes, messages) = lane(&["a", "b", "a", "c", "a"]);
        let followers = end(&lanes, &messages[0], true);
        assert_eq!(followers.failed.len(), 2);
        assert!(same(followers.failed.first(), &messages[2]));
        assert!(same(followers.next.as_ref(), &messages[1]));
        assert!(same(end(&lanes, &messages[1], false).next.as_ref(), &messages[3]));
        assert!(end(&lanes, &messages[3], false).next.is_none());
        assert!(lanes.state().keys.is_empty() && lanes.state().waiting == 0);
    }

    #[test]
    fn one_that_expires_while_it_waits_holds_up_nobody() {
        let (lanes, messages) = lane(&["a", "b", "c"]);
        assert!(end(&lanes, &messages[1], true).next.is_none());
        assert!(same(end(&lanes, &messages[0], false).next.as_ref(), &messages[2]));
    }

    #[test]
    fn a_key_keeps_its_queue_until_it_is_idle() {
        let (lanes, messages) = lane(&["a"]);
        let second = message("a");
        lanes.enter(&second, || queue(5));
        assert_eq!(lanes.queue_of(&second), queue(0));
        end(&lanes, &messages[0], false);
        end(&lanes, &second, false);
        let third = message("a");
        lanes.enter(&third, || queue(5));
        assert_eq!(lanes.queue_of(&third), queue(5));
    }

    #[test]
    fn one_taken_back_fails_nobody() {
        let (lanes, messages) = lane(&["a", "a", "a"]);
        assert!(messages[1].withdraw());
        assert!(lanes.withdrawn(&messages[1]).next.is_none());
        let followers = end(&lanes, &messages[0], false);
        assert!(followers.failed.is_empty());
        assert!(same(followers.next.as_ref(), &messages[2]));
        assert!(messages[2].withdraw());
        assert!(lanes.withdrawn(&messages[2]).next.is_none());
        assert!(lanes.state().keys.is_empty() && lanes.state().lanes.is_empty());
    }

    #[test]
    fn those_taken_back_do_not_pile_up() {
        let (lanes, _first) = lane(&["a"]);
        for _ in 0..10_000 {
            let one = message("a");
            lanes.enter(&one, || queue(0));
            assert!(one.withdraw());
            lanes.withdrawn(&one);
        }
        assert!(lanes.state().waiting < 200, "{} wait", lanes.state().waiting);
    }
}
