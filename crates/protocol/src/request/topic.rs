//! Topics: created and changed (17, 18), deleted (215, 216), listed (21, 206, 351).

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::names::filter_type;
use super::{Empty, Payload, bare, fields, json_body, request};
use crate::{DecodeError, FieldSink, Fields, json};

fields! {
    /// Creates a topic, or changes it.
    CreateTopic {
        /// Topic.
        topic: String = "topic",
        /// Topic whose configuration counts where nothing is said.
        default_topic: String = "defaultTopic",
        /// How many queues can be read.
        read_queues: i32 = "readQueueNums",
        /// How many queues can be written.
        write_queues: i32 = "writeQueueNums",
        /// Bits of [`permission`](super::permission).
        perm: i32 = "perm",
        /// `SINGLE_TAG`.
        filter_type: Option<String> = "topicFilterType",
        /// The topic's flag.
        sys_flag: Option<i32> = "topicSysFlag",
        /// Whether it is an ordered topic.
        order: Option<bool> = "order",
        /// `+key=value` items separated by commas (5.x).
        attributes: Option<String> = "attributes",
    }
}
request!(CreateTopic => UPDATE_AND_CREATE_TOPIC, Empty);

bare! {
    /// Asks a name server for every topic.
    TopicListOf
}
request!(TopicListOf => GET_ALL_TOPIC_LIST_FROM_NAMESERVER, TopicList);

/// Names of topics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicList {
    /// A broker's address, in requests to brokers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_addr: Option<String>,
    /// The topics.
    #[serde(rename = "topicList")]
    pub topics: Vec<String>,
}
json_body!(TopicList);

fields! {
    /// Deletes a topic at a broker, and all of its messages.
    DeleteTopic {
        /// Topic.
        topic: String = "topic",
    }
}
request!(DeleteTopic => DELETE_TOPIC_IN_BROKER, Empty);

fields! {
    /// Has a name server forget a topic's route.
    DeleteTopicInNameServer {
        /// Topic.
        topic: String = "topic",
        /// At the brokers of this cluster alone (5.x).
        cluster: Option<String> = "clusterName",
    }
}
request!(DeleteTopicInNameServer => DELETE_TOPIC_IN_NAMESRV, Empty);

/// A topic as a broker keeps it (Java: `TopicConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfig {
    /// Further attributes, such as `message.type` (5.x).
    pub attributes: BTreeMap<String, String>,
    /// Whether it is an ordered topic.
    pub order: bool,
    /// Bits of [`permission`](super::permission).
    pub perm: i32,
    /// How many queues can be read.
    pub read_queue_nums: i32,
    /// `SINGLE_TAG` or `MULTI_TAG`.
    #[serde(deserialize_with = "filter_type")]
    pub topic_filter_type: String,
    /// Name.
    pub topic_name: String,
    /// The topic's flag.
    pub topic_sys_flag: i32,
    /// How many queues can be written.
    pub write_queue_nums: i32,
}
json_body!(TopicConfig);

impl Default for TopicConfig {
    /// The defaults of Java.
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            order: false,
            perm: 6,
            read_queue_nums: 16,
            topic_filter_type: "SINGLE_TAG".to_owned(),
            topic_name: String::new(),
            topic_sys_flag: 0,
            write_queue_nums: 16,
        }
    }
}

/// Creates or changes many topics at once (5.x).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateTopics {
    /// The topics.
    #[serde(rename = "topicConfigList")]
    pub topics: Vec<TopicConfig>,
}
json_body!(CreateTopics);
request!(CreateTopics => UPDATE_AND_CREATE_TOPIC_LIST, Empty);

fields! {
    /// Asks a broker for a topic.
    TopicConfigOf {
        /// Topic.
        topic: String = "topic",
        /// Whether logical queues of a static topic are listed too (5.x).
        logical: Option<bool> = "lo",
    }
}
request!(TopicConfigOf => GET_TOPIC_CONFIG, TopicConfig);

bare! {
    /// Asks a broker for all of its topics.
    TopicConfigsOf
}
request!(TopicConfigsOf => GET_ALL_TOPIC_CONFIG, TopicConfigs);

/// The topics of a broker (Java: `TopicConfigAndMappingSerializeWrapper`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfigs {
    /// Version of the table.
    pub data_version: DataVersion,
    /// Version of the table of logical queues (5.x).
    pub mapping_data_version: DataVersion,
    /// The topics by their names.
    #[serde(rename = "topicConfigTable")]
    pub topics: BTreeMap<String, TopicConfig>,
}

impl Payload for TopicConfigs {
    fn write<S: FieldSink>(&self, sink: &mut S) {
        sink.number("totalTopicNum", self.topics.len() as i64);
    }

    fn body(&self) -> Cow<'_, [u8]> {
        Cow::Owned(super::table::to_json(self).into_bytes())
    }

    fn read(_fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        json::read(body)
    }
}

/// Version of a table: it grows with each change (Java: `DataVersion`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DataVersion {
    /// How many changes there were.
    pub counter: i64,
    /// The epoch of the broker's state; 0 without a controller.
    pub state_version: i64,
    /// When the last change was made, in ms since 1970.
    #[serde(rename = "timestamp")]
    pub changed_at_ms: i64,
}
