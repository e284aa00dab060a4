//! Consumer groups as a broker keeps them: created and changed (200, 225), deleted (207), listed
//! (201, 352), and their offsets set (222, 314).

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::stats::table_body;
use super::{DataVersion, Empty, Payload, QueueTable, bare, fields, json_body, request};
use crate::{DecodeError, FieldSink, Fields, json};

/// A consumer group (Java: `SubscriptionGroupConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupConfig {
    /// Further attributes (5.x).
    pub attributes: BTreeMap<String, String>,
    /// The broker that consumers should read from; 0: the master.
    pub broker_id: i64,
    /// Whether it may broadcast.
    pub consume_broadcast_enable: bool,
    /// Whether it may consume.
    pub consume_enable: bool,
    /// Whether it begins with the oldest message where it has no offset.
    pub consume_from_min_enable: bool,
    /// Whether it consumes in order.
    pub consume_message_orderly: bool,
    /// After how many minutes a message counts as not consumed.
    pub consume_timeout_minute: i32,
    /// Name.
    pub group_name: String,
    /// When messages come again (5.x).
    pub group_retry_policy: RetryPolicy,
    /// The group's flag.
    pub group_sys_flag: i32,
    /// Whether members hear that their group has changed.
    pub notify_consumer_ids_changed_enable: bool,
    /// How often a message comes again before it goes to the dead letters.
    pub retry_max_times: i32,
    /// How many queues its retry topic has.
    pub retry_queue_nums: i32,
    /// The broker that slow consumers should read from.
    pub which_broker_when_consume_slowly: i64,
}
json_body!(GroupConfig);
request!(GroupConfig => UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, Empty);

impl Default for GroupConfig {
    /// The defaults of Java.
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            broker_id: 0,
            consume_broadcast_enable: true,
            consume_enable: true,
            consume_from_min_enable: true,
            consume_message_orderly: false,
            consume_timeout_minute: 15,
            group_name: String::new(),
            group_retry_policy: RetryPolicy::default(),
            group_sys_flag: 0,
            notify_consumer_ids_changed_enable: true,
            retry_max_times: 16,
            retry_queue_nums: 1,
            which_broker_when_consume_slowly: 1,
        }
    }
}

/// When messages come again (Java: `GroupRetryPolicy`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// `CUSTOMIZED` or `EXPONENTIAL`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { kind: "CUSTOMIZED".to_owned() }
    }
}

/// Creates or changes many groups at once (5.x).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetGroups {
    /// The groups.
    #[serde(rename = "groupConfigList")]
    pub groups: Vec<GroupConfig>,
}
json_body!(SetGroups);
request!(SetGroups => UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, Empty);

fields! {
    /// Deletes a consumer group.
    DeleteGroup {
        /// Consumer group.
        group: String = "groupName",
        /// Whether its offsets go too.
        clean_offsets: Option<bool> = "cleanOffset",
    }
}
request!(DeleteGroup => DELETE_SUBSCRIPTIONGROUP, Empty);

fields! {
    /// Asks for a consumer group.
    GroupConfigOf {
        /// Consumer group.
        group: String = "group",
    }
}
request!(GroupConfigOf => GET_SUBSCRIPTIONGROUP_CONFIG, GroupConfig);

bare! {
    /// Asks for all consumer groups.
    GroupConfigsOf
}
request!(GroupConfigsOf => GET_ALL_SUBSCRIPTIONGROUP_CONFIG, GroupConfigs);

/// All consumer groups (Java: `SubscriptionGroupWrapper`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupConfigs {
    /// Version of the table.
    pub data_version: DataVersion,
    /// By group and topic, what a group must not do.
    pub forbidden_table: BTreeMap<String, BTreeMap<String, i32>>,
    /// The groups by their names.
    #[serde(rename = "subscriptionGroupTable")]
    pub groups: BTreeMap<String, GroupConfig>,
}

impl Payload for GroupConfigs {
    fn write<S: FieldSink>(&self, sink: &mut S) {
        sink.number("totalGroupNum", self.groups.len() as i64);
    }

    fn body(&self) -> Cow<'_, [u8]> {
        Cow::Owned(super::table::to_json(self).into_bytes())
    }

    fn read(_fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        json::read(body)
    }
}

fields! {
    /// Sets a group's offsets in a topic.
    ResetOffset {
        /// Topic.
        topic: String = "topic",
        /// Consumer group.
        group: String = "group",
        /// This queue alone; all when it is negative or nothing is said.
        queue_id: Option<i32> = "queueId",
        /// To this offset, of the one queue; by the time when nothing is said, or −1.
        offset: Option<i64> = "offset",
        /// To the first message stored at or after this time, in ms since 1970; negative: to the
        /// end.
        timestamp_ms: i64 = "timestamp",
        /// Whether it may go forward too; brokers of 5.x do not ask.
        force: Option<bool> = "isForce",
    }
}
request!(ResetOffset => INVOKE_BROKER_TO_RESET_OFFSET, ResetOffsets);

/// The offsets that a group has now (Java: `ResetOffsetBody`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ResetOffsets {
    /// By queue.
    #[serde(rename = "offsetTable")]
    pub offsets: QueueTable<i64>,
}
table_body!(ResetOffsets);

impl ResetOffsets {
    fn to_json(&self) -> String {
        format!(r#"{{"offsetTable":{}}}"#, self.offsets.to_json())
    }
}

fields! {
    /// Asks which offsets the members of a group have in a topic.
    MembersOffsetsOf {
        /// Topic.
        topic: String = "topic",
        /// Consumer group.
        group: String = "group",
        /// `ip@instance` of the member that is meant; all when nothing is said.
        client_id: Option<String> = "clientAddr",
    }
}
request!(MembersOffsetsOf => INVOKE_BROKER_TO_GET_CONSUMER_STATUS, MembersOffsets);

fields! {
    /// Broker to consumer: which offsets do you have?
    OwnOffsetsOf {
        /// Topic.
        topic: String = "topic",
        /// Consumer group.
        group: String = "group",
    }
}
request!(OwnOffsetsOf => GET_CONSUMER_STATUS_FROM_CLIENT, MembersOffsets);

/// Which offsets consumers have (Java: `GetConsumerStatusBody`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MembersOffsets {
    /// Those of each member, as a broker says.
    #[serde(rename = "consumerTable")]
    pub members: BTreeMap<String, QueueTable<i64>>,
    /// Those of one consumer, as it says.
    #[serde(rename = "messageQueueTable")]
    pub own: QueueTable<i64>,
}
table_body!(MembersOffsets);

impl MembersOffsets {
    fn to_json(&self) -> String {
        let member = |(id, queues): (&String, &QueueTable<i64>)| {
            format!("{}:{}", super::table::to_json(id), queues.to_json())
        };
        let members: Vec<String> = self.members.iter().map(member).collect();
        let (members, own) = (members.join(","), self.own.to_json());
        format!(r#"{{"consumerTable":{{{members}}},"messageQueueTable":{own}}}"#)
    }
}

fields! {
    /// Gives a group the offsets of another one.
    CloneOffsets {
        /// The group that has them.
        from: String = "srcGroup",
        /// The group that gets them.
        to: String = "destGroup",
        /// Of this topic; of all when nothing is said.
        topic: Option<String> = "topic",
        /// Whether the second group needs no connected member.
        offline: Option<bool> = "offline",
    }
}
request!(CloneOffsets => CLONE_GROUP_OFFSET, Empty);
