//! Records between input and listener, in the order of the input: an ending waits here for the
//! endings of earlier messages.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::input::BadRecord;

/// The records that were taken and are not reported yet.
pub(super) struct Slots<K, E> {
    slots: VecDeque<Slot<K, E>>,
    /// Records that were reported: the sequence number of the first slot.
    told: u64,
}

struct Slot<K, E> {
    number: u64,
    taken: Instant,
    what: What<K, E>,
}

enum What<K, E> {
    Message { original: K, end: Option<(Instant, E)> },
    Bad(BadRecord),
}

/// A record whose turn it is to be reported.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told<K, E> {
    Ended { number: u64, original: K, took: Duration, ending: E },
    Bad { number: u64, bad: BadRecord },
}

impl<K, E> Slots<K, E> {
    pub(super) fn new() -> Self {
        Self { slots: VecDeque::new(), told: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Adds a message that is about to be sent. Gives what its end is to be reported with.
    pub(super) fn add_message(&mut self, number: u64, original: K) -> u64 {
        self.add(number, What::Message { original, end: None });
        self.told + self.slots.len() as u64 - 1
    }

    /// Adds a record that is no message.
    pub(super) fn add_bad(&mut self, number: u64, bad: BadRecord) {
        self.add(number, What::Bad(bad));
    }

    fn add(&mut self, number: u64, what: What<K, E>) {
        self.slots.push_back(Slot { number, taken: Instant::now(), what });
    }

    /// A message ended. Gives how long it took.
    pub(super) fn end(&mut self, sequence: u64, at: Instant, ending: E) -> Option<Duration> {
        let index = usize::try_from(sequence.checked_sub(self.told)?).ok()?;
        let slot = self.slots.get_mut(index)?;
        if let What::Message { end, .. } = &mut slot.what {
            end.get_or_insert((at, ending));
        }
        Some(at.saturating_duration_since(slot.taken))
    }

    /// The next record to be reported; none while the first is in flight.
    pub(super) fn next_to_tell(&mut self) -> Option<Told<K, E>> {
        let on_its_way = |slot: &Slot<K, E>| matches!(slot.what, What::Message { end: None, .. });
        if self.slots.front().is_none_or(on_its_way) {
            return None;
        }
        let Slot { number, taken, what } = self.slots.pop_front()?;
        self.told += 1;
        Some(match what {
            What::Bad(bad) => Told::Bad { number, bad },
            What::Message { original, end } => {
                let (at, ending) = end?;
                let took = at.saturating_duration_since(taken);
                Told::Ended { number, original, took, ending }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_ending_waits_for_those_before_it() {
        let mut slots = Slots::new();
        let now = Instant::now();
        let first = slots.add_message(3, 'a');
        let no = || BadRecord { why: "no".into(), record: None };
        slots.add_bad(5, no());
        let second = slots.add_message(6, 'b');
        assert_eq!(slots.next_to_tell(), None, "the first is on its way");
        let took = slots.end(second, now + Duration::from_secs(2), "late");
        assert_eq!((took, slots.next_to_tell()), (Some(Duration::from_secs(2)), None));
        slots.end(first, now, "soon");
        let soon = Told::Ended { number: 3, original: 'a', took: Duration::ZERO, ending: "soon" };
        assert_eq!(slots.next_to_tell(), Some(soon));
        assert_eq!(slots.next_to_tell(), Some(Told::Bad { number: 5, bad: no() }));
        assert_eq!(slots.len(), 1);
        let took = Duration::from_secs(2);
        let late = Told::Ended { number: 6, original: 'b', took, ending: "late" };
        assert_eq!(slots.next_to_tell(), Some(late));
        assert_eq!(slots.end(first, now, "again"), None, "it was told");
    }
}
