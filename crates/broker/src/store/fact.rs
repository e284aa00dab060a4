//! Facts: the small things that are kept beside messages.

use posthaste_protocol::request::{GroupConfig, Subscription};
use serde::{Deserialize, Serialize};

use super::TopicConfig;
use crate::time::Millis;

/// Something to remember over a restart. The last fact of a [key](Fact::key) counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fact {
    /// A topic and its number.
    Topic(TopicConfig),
    /// How far a consumer group has come in a queue.
    Offset { group: String, topic: String, queue: i32, offset: i64 },
    /// What a consumer group subscribed to last. It serves the group's pulls between a restart and
    /// the next heartbeat, up to 30 s later.
    Subscriptions { group: String, subscriptions: Vec<Subscription> },
    /// A consumer group, as a tool has created or changed it.
    Group(GroupConfig),
    /// The topic of this number was deleted, and no other one has the number yet.
    Deleted { number: u16 },
    /// The next message of a delay level to deliver.
    Delivered { level: u8, offset: u64 },
    /// A timer message that waits: its place in the timer topic, its time, the hash of its unique
    /// id. Forgotten once it is delivered or taken back.
    Timer { offset: u64, due: Millis, id_hash: i32 },
    /// A half message that waits for a decision: its place in the half topic. Forgotten once it is
    /// decided.
    Half { offset: u64, group: String, since: Millis, due: Millis, checks: u32 },
}

impl Fact {
    /// What the fact is about. Names of topics and groups contain no `/`.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Topic(config) => Self::topic_key(&config.name),
            Self::Offset { group, topic, queue, .. } => Self::offset_key(group, topic, *queue),
            Self::Subscriptions { group, .. } => Self::subscriptions_key(group),
            Self::Group(config) => Self::group_key(&config.group_name),
            Self::Deleted { number } => Self::deleted_key(*number),
            Self::Delivered { level, .. } => format!("delivered/{level}"),
            Self::Timer { offset, .. } => Self::timer_key(*offset),
            Self::Half { offset, .. } => Self::half_key(*offset),
        }
    }

    /// The key of a topic's fact.
    pub(crate) fn topic_key(name: &str) -> String {
        format!("topic/{name}")
    }

    /// The key of an offset's fact.
    pub(crate) fn offset_key(group: &str, topic: &str, queue: i32) -> String {
        format!("offset/{group}/{topic}/{queue}")
    }

    /// The key of the fact of a group's subscriptions.
    pub(crate) fn subscriptions_key(group: &str) -> String {
        format!("subscriptions/{group}")
    }

    /// The key of a group's fact.
    pub(crate) fn group_key(group: &str) -> String {
        format!("group/{group}")
    }

    /// The key of the fact that a number has no topic any more.
    pub(crate) fn deleted_key(number: u16) -> String {
        format!("deleted/{number}")
    }

    /// The key of a timer message's fact.
    pub(crate) fn timer_key(offset: u64) -> String {
        format!("timer/{offset}")
    }

    /// The key of a half message's fact.
    pub(crate) fn half_key(offset: u64) -> String {
        format!("half/{offset}")
    }
}
