//! Routes: `GET_ROUTEINFO_BY_TOPIC` (105) and the route document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{fields, json_body, request};

/// The topic whose route and configuration stand in for a topic that does not exist yet
/// (Java: `TopicValidator.AUTO_CREATE_TOPIC_KEY_TOPIC`).
pub const DEFAULT_TOPIC: &str = "TBW102";
/// A topic that every broker has, also one that creates no topics on its own (Java:
/// `TopicValidator.RMQ_SYS_SELF_TEST_TOPIC`).
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";

/// Bits of [`QueueData::perm`].
pub mod permission {
    /// New topics may take over this topic's configuration.
    pub const INHERIT: i32 = 1;
    /// May be written.
    pub const WRITE: i32 = 2;
    /// May be read.
    pub const READ: i32 = 4;
}

fields! {
    /// Asks a name server for a topic's route.
    RouteOf {
        /// Topic.
        topic: String = "topic",
        /// Asks for standard JSON (5.x; older ones ignore it).
        standard_json: Option<bool> = "acceptStandardJsonOnly",
    }
}
request!(RouteOf => GET_ROUTEINFO_BY_TOPIC, TopicRoute);

fields! {
    /// As [`RouteOf`], with the brokers of one zone alone (5.x; older name servers answer with all).
    RouteInZone {
        /// Topic.
        topic: String = "topic",
        /// Asks for standard JSON.
        standard_json: Option<bool> = "acceptStandardJsonOnly",
        /// The zone.
        zone: String = "__ZONE_NAME",
        /// Whether others are left out.
        only_zone: bool = "__ZONE_MODE",
    }
}
request!(RouteInZone => GET_ROUTEINFO_BY_TOPIC, TopicRoute);

/// A topic's queues and the brokers that have them (Java: `TopicRouteData`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicRoute {
    /// `broker:queues;broker:queues` of an ordered topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_topic_conf: Option<String>,
    /// The brokers.
    #[serde(rename = "brokerDatas")]
    pub brokers: Vec<BrokerData>,
    /// Filter servers by broker address; of historical interest.
    pub filter_server_table: BTreeMap<String, Vec<String>>,
    /// The queues of each broker.
    #[serde(rename = "queueDatas")]
    pub queues: Vec<QueueData>,
    /// Which broker has which logical queue of a static topic, by broker's name (5.x).
    #[serde(rename = "topicQueueMappingByBroker", skip_serializing_if = "Option::is_none")]
    pub queue_mappings: Option<BTreeMap<String, QueueMapping>>,
}
json_body!(TopicRoute);

/// One broker's queues of a topic. Without the broker's name it cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueData {
    /// Name of the broker.
    pub broker_name: String,
    /// Bits of [`permission`].
    #[serde(default)]
    pub perm: i32,
    /// How many queues can be read.
    #[serde(default)]
    pub read_queue_nums: i32,
    /// How many queues can be written.
    #[serde(default)]
    pub write_queue_nums: i32,
    /// The topic's flag (5.x).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_sys_flag: Option<i32>,
    /// The topic's flag as 4.x spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_syn_flag: Option<i32>,
}

/// One broker and its addresses. Without the broker's name it cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerData {
    /// Address by broker id; 0 is the master.
    #[serde(default)]
    pub broker_addrs: BTreeMap<i64, String>,
    /// Name of the broker.
    pub broker_name: String,
    /// Cluster of the broker.
    #[serde(default)]
    pub cluster: String,
    /// Whether a slave may stand in for the master (5.x).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_acting_master: Option<bool>,
    /// Zone of the broker (5.x).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_name: Option<String>,
}

/// One broker's logical queues of a static topic (Java: `TopicQueueMappingInfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueMapping {
    /// Name of the broker.
    #[serde(rename = "bname")]
    pub broker_name: String,
    /// Place of a logical queue on the broker, by its number.
    #[serde(rename = "currIdMap")]
    pub current_ids: BTreeMap<i64, i64>,
    /// Version of the mapping; the latest counts.
    pub epoch: i64,
    /// The name of all brokers that share the logical queues; `__global__` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// How many logical queues there are.
    pub total_queues: i32,
}

impl BrokerData {
    /// Address of the master; publishing goes there alone.
    pub fn master(&self) -> Option<&str> {
        self.broker_addrs.get(&0).map(String::as_str)
    }
}
