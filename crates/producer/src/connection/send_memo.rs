//! What the task of a broker's connection keeps from one send of a topic to the next.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use posthaste_protocol::request::SendTemplate;

/// This many queues are compared when a request takes the next one.
const LOOK_AHEAD: usize = 16;

/// A broker's queues of a topic, and what the last send to them has left for the next. The task of one
/// connection alone has to do with it, so nothing is counted at the same time.
///
/// Close together: of a thousand topics in turn each has its own, and none stays in the nearer caches.
#[derive(Debug)]
pub(crate) struct SendMemo {
    queues: Box<[OwnQueue]>,
    /// From this number on the broker has no queues, as it has said since routes were polled last.
    end: AtomicI32,
    /// Whose turn it is among them.
    turn: AtomicUsize,
    /// Place of the outbox's line that got the last message.
    line: AtomicUsize,
    /// What single sends share, once there was one.
    pub(crate) template: OnceLock<SendTemplate>,
}

/// One queue of a broker that takes messages in turn.
#[derive(Debug)]
struct OwnQueue {
    id: i32,
    /// How many messages it got in its turns; the last bits of it.
    messages: AtomicU32,
}

impl OwnQueue {
    fn took(&self, messages: usize) {
        let before = self.messages.load(Ordering::Relaxed);
        self.messages.store(before.wrapping_add(messages as u32), Ordering::Relaxed);
    }
}

impl SendMemo {
    pub(crate) fn new(queues: &[i32]) -> Self {
        let own = |id: &i32| OwnQueue { id: *id, messages: AtomicU32::new(0) };
        Self {
            queues: queues.iter().map(own).collect(),
            end: AtomicI32::new(i32::MAX),
            turn: AtomicUsize::new(fastrand::usize(..)),
            line: AtomicUsize::new(0),
            template: OnceLock::new(),
        }
    }

    /// Whether this queue is among them.
    pub(crate) fn has(&self, id: i32) -> bool {
        self.queues.iter().any(|queue| queue.id == id)
    }

    /// The broker does not have this queue, nor the queues after it, though the route says so.
    pub(crate) fn end_at(&self, id: i32) {
        self.end.fetch_min(id, Ordering::Relaxed);
    }

    /// The broker may have them by now.
    pub(crate) fn restore(&self) {
        self.end.store(i32::MAX, Ordering::Relaxed);
    }

    /// Whether there is a queue that the broker has not denied.
    pub(crate) fn has_some(&self) -> bool {
        let end = self.end.load(Ordering::Relaxed);
        self.queues.iter().any(|queue| queue.id < end)
    }

    /// The queue for a request of this many messages: the next one in turn, or of those after it
    /// one that got fewer. Batches differ in size, but queues still get equal shares.
    pub(crate) fn next_queue(&self, messages: usize) -> Option<i32> {
        let turn = self.turn.load(Ordering::Relaxed) % self.queues.len().max(1);
        self.turn.store(turn + 1, Ordering::Relaxed);
        let (before, from) = self.queues.split_at_checked(turn)?;
        let end = self.end.load(Ordering::Relaxed);
        let next = from.iter().chain(before).filter(|queue| queue.id < end).take(LOOK_AHEAD);
        let got = |queue: &OwnQueue| queue.messages.load(Ordering::Relaxed);
        // Counts run over.
        let newest = got(from.first()?);
        let queue = next.min_by_key(|queue| got(queue).wrapping_sub(newest).cast_signed())?;
        queue.took(messages);
        Some(queue.id)
    }

    /// The queue with the largest number that the broker has not denied, for a request of this many
    /// messages.
    pub(crate) fn last_queue(&self, messages: usize) -> Option<i32> {
        let end = self.end.load(Ordering::Relaxed);
        let queue =
            self.queues.iter().filter(|queue| queue.id < end).max_by_key(|queue| queue.id)?;
        queue.took(messages);
        Some(queue.id)
    }

    /// Place of the line that got the last message; it may be another's by now.
    pub(crate) fn last_line(&self) -> usize {
        self.line.load(Ordering::Relaxed)
    }

    /// A message got into the line at this place.
    pub(crate) fn took_line(&self, place: usize) {
        self.line.store(place, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(memo: &SendMemo, requests: &[usize]) -> Vec<i32> {
        requests.iter().filter_map(|messages| memo.next_queue(*messages)).collect()
    }

    fn memo(turn: usize, got: u32) -> SendMemo {
        let memo = SendMemo::new(&[0, 1, 5]);
        memo.turn.store(turn, Ordering::Relaxed);
        memo.queues.iter().for_each(|queue| queue.messages.store(got, Ordering::Relaxed));
        memo
    }

    #[test]
    fn queues_take_turns_and_what_got_more_is_passed_over() {
        // Also where the counts run over, and from every first turn.
        for got in [0, u32::MAX, u32::MAX - 3] {
            assert_eq!(next(&memo(2, got), &[1, 1, 1, 1]), [5, 0, 1, 5]);
            assert_eq!(next(&memo(usize::MAX, got), &[1]), [0]);
            let passed_over = next(&memo(0, got), &[8, 1, 1, 3, 3, 3, 1]);
            assert_eq!(passed_over, [0, 1, 5, 1, 5, 5, 1], "from {got} on");
        }
        assert_eq!(SendMemo::new(&[]).next_queue(1), None);
    }

    #[test]
    fn queues_that_the_broker_has_denied_have_no_turns_until_the_route_names_them_again() {
        let memo = memo(0, 0);
        memo.end_at(5);
        assert_eq!(next(&memo, &[1, 1, 1, 1]), [0, 1, 0, 1]);
        assert_eq!([memo.last_queue(1), memo.last_queue(1)], [Some(1); 2]);
        assert_eq!(next(&memo, &[1, 1]), [0, 0], "the other has got them already");
        memo.end_at(1);
        memo.end_at(5);
        assert_eq!(next(&memo, &[1, 1]), [0, 0]);
        assert!(memo.has_some());
        memo.end_at(0);
        assert!(!memo.has_some() && next(&memo, &[1]).is_empty());
        assert_eq!(memo.last_queue(1), None);
        memo.restore();
        assert_eq!(next(&memo, &[1, 1, 1]).len(), 3);
    }
}
