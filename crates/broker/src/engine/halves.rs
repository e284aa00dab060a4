//! Half messages that are not decided yet, and when their producers are asked about them.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Millis;
use super::producers::Producers;

/// How many half messages may wait for a decision.
const MAX_HALVES: usize = 100_000;
/// How many producer groups may have half messages that wait: with each question, and whenever
/// the thread rests, all groups are looked through.
const MAX_GROUPS: usize = 1_000;
/// A half message that is not decided after three days is dropped, even if a member may still come:
/// real brokers keep messages for that long.
pub(crate) const LIFE_MS: Millis = 259_200_000;

/// When producers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// A half message is not asked about before it has this age.
    pub(crate) first_ms: Millis,
    /// It is asked about again after this time.
    pub(crate) again_ms: Millis,
    /// The most checks of one message.
    pub(crate) most: u32,
}

/// A half message that is not decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Half {
    /// The producer group that is asked.
    pub(crate) group: Arc<str>,
    /// When it was stored.
    pub(crate) since: Millis,
    /// When its group is asked next.
    pub(crate) due: Millis,
    /// How often its group was asked.
    pub(crate) checks: u32,
}

/// All half messages that are not decided.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    by_offset: FxHashMap<u64, Half>,
    /// Of each group: when which of them is due.
    by_group: FxHashMap<Arc<str>, BTreeSet<(Millis, u64)>>,
    /// No member is asked before this time: one that is asked too much at once does not keep up.
    paused_until: Millis,
}

impl Halves {
    /// Whether another half message of a group may wait.
    pub(crate) fn has_room(&self, group: &str) -> bool {
        let has_room = self.by_group.len() < MAX_GROUPS || self.by_group.contains_key(group);
        has_room && self.by_offset.len() < MAX_HALVES
    }

    /// A half message waits, or waits anew.
    pub(crate) fn insert(&mut self, offset: u64, half: Half) {
        self.remove(offset);
        self.by_group.entry(Arc::clone(&half.group)).or_default().insert((half.due, offset));
        self.by_offset.insert(offset, half);
    }

    /// The half message at this offset of the half topic.
    pub(crate) fn get(&self, offset: u64) -> Option<&Half> {
        self.by_offset.get(&offset)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.by_offset.len()
    }

    /// The first of them from an offset on, and the offset to go on with, if there are more.
    pub(crate) fn offsets_from(&self, from: u64, most: usize) -> (Vec<u64>, Option<u64>) {
        let mut offsets: Vec<_> = self.by_offset.keys().copied().filter(|o| *o >= from).collect();
        offsets.sort_unstable();
        let next = offsets.get(most).copied();
        offsets.truncate(most);
        (offsets, next)
    }

    /// None waits any more; gives back which did.
    pub(super) fn take_all(&mut self) -> Vec<u64> {
        let halves = std::mem::take(self);
        halves.by_offset.into_keys().collect()
    }

    /// A half message is decided.
    pub(crate) fn remove(&mut self, offset: u64) {
        let Some(half) = self.by_offset.remove(&offset) else { return };
        if let Some(waiting) = self.by_group.get_mut(&half.group) {
            waiting.remove(&(half.due, offset));
            if waiting.is_empty() {
                self.by_group.remove(&half.group);
            }
        }
    }

    /// A half message is looked at again at `due`, and no earlier.
    pub(crate) fn postpone(&mut self, offset: u64, due: Millis) {
        if let Some(half) = self.get(offset).cloned() {
            self.insert(offset, Half { due, ..half });
        }
    }

    /// No member is asked before `time`.
    pub(crate) fn pause_until(&mut self, time: Millis) {
        self.paused_until = time;
    }

    /// When the next one is due.
    pub(crate) fn earliest(&self, producers: &Producers) -> Option<Millis> {
        let first = self.first_of_each_group(producers).map(|(due, _)| due).min()?;
        Some(first.max(self.paused_until))
    }

    /// One that is due.
    pub(crate) fn due(&self, now: Millis, producers: &Producers) -> Option<u64> {
        if now < self.paused_until {
            return None;
        }
        let first = self.first_of_each_group(producers).min()?;
        (first.0 <= now).then_some(first.1)
    }

    /// A group without a member is not asked. Its messages wait for one, as long as they live.
    fn first_of_each_group(&self, producers: &Producers) -> impl Iterator<Item = (Millis, u64)> {
        self.by_group.iter().filter_map(|(group, waiting)| {
            let (due, offset) = waiting.first()?;
            Some((if producers.has(group) { *due } else { due.saturating_add(LIFE_MS) }, *offset))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SessionId;

    fn half(group: &str, due: Millis) -> Half {
        Half { group: group.into(), since: 0, due, checks: 0 }
    }

    #[test]
    fn the_earliest_of_those_is_due_that_somebody_can_be_asked_about() {
        let (mut halves, mut producers) = (Halves::default(), Producers::default());
        assert_eq!(halves.earliest(&producers), None);
        halves.insert(1, half("absent", 10));
        halves.insert(2, half("present", 30));
        halves.insert(3, half("present", 20));
        producers.join(SessionId(1), "present");
        assert_eq!(halves.earliest(&producers), Some(20));
        assert_eq!(halves.due(19, &producers), None);
        assert_eq!(halves.due(20, &producers), Some(3));
        halves.insert(3, half("present", 50));
        assert_eq!(halves.due(49, &producers), Some(2));
        halves.remove(2);
        halves.pause_until(60);
        assert_eq!((halves.earliest(&producers), halves.due(59, &producers)), (Some(60), None));
        assert_eq!(halves.due(60, &producers), Some(3));
        halves.remove(3);
        assert_eq!(halves.earliest(&producers), Some(10 + LIFE_MS));
        assert_eq!(halves.due(10 + LIFE_MS, &producers), Some(1));
        producers.join(SessionId(1), "absent");
        assert_eq!(halves.due(60, &producers), Some(1));
        halves.remove(1);
        assert_eq!(halves.earliest(&producers), None);
    }
}
