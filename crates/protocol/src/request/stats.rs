//! Figures: of a topic (202), of a group (208, 303), of all groups (317), of what passes in a
//! time (315), and what a queue has (321).

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::table::to_json;
use super::{KnownSubscription, Payload, QueueName, QueueTable, fields, json_body, request};
use crate::{DecodeError, FieldSink, Fields, json};

/// A body that is written by a separate method, because it has a [`QueueTable`].
macro_rules! table_body {
    ($name:ty) => {
        impl Payload for $name {
            fn write<S: FieldSink>(&self, _sink: &mut S) {}

            fn body(&self) -> Cow<'_, [u8]> {
                Cow::Owned(self.to_json().into_bytes())
            }

            fn read(_fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
                json::read(body)
            }
        }
    };
}
pub(super) use table_body;

fields! {
    /// Asks how far each queue of a topic reaches.
    TopicStatsOf {
        /// Topic.
        topic: String = "topic",
    }
}
request!(TopicStatsOf => GET_TOPIC_STATS_INFO, TopicStats);

/// How far each queue of a topic reaches (Java: `TopicStatsTable`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicStats {
    /// By queue.
    #[serde(rename = "offsetTable")]
    pub queues: QueueTable<QueueReach>,
    /// How many messages come in a second (5.x).
    #[serde(rename = "topicPutTps")]
    pub put_tps: f64,
}
table_body!(TopicStats);

impl TopicStats {
    fn to_json(&self) -> String {
        let (queues, put_tps) = (self.queues.to_json(), to_json(&self.put_tps));
        format!(r#"{{"offsetTable":{queues},"topicPutTps":{put_tps}}}"#)
    }
}

/// How far a queue reaches (Java: `TopicOffset`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueReach {
    /// When its last message was stored; 0 when there is none.
    #[serde(rename = "lastUpdateTimestamp")]
    pub stored_at_ms: i64,
    /// The offset that the next message gets.
    pub max_offset: i64,
    /// The offset of the oldest message.
    pub min_offset: i64,
}

fields! {
    /// Asks how far a consumer group has come.
    ConsumeStatsOf {
        /// Consumer group.
        group: String = "consumerGroup",
        /// In this topic; in all that it has offsets of when nothing is said.
        topic: Option<String> = "topic",
        /// In these topics, separated by `;`, whatever it subscribes to (5.x).
        topics: Option<String> = "topicList",
    }
}
request!(ConsumeStatsOf => GET_CONSUME_STATS, ConsumeStats);

/// How far a consumer group has come (Java: `ConsumeStats`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeStats {
    /// How many messages it gets in a second.
    #[serde(rename = "consumeTps")]
    pub tps: f64,
    /// By queue.
    #[serde(rename = "offsetTable")]
    pub queues: QueueTable<Progress>,
}
table_body!(ConsumeStats);

impl ConsumeStats {
    fn to_json(&self) -> String {
        let (tps, queues) = (to_json(&self.tps), self.queues.to_json());
        format!(r#"{{"consumeTps":{tps},"offsetTable":{queues}}}"#)
    }
}

/// How far a group has come in a queue (Java: `OffsetWrapper`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Progress {
    /// The offset that the queue's next message gets.
    pub broker_offset: i64,
    /// The first offset that the group has not consumed.
    pub consumer_offset: i64,
    /// When the last message that it has consumed was stored; 0 when there is none.
    #[serde(rename = "lastTimestamp")]
    pub stored_at_ms: i64,
    /// The first offset that it has not pulled.
    pub pull_offset: i64,
}

fields! {
    /// Asks how far all groups of a broker have come.
    BrokerConsumeStatsOf {
        /// Whether only ordered topics count.
        ordered: bool = "isOrder",
    }
}
request!(BrokerConsumeStatsOf => GET_BROKER_CONSUME_STATS, BrokerConsumeStats);

/// How far all groups of a broker have come (Java: `ConsumeStatsList`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerConsumeStats {
    /// Address of the broker.
    pub broker_addr: String,
    /// A table of one group each, with one entry for each of its topics.
    #[serde(rename = "consumeStatsList")]
    pub groups: Vec<BTreeMap<String, Vec<ConsumeStats>>>,
    /// How many messages wait for a group, all together.
    pub total_diff: i64,
    /// How many are pulled and not consumed.
    pub total_inflight_diff: i64,
}
table_body!(BrokerConsumeStats);

