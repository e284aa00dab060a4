//! Delayed messages: 18 levels, each a queue of the schedule topic whose messages come due in
//! their order.

use posthaste_protocol::StoredMessage;
use posthaste_protocol::properties::{Properties, name};

use super::topics::{LEVELS, SCHEDULE_TOPIC, Topic};
use super::{Engine, Millis, READ_AGAIN_MS};
use crate::location::QueueKey;
use crate::store::{Commit, Fact, StoreError};

/// The delay of each level in seconds; the first is level 1.
const DELAYS_S: [i64; LEVELS] =
    [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200];

/// How many messages of a level one turn delivers, so that others get their turn.
const DELIVERED_AT_ONCE: usize = 512;

/// How far the levels have come.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    levels: [Level; LEVELS],
}

#[derive(Debug, Default, Clone, Copy)]
struct Level {
    /// Offset of the next message to deliver.
    next: u64,
    /// When it is due; `None` when there is none.
    due: Option<Millis>,
}

impl Schedule {
    /// Goes on where an earlier run ended.
    pub(crate) fn restore(&mut self, level: u8, next: u64) {
        if let Some(level) = self.levels.get_mut(usize::from(level)) {
            level.next = next;
        }
    }

    /// When the next message is due.
    pub(crate) fn earliest(&self) -> Option<Millis> {
        self.levels.iter().filter_map(|level| level.due).min()
    }
}

/// How long a message of a level waits, counted from 1.
pub(crate) fn delay_ms(level: i32) -> Millis {
    let at = usize::try_from(level.clamp(1, LEVELS as i32) - 1).unwrap_or(0);
    DELAYS_S.get(at).map_or(0, |delay_s| delay_s * 1_000)
}

/// Turns a message into one that waits `level`, counted from 1, before it comes to queue
/// `queue_id` of its topic. Says in which queue of the schedule topic.
pub(crate) fn delay(message: &mut StoredMessage, queue_id: u16, level: i32) -> u16 {
    let level = level.clamp(1, LEVELS as i32);
    let mut properties = message.properties();
    properties.set(name::DELAY, level.to_string());
    properties.set(name::REAL_TOPIC, std::mem::take(&mut message.topic));
    properties.set(name::REAL_QID, queue_id.to_string());
    message.properties = properties.to_wire();
    message.topic = SCHEDULE_TOPIC.to_owned();
    level as u16 - 1
}

impl Engine {
    /// Finds out when each level's next message is due, where that is not known.
    pub(crate) fn plan_deliveries(&mut self) {
        for level in 0..LEVELS {
            if let Err(error) = self.plan_delivery(level) {
                tracing::error!(%error, level = level + 1, "a delayed message cannot be read");
                // Not known, so it is looked at when others are.
                self.plan_level(level, 0);
            }
        }
    }

    fn plan_delivery(&mut self, at: usize) -> Result<(), StoreError> {
        let Some((key, delay_s)) = self.level_queue(at).zip(DELAYS_S.get(at)) else {
            return Ok(());
        };
        let (first, end) = (self.store.first_offset(key), self.topics.ends(key).committed);
        let Some(level) = self.schedule.levels.get_mut(at).filter(|level| level.due.is_none())
        else {
            return Ok(());
        };
        level.next = level.next.max(first);
        if level.next < end {
            let block = self.store.block(key, level.next)?;
            let head = block.and_then(|block| block.records_from(level.next).next());
            level.due = head.map(|record| record.stored_at_ms() + delay_s * 1_000);
        }
        Ok(())
    }

    /// Delivers what is due by the time `until`. Delivery and progress are one commit: no message
    /// comes twice.
    pub(crate) fn deliver_due(&mut self, now: Millis, until: Millis, commit: &mut Commit) {
        for at in 0..LEVELS {
            let due = self.schedule.levels.get(at).and_then(|level| level.due);
            if due.is_none_or(|due| until < due) || self.check_store().is_err() {
                continue;
            }
            if let Err(error) = self.deliver_level(now, until, at, commit) {
                tracing::error!(%error, level = at + 1, "a delayed message cannot be delivered");
                self.plan_level(at, now + READ_AGAIN_MS);
            }
        }
    }

    fn plan_level(&mut self, at: usize, due: Millis) {
        if let Some(level) = self.schedule.levels.get_mut(at) {
            level.due = Some(due);
        }
    }

    fn deliver_level(
        &mut self,
        now: Millis,
        until: Millis,
        at: usize,
        commit: &mut Commit,
    ) -> Result<(), StoreError> {
        let Some((key, delay_s)) = self.level_queue(at).zip(DELAYS_S.get(at)) else {
            return Ok(());
        };
        let start = self.schedule.levels.get(at).map_or(0, |level| level.next);
        let block = self.store.block(key, start)?;
        let (mut next, mut delivered) = (start, Ok(()));
        let due = |stored_at: Millis| stored_at + delay_s * 1_000 <= until;
        let records =
            block.iter().flat_map(|block| block.records_from(start)).take(DELIVERED_AT_ONCE);
        for record in records.take_while(|record| due(record.stored_at_ms())) {
            if let Some(message) = record.message() {
                delivered = self.deliver(now, message, commit);
            }
            if delivered.is_err() {
                break;
            }
            next = record.offset() + 1;
        }
        if let Some(level) = self.schedule.levels.get_mut(at) {
            *level = Level { next, due: None };
        }
        if next > start {
            commit.put(Fact::Delivered { level: at as u8, offset: next });
        }
        delivered.and_then(|()| self.plan_delivery(at))
    }

    /// Puts a delayed message where it was sent to. The wire's text of its properties stays, the
    /// delay among them, as real brokers leave it.
    ///
    /// # Errors
    /// When it cannot be found out where its queue ends; it is not delivered then.
    pub(super) fn deliver(
        &mut self,
        now: Millis,
        mut message: StoredMessage,
        commit: &mut Commit,
    ) -> Result<(), StoreError> {
        let properties = Properties::decode(&message.properties);
        let topic = properties.get(name::REAL_TOPIC).unwrap_or_default();
        let queue = properties.get(name::REAL_QID).and_then(|queue| queue.parse().ok());
        let target = match queue {
            Some(queue) => self.queue_sent_to(topic, queue)?,
            None => None,
        };
        message.topic = topic.to_owned();
        message.stored_at_ms = now;
        let delivered = target.map(|key| self.append(key, &mut message, commit));
        if !matches!(delivered, Some(Ok(()))) {
            tracing::error!(topic, "a delayed message has no queue to go to");
        }
        Ok(())
    }

    /// How many messages wait for their time, timer messages among them.
    pub(crate) fn delayed(&self) -> u64 {
        let levels = self.schedule.levels.iter().enumerate().filter_map(|(at, level)| {
            let key = self.level_queue(at)?;
            let next = level.next.max(self.first_offset(key));
            Some(self.topics.ends(key).committed.saturating_sub(next))
        });
        levels.sum::<u64>() + self.timers.len() as u64
    }

    /// No level has a message to deliver any more.
    pub(super) fn skip_deliveries(&mut self, commit: &mut Commit) {
        for at in 0..LEVELS {
            let next = self.level_queue(at).map_or(0, |key| self.topics.ends(key).next);
            if let Some(level) = self.schedule.levels.get_mut(at)
                && next > level.next
            {
                *level = Level { next, due: None };
                commit.put(Fact::Delivered { level: at as u8, offset: next });
            }
        }
    }

    fn level_queue(&self, at: usize) -> Option<QueueKey> {
        let topic: &Topic = self.topics.get(SCHEDULE_TOPIC)?;
        Some(topic.key(at as u16))
    }
}
