//! What consumers need beside pulls: offsets of a group (14, 15), view by id (33), giving back
//! (36), members (38, 40), locks (41, 42), filters (46).

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Empty, OffsetAnswer, Payload, Subscription, fields, json_body, request};
use crate::{DecodeError, FieldSink, Fields};

fields! {
    /// Asks for a group's stored offset of one queue.
    QueryConsumerOffset {
        /// Consumer group.
        group: String = "consumerGroup",
        /// Topic.
        topic: String = "topic",
        /// Queue.
        queue_id: i32 = "queueId",
        /// Whether 0 may stand for an offset that is not there (5.x).
        zero_if_missing: Option<bool> = "setZeroIfNotFound",
        /// The broker that is meant (5.x).
        broker_name: Option<String> = "bname",
    }
}
request!(QueryConsumerOffset => QUERY_CONSUMER_OFFSET, OffsetAnswer);

fields! {
    /// Stores a group's offset of one queue.
    UpdateConsumerOffset {
        /// Consumer group.
        group: String = "consumerGroup",
        /// Topic.
        topic: String = "topic",
        /// Queue.
        queue_id: i32 = "queueId",
        /// The offset; some clients send −1 when they have none.
        offset: i64 = "commitOffset",
        /// The broker that is meant (5.x).
        broker_name: Option<String> = "bname",
    }
}
request!(UpdateConsumerOffset => UPDATE_CONSUMER_OFFSET, Empty);

fields! {
    /// Asks for a stored message by its place in the commit log.
    ViewMessage {
        /// The place.
        offset: i64 = "offset",
        /// Topic (5.x).
        topic: Option<String> = "topic",
    }
}
request!(ViewMessage => VIEW_MESSAGE_BY_ID, RawBody);

/// An answer that is a body and nothing else: stored messages back to back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawBody(pub Bytes);

impl RawBody {
    /// This text as a body.
    pub fn text(text: impl Into<String>) -> Self {
        Self(Bytes::from(text.into()))
    }
}

impl Payload for RawBody {
    fn write<S: FieldSink>(&self, _sink: &mut S) {}

    fn body(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }

    fn read(_fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        Ok(Self(body.clone()))
    }
}

fields! {
    /// A consumer gives a message back for later redelivery.
    SendBack {
        /// Place of the message in the commit log.
        offset: i64 = "offset",
        /// Consumer group.
        group: String = "group",
        /// Delay level; 0: the broker decides, negative: to the dead letters.
        delay_level: i32 = "delayLevel",
        /// Id of the message.
        origin_message_id: Option<String> = "originMsgId",
        /// Topic that the message was first sent to.
        origin_topic: Option<String> = "originTopic",
        /// Whether the client is in unit mode.
        unit_mode: Option<bool> = "unitMode",
        /// Retry limit.
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
        /// The broker that is meant (5.x).
        broker_name: Option<String> = "bname",
    }
}
request!(SendBack => CONSUMER_SEND_MSG_BACK, Empty);

fields! {
    /// Asks for the members of a consumer group.
    ConsumerListOf {
        /// Consumer group.
        group: String = "consumerGroup",
    }
}
request!(ConsumerListOf => GET_CONSUMER_LIST_BY_GROUP, ConsumerList);

/// The client ids of a group's members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumerList {
    /// The ids.
    #[serde(rename = "consumerIdList")]
    pub client_ids: Vec<String>,
}
json_body!(ConsumerList);

fields! {
    /// Broker to consumer, one-way: the members of a group have changed.
    NotifyConsumerIdsChanged {
        /// Consumer group.
        group: String = "consumerGroup",
    }
}
request!(NotifyConsumerIdsChanged => NOTIFY_CONSUMER_IDS_CHANGED, Empty);

/// A queue by its names.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueName {
    /// Broker.
    pub broker_name: String,
    /// Queue.
    pub queue_id: i32,
    /// Topic.
    pub topic: String,
}

/// Locks queues for ordered consumption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LockQueues {
    /// `ip@instance` of the client.
    pub client_id: String,
    /// Consumer group.
    #[serde(rename = "consumerGroup")]
    pub group: String,
    /// The queues.
    #[serde(rename = "mqSet")]
    pub queues: Vec<QueueName>,
    /// Whether other brokers are left alone (5.x).
    pub only_this_broker: bool,
}
json_body!(LockQueues);
request!(LockQueues => LOCK_BATCH_MQ, LockedQueues);

/// The queues that the client holds now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockedQueues {
    /// The queues.
    #[serde(rename = "lockOKMQSet")]
    pub queues: Vec<QueueName>,
}
json_body!(LockedQueues);

/// Releases the queues that a [`LockQueues`] of the same content locks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnlockQueues(pub LockQueues);
json_body!(UnlockQueues);
request!(UnlockQueues => UNLOCK_BATCH_MQ, Empty);

/// Checks a consumer's filter expression.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CheckClientConfig {
    /// `ip@instance` of the client.
    pub client_id: String,
    /// Consumer group.
    pub group: String,
    /// The subscription with the expression.
    #[serde(rename = "subscriptionData")]
    pub subscription: Subscription,
}
json_body!(CheckClientConfig);
request!(CheckClientConfig => CHECK_CLIENT_CONFIG, Empty);
