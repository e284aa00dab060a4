//! What a topic is on one broker.

use std::fmt;

use posthaste_protocol::request::{QueueData, TopicRoute, permission};

/// What a topic is on one broker, as the name server has it (Java: `QueueData`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicOnBroker {
    /// Name of the broker.
    pub broker: String,
    /// How many queues consumers read: numbers from 0 on.
    pub read_queues: u32,
    /// How many queues producers write: numbers from 0 on.
    pub write_queues: u32,
    /// Whether consumers may read.
    pub readable: bool,
    /// Whether producers may write.
    pub writable: bool,
}

impl TopicOnBroker {
    pub(super) fn of(queues: &QueueData) -> Self {
        let count = |queues: i32| u32::try_from(queues).unwrap_or_default();
        Self {
            broker: queues.broker_name.clone(),
            read_queues: count(queues.read_queue_nums),
            write_queues: count(queues.write_queue_nums),
            readable: queues.perm & permission::READ != 0,
            writable: queues.perm & permission::WRITE != 0,
        }
    }

    /// The topic on each broker that has it, by name.
    pub(super) fn all_of(document: &TopicRoute) -> Vec<Self> {
        let mut all: Vec<Self> = document.queues.iter().map(Self::of).collect();
        all.sort_unstable_by(|one, other| one.broker.cmp(&other.broker));
        all
    }
}

impl fmt::Display for TopicOnBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, read_queues, write_queues, readable, writable } = self;
        match read_queues == write_queues {
            true => write!(f, "{}", Queues(*read_queues))?,
            false => write!(f, "{} to read and {write_queues} to write", Queues(*read_queues))?,
        }
        write!(f, " on {broker}")?;
        match (readable, writable) {
            (true, true) => Ok(()),
            (true, false) => f.write_str(" (read-only)"),
            (false, true) => f.write_str(" (write-only)"),
            (false, false) => f.write_str(" (closed to all)"),
        }
    }
}

/// `1 queue`, `2 queues`
struct Queues(u32);

impl fmt::Display for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "queue" } else { "queues" })
    }
}

/// Brokers and what is on them, in one line.
pub(super) fn listed(brokers: &[TopicOnBroker]) -> String {
    brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_a_few_words() {
        for (perm, read, write, text) in [
            (6, 8, 8, "8 queues on a"),
            (7, 1, 1, "1 queue on a"),
            (6, 6, 5, "6 queues to read and 5 to write on a"),
            (4, 2, 2, "2 queues on a (read-only)"),
            (2, 2, 2, "2 queues on a (write-only)"),
            (0, 2, 2, "2 queues on a (closed to all)"),
        ] {
            let queues = QueueData {
                broker_name: "a".into(),
                perm,
                read_queue_nums: read,
                write_queue_nums: write,
                ..QueueData::default()
            };
            assert_eq!(TopicOnBroker::of(&queues).to_string(), text);
        }
    }
}