impl BrokerConsumeStats {
    fn to_json(&self) -> String {
        let join = |items: Vec<String>| items.join(",");
        let topics =
            |stats: &[ConsumeStats]| join(stats.iter().map(ConsumeStats::to_json).collect());
        let group = |(name, stats): (&String, &Vec<ConsumeStats>)| {
            format!("{}:[{}]", to_json(name), topics(stats))
        };
        let table = |table: &BTreeMap<String, Vec<ConsumeStats>>| {
            format!("{{{}}}", join(table.iter().map(group).collect()))
        };
        let (address, groups) =
            (to_json(&self.broker_addr), join(self.groups.iter().map(table).collect()));
        let (diff, inflight) = (self.total_diff, self.total_inflight_diff);
        format!(
            r#"{{"brokerAddr":{address},"consumeStatsList":[{groups}],"totalDiff":{diff},"totalInflightDiff":{inflight}}}"#
        )
    }
}

fields! {
    /// Asks how much of something passes in a minute, an hour and a day.
    BrokerStatsOf {
        /// `TOPIC_PUT_NUMS`, `GROUP_GET_NUMS` and the like.
        name: String = "statsName",
        /// A topic, or `topic@group`.
        key: String = "statsKey",
    }
}
request!(BrokerStatsOf => VIEW_BROKER_STATS_DATA, BrokerStats);

/// How much passes (Java: `BrokerStatsData`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerStats {
    /// In a day.
    pub stats_day: BrokerStatsItem,
    /// In an hour.
    pub stats_hour: BrokerStatsItem,
    /// In a minute.
    pub stats_minute: BrokerStatsItem,
}
json_body!(BrokerStats);

/// How much passes in a time (Java: `BrokerStatsItem`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokerStatsItem {
    /// How much each time.
    #[serde(rename = "avgpt")]
    pub each_time: f64,
    /// In all.
    pub sum: i64,
    /// In a second.
    pub tps: f64,
}

fields! {
    /// Asks what a queue has.
    ConsumeQueueOf {
        /// Topic.
        topic: String = "topic",
        /// Queue.
        queue_id: i32 = "queueId",
        /// From this offset on.
        index: i64 = "index",
        /// At most this many messages.
        count: i32 = "count",
        /// The group whose subscription is reported too.
        group: Option<String> = "consumerGroup",
    }
}
request!(ConsumeQueueOf => QUERY_CONSUME_QUEUE, ConsumeQueue);

/// What a queue has (Java: `QueryConsumeQueueResponseBody`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeQueue {
    /// What is known of the group's SQL92 filter, in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_data: Option<String>,
    /// The offset that the next message gets.
    pub max_queue_index: i64,
    /// The offset of the oldest message.
    pub min_queue_index: i64,
    /// The messages; `None` when there is none at the offset.
    #[serde(rename = "queueData", skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<ConsumeQueueEntry>>,
    /// What the group subscribes to.
    #[serde(rename = "subscriptionData", skip_serializing_if = "Option::is_none")]
    pub subscription: Option<KnownSubscription>,
}
json_body!(ConsumeQueue);

/// A message of a queue (Java: `ConsumeQueueData`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeQueueEntry {
    /// Whether the group's filter wants it.
    pub eval: bool,
    /// Its place.
    #[serde(rename = "physicOffset")]
    pub physical_offset: i64,
    /// Its bytes.
    #[serde(rename = "physicSize")]
    pub size: i32,
    /// The hash of its tag; 0 without one.
    pub tags_code: i64,
}

fields! {
    /// Asks from when to when a topic's messages are, and how far behind a group is.
    TimeSpansOf {
        /// Topic.
        topic: String = "topic",
        /// Consumer group.
        group: String = "group",
    }
}
request!(TimeSpansOf => QUERY_CONSUME_TIME_SPAN, TimeSpans);

/// The times of a topic's queues (Java: `QueryConsumeTimeSpanBody`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeSpans {
    /// By queue.
    #[serde(rename = "consumeTimeSpanSet")]
    pub queues: Vec<TimeSpan>,
}
json_body!(TimeSpans);

/// The times of a queue (Java: `QueueTimeSpan`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TimeSpan {
    /// When the last consumed message was stored.
    #[serde(rename = "consumeTimeStamp")]
    pub consumed_ms: i64,
    /// For how long the next message of the group has waited.
    #[serde(rename = "delayTime")]
    pub delay_ms: i64,
    /// When the newest message was stored.
    #[serde(rename = "maxTimeStamp")]
    pub newest_ms: i64,
    /// The queue.
    #[serde(rename = "messageQueue")]
    pub queue: QueueName,
    /// When the oldest message was stored.
    #[serde(rename = "minTimeStamp")]
    pub oldest_ms: i64,
}
