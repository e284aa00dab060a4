//! Topics: `UPDATE_AND_CREATE_TOPIC` (17), `GET_ALL_TOPIC_LIST_FROM_NAMESERVER` (206).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Empty, Payload, fields, json_body, request};
use crate::{DecodeError, FieldSink, Fields};

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

/// Asks a name server for every topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicListOf;

impl Payload for TopicListOf {
    fn write<S: FieldSink>(&self, _sink: &mut S) {}

    fn read(_fields: &Fields, _body: &Bytes) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}
request!(TopicListOf => GET_ALL_TOPIC_LIST_FROM_NAMESERVER, TopicList);

/// Names of topics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicList {
    /// A broker's address, from those who ask brokers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_addr: Option<String>,
    /// The topics.
    #[serde(rename = "topicList")]
    pub topics: Vec<String>,
}
json_body!(TopicList);
