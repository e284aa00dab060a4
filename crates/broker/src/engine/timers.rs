//! Timer messages: each waits in the timer topic until its time.
//!
//! The time is kept to the millisecond. Real brokers round it down to the second, and say so in the
//! property that they add and in the recall handle; both say the same here.

use std::collections::BTreeMap;

use posthaste_protocol::StoredMessage;
use posthaste_protocol::java;
use posthaste_protocol::properties::name;

use super::stamp::check_properties;
use super::topics::TIMER_TOPIC;
use super::{Engine, Millis, READ_AGAIN_MS, refusal::Refusal};
use crate::location::QueueKey;
use crate::store::{Commit, Fact, StoreError};

/// How many timer messages may wait; each takes about 50 bytes of memory beside its message.
const MAX_TIMERS: usize = 1_000_000;
/// How many messages, and bytes, one turn delivers, so that others get their turn.
const DELIVERED_AT_ONCE: usize = 512;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;
/// Real brokers count in seconds.
const SECOND: Millis = 1_000;

/// All timer messages that wait.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// When each is due and where it lies in the timer topic; the hash of its unique id.
    waiting: BTreeMap<(Millis, u64), i32>,
}

impl Timers {
    /// A timer message waits.
    pub(crate) fn insert(&mut self, due: Millis, offset: u64, id_hash: i32) {
        self.waiting.insert((due, offset), id_hash);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// None waits any more; gives back where they lie.
    pub(super) fn take_all(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.waiting).into_keys().map(|(_, offset)| offset).collect()
    }

    /// When the next one is due.
    pub(crate) fn earliest(&self) -> Option<Millis> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// One that is due: its place, and the hash of its unique id.
    fn take_due(&mut self, until: Millis) -> Option<(u64, i32)> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 <= until)?;
        let ((_, offset), id_hash) = first.remove_entry();
        Some((offset, id_hash))
    }

    /// Where the messages may lie whose handle says `out`, the time as real brokers round it.
    fn candidates(&self, out: Millis, unique_id: &str) -> Vec<(Millis, u64)> {
        let hash = java::hash(unique_id);
        let (first, last) = (out.saturating_add(1), out.saturating_add(SECOND));
        let in_the_second = self.waiting.range((first, 0)..=(last, u64::MAX));
        in_the_second.filter(|(_, known)| **known == hash).map(|(place, _)| *place).collect()
    }
}

/// The time as real brokers note it: rounded down to the second, and one more when it was whole.
pub(crate) fn rounded(due: Millis) -> Millis {
    (due - 1).div_euclid(SECOND) * SECOND
}

impl Engine {
    /// Stores a message that is delivered at `due` to queue `queue_id` of its topic.
    pub(crate) fn store_timer(
        &mut self,
        due: Millis,
        queue_id: u16,
        message: &mut StoredMessage,
        commit: &mut Commit,
    ) -> Result<(), Refusal> {
        if self.timers.waiting.len() >= MAX_TIMERS {
            return Err(Refusal::busy(format!(
                "timer message is under flow control, max num limit is {MAX_TIMERS}"
            )));
        }
        let queue = self.timer_queue()?;
        let mut properties = message.properties();
        properties.set(name::TIMER_OUT_MS, rounded(due).to_string());
        properties.set(name::REAL_TOPIC, std::mem::take(&mut message.topic));
        properties.set(name::REAL_QID, queue_id.to_string());
        message.properties = properties.to_wire();
        message.topic = TIMER_TOPIC.to_owned();
        check_properties(message, 0)?;
        self.append(queue, message, commit)?;
        let offset = message.queue_offset as u64;
        let id_hash = java::hash(properties.get(name::UNIQ_KEY).unwrap_or_default());
        self.timers.insert(due, offset, id_hash);
        commit.put(Fact::Timer { offset, due, id_hash });
        Ok(())
    }

    /// Delivers what is due by the time `until`. Delivery and progress are one commit: no message
    /// comes twice.
    pub(crate) fn deliver_timers(&mut self, now: Millis, until: Millis, commit: &mut Commit) {
        if self.timers.earliest().is_none_or(|due| until < due) || self.check_store().is_err() {
            return;
        }
        for _ in 0..DELIVERED_AT_ONCE {
            if commit.length() >= BYTES_AT_ONCE {
                return;
            }
            let Some((offset, id_hash)) = self.timers.take_due(until) else { return };
            match self.deliver_timer(now, offset, commit) {
                Ok(()) => commit.forget(Fact::timer_key(offset)),
                Err(error) => {
                    tracing::error!(%error, offset, "a timer message cannot be delivered");
                    self.timers.insert(now + READ_AGAIN_MS, offset, id_hash);
                    return;
                }
            }
        }
    }

    fn deliver_timer(
        &mut self,
        now: Millis,
        offset: u64,
        commit: &mut Commit,
    ) -> Result<(), StoreError> {
        match self.timer_at(offset)? {
            Some(message) => self.deliver(now, message, commit),
            None => {
                // The memory was full.
                tracing::warn!(offset, "a timer message was dropped before its time");
                Ok(())
            }
        }
    }

    /// Takes messages back that wait to be delivered; says whether there were any.
    pub(crate) fn take_back(
        &mut self,
        topic: &str,
        out: Millis,
        unique_id: &str,
        commit: &mut Commit,
    ) -> Result<bool, StoreError> {
        let mut found = false;
        for (due, offset) in self.timers.candidates(out, unique_id) {
            let message = self.timer_at(offset)?;
            let is_meant = message.is_some_and(|message| {
                message.property(name::UNIQ_KEY) == Some(unique_id)
                    && message.property(name::REAL_TOPIC) == Some(topic)
            });
            if is_meant {
                self.timers.waiting.remove(&(due, offset));
                commit.forget(Fact::timer_key(offset));
                found = true;
            }
        }
        Ok(found)
    }

    fn timer_at(&self, offset: u64) -> Result<Option<StoredMessage>, StoreError> {
        let Ok(queue) = self.timer_queue() else { return Ok(None) };
        Ok(self.record(queue, offset)?.and_then(|record| record.message()))
    }

    fn timer_queue(&self) -> Result<QueueKey, Refusal> {
        let topic = self.topics.get(TIMER_TOPIC).map(|topic| topic.key(0));
        topic.ok_or_else(|| Refusal::no_topic(TIMER_TOPIC))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_as_real_brokers_round_them() {
        // The first two were recorded from 5.5.0.
        for (due, out) in [
            (1_795_321_610_838, 1_795_321_610_000),
            (1_795_321_668_856, 1_795_321_668_000),
            (5_000, 4_000),
            (5_001, 5_000),
            (4_999, 4_000),
        ] {
            assert_eq!(rounded(due), out, "{due}");
        }
    }
}
