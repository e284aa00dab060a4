//! Where a message lies: queue and offset, packed into a single number, which the protocol calls the
//! physical offset.
//!
//! Real brokers have one log for all queues, and a message's byte position in it is its physical
//! offset. Clients only hand that number back (view by id, give back), so here it *is* the place:
//! `topic << 42 | queue << 32 | offset`. No index from physical offsets to messages is needed, and
//! the number stays below 2^53, which clients in JavaScript rely on.

/// Numbers of topics are less than this.
pub(crate) const MAX_TOPIC_NUMBER: u16 = 1 << 11;
/// Numbers of queues are less than this.
pub(crate) const MAX_QUEUES: u16 = 1 << 10;
/// Offsets are less than this.
pub(crate) const MAX_OFFSET: u64 = 1 << 32;

/// One queue of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueKey {
    /// Number of the topic.
    pub(crate) topic: u16,
    /// Number of the queue.
    pub(crate) queue: u16,
}

impl QueueKey {
    /// The physical offset of the message at `offset` of this queue.
    pub(crate) fn physical(self, offset: u64) -> u64 {
        (u64::from(self.topic) << 42) | (u64::from(self.queue) << 32) | (offset % MAX_OFFSET)
    }

    /// The queue and the offset that a physical offset stands for.
    pub(crate) fn of_physical(physical: i64) -> Option<(Self, u64)> {
        let physical = u64::try_from(physical).ok()?;
        let topic = u16::try_from(physical >> 42).ok().filter(|n| *n < MAX_TOPIC_NUMBER)?;
        let queue = (physical >> 32) as u16 % MAX_QUEUES;
        Some((Self { topic, queue }, physical % MAX_OFFSET))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_everything_and_stays_below_2_to_the_53() {
        for topic in [1, 7, MAX_TOPIC_NUMBER - 1] {
            for queue in [0, 3, MAX_QUEUES - 1] {
                for offset in [0, 1, 123_456, MAX_OFFSET - 1] {
                    let key = QueueKey { topic, queue };
                    let physical = key.physical(offset);
                    assert!(physical < 1 << 53);
                    assert_eq!(QueueKey::of_physical(physical as i64), Some((key, offset)));
                }
            }
        }
    }

    #[test]
    fn numbers_that_are_no_place_are_refused() {
        assert_eq!(QueueKey::of_physical(-1), None);
        assert_eq!(QueueKey::of_physical(1 << 53), None);
        assert_eq!(QueueKey::of_physical(i64::MAX), None);
    }
}
