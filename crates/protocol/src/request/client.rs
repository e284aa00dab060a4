//! A client and its groups: `HEART_BEAT` (34), `UNREGISTER_CLIENT` (35).

use serde::{Deserialize, Serialize};

use super::names::{consume_from_where, consume_type, message_model};
use super::{Empty, Payload as _, fields, json_body, request};
use crate::java;

/// A client tells a broker its groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// `ip@instance` of the client.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Its consumer groups.
    #[serde(rename = "consumerDataSet")]
    pub consumers: Vec<ConsumerGroup>,
    /// Fingerprint of the subscriptions; 0 without heartbeat V2 (5.x).
    #[serde(rename = "heartbeatFingerprint")]
    pub fingerprint: i32,
    /// Its producer groups.
    #[serde(rename = "producerDataSet")]
    pub producers: Vec<ProducerGroup>,
    /// Whether subscriptions are left out because they have not changed (5.x).
    #[serde(rename = "withoutSub")]
    pub without_subscriptions: bool,
}
json_body!(Heartbeat);
request!(Heartbeat => HEART_BEAT, HeartbeatAnswer);

impl Heartbeat {
    /// A number for the parts that stay the same from one heartbeat to the next (Java:
    /// `computeHeartbeatFingerprint`). It is Java's for clients without consumers; the subscriptions of
    /// consumers are left out here in part.
    pub fn fingerprint(&self) -> i32 {
        let mut unchanging = Self {
            client_id: String::new(),
            fingerprint: 0,
            without_subscriptions: false,
            ..self.clone()
        };
        let groups = unchanging.consumers.iter_mut();
        for subscription in groups.flat_map(|group| &mut group.subscriptions) {
            subscription.sub_version = 0;
        }
        java::hash(&String::from_utf8_lossy(&unchanging.body()))
    }
}

fields! {
    /// A broker knows the client (4.x says nothing more).
    HeartbeatAnswer {
        /// Whether subscriptions may be left out once they are known (5.x).
        supports_v2: Option<bool> = "IS_SUPPORT_HEART_BEAT_V2",
        /// Whether the broker knows other subscriptions of the group (5.x).
        subscriptions_changed: Option<bool> = "IS_SUB_CHANGE",
    }
}

/// A producer group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerGroup {
    /// Name.
    pub group_name: String,
}

/// A consumer group and what it subscribes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerGroup {
    /// `CONSUME_FROM_LAST_OFFSET` and the like.
    #[serde(deserialize_with = "consume_from_where")]
    pub consume_from_where: String,
    /// `CONSUME_PASSIVELY` (push) or `CONSUME_ACTIVELY` (pull).
    #[serde(deserialize_with = "consume_type")]
    pub consume_type: String,
    /// Name.
    pub group_name: String,
    /// `CLUSTERING` or `BROADCASTING`.
    #[serde(deserialize_with = "message_model")]
    pub message_model: String,
    /// Subscriptions.
    #[serde(rename = "subscriptionDataSet")]
    pub subscriptions: Vec<Subscription>,
    /// Whether the client is in unit mode.
    pub unit_mode: bool,
}

/// The messages of a topic that a consumer group wants. The tags' hashes are left out: a reader that needs them
/// computes them, because clients write them in several ways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subscription {
    /// `TAG`, `SQL92`, or nothing, which means `TAG`.
    pub expression_type: String,
    /// `*`, or tags separated by `||`.
    pub sub_string: String,
    /// Version of the subscription; the newest counts.
    pub sub_version: i64,
    /// The tags, apart.
    pub tags_set: Vec<String>,
    /// Topic.
    pub topic: String,
}

fields! {
    /// A client leaves a group.
    UnregisterClient {
        /// `ip@instance` of the client.
        client_id: String = "clientID",
        /// The producer group that it leaves.
        producer_group: Option<String> = "producerGroup",
        /// The consumer group that it leaves.
        consumer_group: Option<String> = "consumerGroup",
    }
}
request!(UnregisterClient => UNREGISTER_CLIENT, Empty);

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with what `HeartbeatData.computeHeartbeatFingerprint` of 5.5.0 says.
    #[test]
    fn the_fingerprint_is_javas_and_of_what_stays_the_same() {
        let producer = |group: &str| ProducerGroup { group_name: group.into() };
        let first = Heartbeat {
            client_id: "1.2.3.4@x".into(),
            producers: vec![producer("orders")],
            ..Heartbeat::default()
        };
        assert_eq!(first.fingerprint(), -1_269_792_886);
        let later = Heartbeat {
            client_id: "5.6.7.8@y".into(),
            fingerprint: first.fingerprint(),
            without_subscriptions: true,
            ..first.clone()
        };
        assert_eq!(later.fingerprint(), first.fingerprint());
        let other = Heartbeat { producers: vec![producer("others")], ..first.clone() };
        assert_ne!(other.fingerprint(), first.fingerprint());
        let consuming = |sub_version| {
            let subscription = Subscription { sub_version, ..Subscription::default() };
            let group =
                ConsumerGroup { subscriptions: vec![subscription], ..ConsumerGroup::default() };
            Heartbeat { consumers: vec![group], ..first.clone() }.fingerprint()
        };
        assert_eq!(consuming(1), consuming(2));
    }
}
