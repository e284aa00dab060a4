//! The cluster, its settings and its figures: `GET_BROKER_CLUSTER_INFO` (106), write permission
//! (205, 327), settings of a broker (26) and of a name server (101, 319), figures of a broker (28).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{BrokerData, Empty, RawBody, TopicList, bare, fields, json_body, request};

bare! {
    /// Asks a name server for the brokers of every cluster.
    ClusterInfoOf
}
request!(ClusterInfoOf => GET_BROKER_CLUSTER_INFO, ClusterInfo);

/// The brokers that a name server knows (Java: `ClusterInfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterInfo {
    /// Each broker by its name.
    #[serde(rename = "brokerAddrTable")]
    pub brokers: BTreeMap<String, BrokerData>,
    /// The names of each cluster's brokers.
    #[serde(rename = "clusterAddrTable")]
    pub clusters: BTreeMap<String, Vec<String>>,
}
json_body!(ClusterInfo);

fields! {
    /// Asks a name server for a setting that was put there.
    KvConfigOf {
        /// Whose setting it is, such as `ORDER_TOPIC_CONFIG`.
        namespace: String = "namespace",
        /// Its name there.
        key: String = "key",
    }
}
request!(KvConfigOf => GET_KV_CONFIG, KvConfig);

fields! {
    /// A setting.
    KvConfig {
        /// Its value.
        value: Option<String> = "value",
    }
}

fields! {
    /// Deletes a setting at a name server.
    DeleteKvConfig {
        /// Whose setting it is, such as `ORDER_TOPIC_CONFIG`.
        namespace: String = "namespace",
        /// Its name there.
        key: String = "key",
    }
}
request!(DeleteKvConfig => DELETE_KV_CONFIG, Empty);

fields! {
    /// Has a name server tell clients that nothing of a broker may be written.
    WipeWritePermission {
        /// Name of the broker.
        broker_name: String = "brokerName",
    }
}
request!(WipeWritePermission => WIPE_WRITE_PERM_OF_BROKER, WipedTopics);

fields! {
    /// How many topics have lost the permission.
    WipedTopics {
        /// How many.
        count: i32 = "wipeTopicCount",
    }
}

fields! {
    /// Takes a [`WipeWritePermission`] back.
    GiveWritePermission {
        /// Name of the broker.
        broker_name: String = "brokerName",
    }
}
request!(GiveWritePermission => ADD_WRITE_PERM_OF_BROKER, GivenTopics);

fields! {
    /// How many topics have got the permission.
    GivenTopics {
        /// How many.
        count: i32 = "addTopicCount",
    }
}

bare! {
    /// Asks a broker for its settings.
    BrokerConfigOf
}
request!(BrokerConfigOf => GET_BROKER_CONFIG, BrokerConfig);

fields! {
    /// Settings of a broker.
    BrokerConfig {
        /// Their version, in JSON.
        version: String = "version",
    }
    body {
        /// Lines of `name=value`.
        settings
    }
}

bare! {
    /// Asks a name server for its settings: lines of `name=value`.
    NameServerConfigOf
}
request!(NameServerConfigOf => GET_NAMESRV_CONFIG, RawBody);

bare! {
    /// Asks a broker for its figures.
    RuntimeInfoOf
}
request!(RuntimeInfoOf => GET_BROKER_RUNTIME_INFO, KvTable);

/// Texts by their names (Java: `KVTable`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KvTable {
    /// The texts.
    pub table: BTreeMap<String, String>,
}
json_body!(KvTable);

fields! {
    /// Asks a name server for the topics of a cluster.
    TopicsOfCluster {
        /// Name of the cluster.
        cluster: String = "cluster",
    }
}
request!(TopicsOfCluster => GET_TOPICS_BY_CLUSTER, TopicList);

bare! {
    /// Asks a name server for its own topics: the names of clusters and brokers.
    NameServerSystemTopics
}
request!(NameServerSystemTopics => GET_SYSTEM_TOPIC_LIST_FROM_NS, TopicList);

bare! {
    /// Asks a broker for the topics that it needs itself.
    BrokerSystemTopics
}
request!(BrokerSystemTopics => GET_SYSTEM_TOPIC_LIST_FROM_BROKER, TopicList);
