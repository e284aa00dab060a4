//! The settings of a topic, as they are remembered.

use std::collections::BTreeMap;

use posthaste_protocol::request;
use serde::{Deserialize, Serialize};

/// The attributes of a topic by their names.
pub(crate) type Attributes = BTreeMap<String, String>;

/// A topic as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicConfig {
    /// Stands for the topic wherever messages are kept. It is given to another topic only after the
    /// topic's deletion, and as late as can be.
    pub(crate) number: u16,
    /// Name.
    pub(crate) name: String,
    /// How many queues can be read.
    pub(crate) read_queues: u16,
    /// How many queues can be written.
    pub(crate) write_queues: u16,
    /// Bits of [`permission`](request::permission).
    pub(crate) perm: i32,
    /// What else is said of it, such as `message.type` (5.x).
    #[serde(default)]
    pub(crate) attributes: Attributes,
    /// Whether it is an ordered topic.
    #[serde(default)]
    pub(crate) order: bool,
    /// Where queues begin whose earlier messages were cleared, or are those of a deleted topic of the
    /// same number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) bases: BTreeMap<u16, u64>,
}

impl From<&TopicConfig> for request::TopicConfig {
    fn from(config: &TopicConfig) -> Self {
        Self {
            attributes: config.attributes.clone(),
            order: config.order,
            perm: config.perm,
            read_queue_nums: i32::from(config.read_queues),
            topic_name: config.name.clone(),
            write_queue_nums: i32::from(config.write_queues),
            ..Self::default()
        }
    }
}
