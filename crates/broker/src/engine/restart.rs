//! Going on where an earlier run ended: what the facts say, and where queues end.

use std::ops::Range;

use super::Engine;
use super::halves::{Half, LIFE_MS};
use super::topics::QueueEnds;
use crate::location::{MAX_QUEUES, QueueKey};
use crate::store::{Fact, StoreError, TopicConfig};

impl Engine {
    pub(super) fn restore(&mut self, facts: Vec<Fact>) -> Result<(), StoreError> {
        let (mut topics, mut deleted) = (Vec::new(), Vec::new());
        for fact in facts {
            match fact {
                Fact::Topic(config) => topics.push(config),
                Fact::Deleted { number } => deleted.push(number),
                Fact::Delivered { level, offset } => self.schedule.restore(level, offset),
                Fact::Timer { offset, due, id_hash } => self.timers.insert(due, offset, id_hash),
                Fact::Half { offset, group, since, due, checks } => {
                    let (group, due) = (group.into(), due.min(since.saturating_add(LIFE_MS)));
                    self.halves.insert(offset, Half { group, since, due, checks });
                }
                Fact::Offset { .. } | Fact::Subscriptions { .. } | Fact::Group(_) => {
                    self.groups.restore(fact);
                }
            }
        }
        topics.sort_by_key(|config: &TopicConfig| config.number);
        deleted.sort_unstable();
        let mut deleted = deleted.into_iter().peekable();
        for config in topics {
            while let Some(number) = deleted.next_if(|number| *number < config.number) {
                self.topics.restore_deleted(number).ok_or_else(|| out_of_order(number))?;
            }
            self.restore_topic(config)?;
        }
        for number in deleted {
            self.topics.restore_deleted(number).ok_or_else(|| out_of_order(number))?;
        }
        self.plan_deliveries();
        Ok(())
    }

    fn restore_topic(&mut self, config: TopicConfig) -> Result<(), StoreError> {
        let number = config.number;
        let topic = self.topics.restore(config).ok_or_else(|| out_of_order(number))?;
        let known = topic.known_queues();
        let ends = self.find_ends(number, 0..known)?;
        self.topics.set_ends(number, 0, ends);
        Ok(())
    }

    /// Finds out where queues end that come into being, or come back: a topic may once have had
    /// more queues than it had since.
    pub(super) fn find_ends(
        &self,
        topic: u16,
        queues: Range<u16>,
    ) -> Result<Vec<QueueEnds>, StoreError> {
        queues
            .map(|queue| {
                let end = self.store.end_offset(QueueKey { topic, queue })?;
                Ok(QueueEnds { next: end, committed: end })
            })
            .collect()
    }

    /// The queue that a message was sent to which has waited since. Its topic may have fewer queues
    /// by now, and after a restart nothing is known of the others: what waits for one of them still
    /// comes to it.
    pub(crate) fn queue_sent_to(
        &mut self,
        topic: &str,
        queue: u16,
    ) -> Result<Option<QueueKey>, StoreError> {
        let Some(topic) = self.topics.get(topic).filter(|_| queue < MAX_QUEUES) else {
            return Ok(None);
        };
        let (key, known) = (topic.key(queue), topic.known_queues());
        if queue >= known {
            let ends = self.find_ends(key.topic, known..queue + 1)?;
            self.topics.set_ends(key.topic, known, ends);
        }
        Ok(Some(key))
    }
}

fn out_of_order(number: u16) -> StoreError {
    StoreError::Damaged(format!("the topic number {number} is out of order"))
}
