//! Who is connected and consumes what: connections of groups (203, 204, 328), what a consumer is
//! doing (307, 309), who consumes a topic (300), what a group consumes (343, 345).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{RawBody, Subscription, TopicList, bare, fields, json_body, request};
use crate::java;

fields! {
    /// Asks who of a consumer group is connected.
    ConsumerConnectionOf {
        /// Consumer group.
        group: String = "consumerGroup",
    }
}
request!(ConsumerConnectionOf => GET_CONSUMER_CONNECTION_LIST, ConsumerConnection);

/// A consumer group that is connected (Java: `ConsumerConnection`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerConnection {
    /// Its members.
    #[serde(rename = "connectionSet")]
    pub connections: Vec<Connection>,
    /// `CONSUME_FROM_LAST_OFFSET` and the like.
    pub consume_from_where: String,
    /// `CONSUME_PASSIVELY` (push) or `CONSUME_ACTIVELY` (pull).
    pub consume_type: String,
    /// `CLUSTERING` or `BROADCASTING`.
    pub message_model: String,
    /// What it subscribes to, by topic.
    #[serde(rename = "subscriptionTable")]
    pub subscriptions: BTreeMap<String, KnownSubscription>,
}
json_body!(ConsumerConnection);

/// A client that is connected (Java: `Connection`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Connection {
    /// `host:port` that it comes from.
    #[serde(rename = "clientAddr")]
    pub address: String,
    /// `ip@instance` of the client.
    pub client_id: String,
    /// Its language, such as `JAVA`.
    pub language: String,
    /// Its version (`MQVersion` ordinal).
    pub version: i32,
}

/// A subscription with what a broker knows of it (Java: `SubscriptionData`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KnownSubscription {
    /// Whether a class of Java filters; of historical interest.
    pub class_filter_mode: bool,
    /// The hashes of the tags.
    pub code_set: Vec<i32>,
    /// `TAG` or `SQL92`.
    pub expression_type: String,
    /// `*`, or tags separated by `||`, or an expression.
    pub sub_string: String,
    /// Version of the subscription; the newest counts.
    pub sub_version: i64,
    /// The tags, apart.
    pub tags_set: Vec<String>,
    /// Topic.
    pub topic: String,
}

impl From<&Subscription> for KnownSubscription {
    fn from(subscription: &Subscription) -> Self {
        let Subscription { expression_type, sub_string, sub_version, tags_set, topic } =
            subscription.clone();
        Self {
            class_filter_mode: false,
            code_set: tags_set.iter().map(|tag| java::hash(tag)).collect(),
            expression_type: match expression_type.is_empty() {
                true => "TAG".to_owned(),
                false => expression_type,
            },
            sub_string,
            sub_version,
            tags_set,
            topic,
        }
    }
}

fields! {
    /// Asks who of a producer group is connected.
    ProducerConnectionOf {
        /// Producer group.
        group: String = "producerGroup",
    }
}
request!(ProducerConnectionOf => GET_PRODUCER_CONNECTION_LIST, ProducerConnection);

/// A producer group that is connected (Java: `ProducerConnection`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProducerConnection {
    /// Its members.
    #[serde(rename = "connectionSet")]
    pub connections: Vec<Connection>,
}
json_body!(ProducerConnection);

bare! {
    /// Asks for all producers that are connected.
    ProducersOf
}
request!(ProducersOf => GET_ALL_PRODUCER_INFO, ProducerTable);

/// The producers that are connected (Java: `ProducerTableInfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProducerTable {
    /// By group.
    #[serde(rename = "data")]
    pub groups: BTreeMap<String, Vec<ProducerInfo>>,
}
json_body!(ProducerTable);

/// A producer that is connected (Java: `ProducerInfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerInfo {
    /// `ip@instance` of the client.
    pub client_id: String,
    /// Its language, such as `JAVA`.
    pub language: String,
    /// When its last heartbeat came.
    #[serde(rename = "lastUpdateTimestamp")]
    pub seen_at_ms: i64,
    /// `/host:port` that it comes from.
    #[serde(rename = "remoteIP")]
    pub address: String,
    /// Its version (`MQVersion` ordinal).
    pub version: i32,
}

fields! {
    /// Asks a consumer, through its broker, what it is doing. The answer is a JSON document of the
    /// consumer (Java: `ConsumerRunningInfo`).
    RunningInfoOf {
        /// Consumer group.
        group: String = "consumerGroup",
        /// `ip@instance` of the client.
        client_id: String = "clientId",
        /// Whether the stacks of its threads are wanted.
        with_stacks: Option<bool> = "jstackEnable",
    }
}
request!(RunningInfoOf => GET_CONSUMER_RUNNING_INFO, RawBody);

fields! {
    /// Has a consumer, through its broker, consume a message now. The answer is a JSON document of
    /// the consumer (Java: `ConsumeMessageDirectlyResult`).
    ConsumeDirectly {
        /// Consumer group.
        group: String = "consumerGroup",
        /// `ip@instance` of the client.
        client_id: Option<String> = "clientId",
        /// The broker's id of the message.
        message_id: Option<String> = "msgId",
        /// Name of the broker; the broker adds it.
        broker_name: Option<String> = "brokerName",
        /// Topic (5.x).
        topic: Option<String> = "topic",
        /// The topic's flag; the broker adds it (5.x).
        topic_sys_flag: Option<i32> = "topicSysFlag",
        /// The group's flag; the broker adds it (5.x).
        group_sys_flag: Option<i32> = "groupSysFlag",
    }
    body {
        /// The message, as it is stored; the broker adds it.
        message
    }
}
request!(ConsumeDirectly => CONSUME_MESSAGE_DIRECTLY, RawBody);

fields! {
    /// Asks for the consumer groups of a topic.
    ConsumersOfTopic {
        /// Topic.
        topic: String = "topic",
    }
}
request!(ConsumersOfTopic => QUERY_TOPIC_CONSUME_BY_WHO, GroupList);

/// Names of groups (Java: `GroupList`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupList {
    /// The names.
    #[serde(rename = "groupList")]
    pub groups: Vec<String>,
}
json_body!(GroupList);

fields! {
    /// Asks for the topics that a group has offsets of.
    TopicsOfConsumer {
        /// Consumer group.
        group: String = "group",
    }
}
request!(TopicsOfConsumer => QUERY_TOPICS_BY_CONSUMER, TopicList);

fields! {
    /// Asks what a group subscribes to of a topic.
    SubscriptionOf {
        /// Consumer group.
        group: String = "group",
        /// Topic.
        topic: String = "topic",
    }
}
request!(SubscriptionOf => QUERY_SUBSCRIPTION_BY_CONSUMER, SubscriptionAnswer);

/// What a group subscribes to of a topic (Java: `QuerySubscriptionResponseBody`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriptionAnswer {
    /// Consumer group.
    pub group: String,
    /// What it subscribes to; `None` when it does not.
    #[serde(rename = "subscriptionData", skip_serializing_if = "Option::is_none")]
    pub subscription: Option<KnownSubscription>,
    /// Topic.
    pub topic: String,
}
json_body!(SubscriptionAnswer);
