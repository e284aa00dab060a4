//! Requests and their answers as types.
//!
//! One struct per request, with its fields as header fields and the rest as body. [`Request`] is
//! for senders: the type says the code and what the answer is. [`Incoming`] is for receivers: a
//! `match` over it lists what is not handled yet.

mod admin;
mod client;
mod cluster;
mod consumer;
mod group;
mod names;
mod offset;
mod online;
mod pull;
mod query;
mod recall;
mod reply;
mod route;
mod send;
mod stats;
mod table;
mod topic;
mod transaction;

use bytes::Bytes;

pub use admin::Admin;
pub use client::{
    ConsumerGroup, Heartbeat, HeartbeatAnswer, ProducerGroup, Subscription, UnregisterClient,
};
pub use cluster::{
    BrokerConfig, BrokerConfigOf, BrokerSystemTopics, ClusterInfo, ClusterInfoOf, DeleteKvConfig,
    GiveWritePermission, GivenTopics, KvConfig, KvConfigOf, KvTable, NameServerConfigOf,
    NameServerSystemTopics, RuntimeInfoOf, TopicsOfCluster, WipeWritePermission, WipedTopics,
};
pub use consumer::{
    CheckClientConfig, ConsumerList, ConsumerListOf, LockQueues, LockedQueues,
    NotifyConsumerIdsChanged, QueryConsumerOffset, QueueName, RawBody, SendBack, UnlockQueues,
    UpdateConsumerOffset, ViewMessage,
};
pub use group::{
    CloneOffsets, DeleteGroup, GroupConfig, GroupConfigOf, GroupConfigs, GroupConfigsOf,
    MembersOffsets, MembersOffsetsOf, OwnOffsetsOf, ResetOffset, ResetOffsets, RetryPolicy,
    SetGroups,
};
pub use offset::{EarliestStoreTime, MaxOffset, MinOffset, OffsetAnswer, SearchOffset, StoreTime};
pub use online::{
    Connection, ConsumeDirectly, ConsumerConnection, ConsumerConnectionOf, ConsumersOfTopic,
    GroupList, KnownSubscription, ProducerConnection, ProducerConnectionOf, ProducerInfo,
    ProducerTable, ProducersOf, RunningInfoOf, SubscriptionAnswer, SubscriptionOf,
    TopicsOfConsumer,
};
pub use pull::{LitePull, Pull, PullAnswer, pull_flag};
pub use query::{IndexType, QueryAnswer, QueryMessages};
pub use recall::{Recall, RecallAnswer, RecallHandle};
pub use reply::{PushReply, SendReply, SendReplyV1};
pub use route::{
    BrokerData, DEFAULT_TOPIC, QueueData, QueueMapping, RouteInZone, RouteOf, SELF_TEST_TOPIC,
    TopicRoute, permission,
};
pub use send::{
    AnswerTemplate, OwnFields, SendAnswer, SendBatch, SendMessage, SendMessageV1, SendTemplate,
};
pub use stats::{
    BrokerConsumeStats, BrokerConsumeStatsOf, BrokerStats, BrokerStatsItem, BrokerStatsOf,
    ConsumeQueue, ConsumeQueueEntry, ConsumeQueueOf, ConsumeStats, ConsumeStatsOf, Progress,
    QueueReach, TimeSpan, TimeSpans, TimeSpansOf, TopicStats, TopicStatsOf,
};
pub use table::QueueTable;
pub use topic::{
    CreateTopic, CreateTopics, DataVersion, DeleteTopic, DeleteTopicInNameServer, TopicConfig,
    TopicConfigOf, TopicConfigs, TopicConfigsOf, TopicList, TopicListOf,
};
pub use transaction::{CheckTransaction, EndTransaction, decision};

pub use crate::payload::{Payload, Request};
use crate::{Command, DecodeError, FieldSink, Fields, RequestCode};

/// No fields and no body: the answer of most requests that only want something done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Empty;

impl Payload for Empty {
    fn write<S: FieldSink>(&self, _sink: &mut S) {}

    fn read(_fields: &Fields, _body: &Bytes) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

/// A struct whose members are header fields, and perhaps the body.
macro_rules! fields {
    (
        $(#[$meta:meta])*
        $name:ident {
            $($(#[$doc:meta])* $field:ident: $type:ty = $wire:literal,)*
        }
        $(body { $(#[$body_doc:meta])* $body:ident })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
            $($(#[$body_doc])* pub $body: bytes::Bytes,)?
        }

        impl $crate::request::Payload for $name {
            fn write<S: $crate::FieldSink>(&self, sink: &mut S) {
                $($crate::fields::FieldValue::write(&self.$field, $wire, sink);)*
            }

            $(
                fn body(&self) -> std::borrow::Cow<'_, [u8]> {
                    std::borrow::Cow::Borrowed(&self.$body)
                }
            )?

            fn read(fields: &$crate::Fields, _body: &bytes::Bytes) -> Result<Self, $crate::DecodeError> {
                Ok(Self { $($field: fields.read($wire)?,)* $($body: _body.clone(),)? })
            }
        }
    };
}
use fields;

/// A request that is nothing but its code.
macro_rules! bare {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name;

        impl $crate::request::Payload for $name {
            fn write<S: $crate::FieldSink>(&self, _sink: &mut S) {}

            fn read(
                _fields: &$crate::Fields,
                _body: &bytes::Bytes,
            ) -> Result<Self, $crate::DecodeError> {
                Ok(Self)
            }
        }
    };
}
use bare;

/// A struct that is a JSON body; there are no header fields.
macro_rules! json_body {
    ($name:ty) => {
        impl $crate::request::Payload for $name {
            fn write<S: $crate::FieldSink>(&self, _sink: &mut S) {}

            fn body(&self) -> std::borrow::Cow<'_, [u8]> {
                // Plain data with text keys: writing it as JSON cannot fail.
                std::borrow::Cow::Owned(serde_json::to_vec(self).unwrap_or_default())
            }

            fn read(
                _fields: &$crate::Fields,
                body: &bytes::Bytes,
            ) -> Result<Self, $crate::DecodeError> {
                $crate::json::read(body)
            }
        }
    };
}
use json_body;

/// Gives a payload its code and the type of its answer.
macro_rules! request {
    ($name:ty => $code:ident, $answer:ty $(, version $version:literal)?) => {
        impl $crate::request::Request for $name {
            const CODE: $crate::RequestCode = $crate::RequestCode::$code;
            $(const VERSION: i32 = $version;)?
            type Answer = $answer;
        }
    };
}
use request;

/// A received request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// 10, 310 or 320: one message, or with [`SendMessage::batch`] many.
    Send(SendMessage<'static>),
    /// 11 or 361.
    Pull(Pull),
    /// 12.
    QueryMessages(QueryMessages),
    /// 14.
    QueryConsumerOffset(QueryConsumerOffset),
    /// 15.
    UpdateConsumerOffset(UpdateConsumerOffset),
    /// 17.
    CreateTopic(CreateTopic),
    /// 29.
    SearchOffset(SearchOffset),
    /// 30.
    MaxOffset(MaxOffset),
    /// 31.
    MinOffset(MinOffset),
    /// 32.
    EarliestStoreTime(EarliestStoreTime),
    /// 33.
    ViewMessage(ViewMessage),
    /// 34.
    Heartbeat(Heartbeat),
    /// 35.
    UnregisterClient(UnregisterClient),
    /// 36.
    SendBack(SendBack),
    /// 37.
    EndTransaction(EndTransaction),
    /// 38.
    ConsumerListOf(ConsumerListOf),
    /// 39.
    CheckTransaction(CheckTransaction),
    /// 40.
    NotifyConsumerIdsChanged(NotifyConsumerIdsChanged),
    /// 41.
    LockQueues(LockQueues),
    /// 42.
    UnlockQueues(UnlockQueues),
    /// 46.
    CheckClientConfig(CheckClientConfig),
    /// 105.
    RouteOf(RouteOf),
    /// 206.
    TopicListOf(TopicListOf),
    /// 324 or 325.
    SendReply(SendReply<'static>),
    /// 326.
    PushReply(PushReply),
    /// 370.
    Recall(Recall),
    /// What administration tools ask.
    Admin(Admin),
    /// A code that has no type here.
    Unknown(RequestCode),
}

impl Incoming {
    /// Reads a request.
    ///
    /// # Errors
    /// When its fields or its body do not fit its code.
    pub fn read(command: &Command) -> Result<Self, DecodeError> {
        Ok(match command.request_code() {
            RequestCode::SEND_MESSAGE => Self::Send(command.read::<SendMessageV1<'_>>()?.0),
            RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE => {
                Self::Send(command.read()?)
            }
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => {
                Self::Pull(command.read()?)
            }
            RequestCode::QUERY_MESSAGE => Self::QueryMessages(command.read()?),
            RequestCode::QUERY_CONSUMER_OFFSET => Self::QueryConsumerOffset(command.read()?),
            RequestCode::UPDATE_CONSUMER_OFFSET => Self::UpdateConsumerOffset(command.read()?),
            RequestCode::UPDATE_AND_CREATE_TOPIC => Self::CreateTopic(command.read()?),
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => Self::SearchOffset(command.read()?),
            RequestCode::GET_MAX_OFFSET => Self::MaxOffset(command.read()?),
            RequestCode::GET_MIN_OFFSET => Self::MinOffset(command.read()?),
            RequestCode::GET_EARLIEST_MSG_STORETIME => Self::EarliestStoreTime(command.read()?),
            RequestCode::VIEW_MESSAGE_BY_ID => Self::ViewMessage(command.read()?),
            RequestCode::HEART_BEAT => Self::Heartbeat(command.read()?),
            RequestCode::UNREGISTER_CLIENT => Self::UnregisterClient(command.read()?),
            RequestCode::CONSUMER_SEND_MSG_BACK => Self::SendBack(command.read()?),
            RequestCode::END_TRANSACTION => Self::EndTransaction(command.read()?),
            RequestCode::GET_CONSUMER_LIST_BY_GROUP => Self::ConsumerListOf(command.read()?),
            RequestCode::CHECK_TRANSACTION_STATE => Self::CheckTransaction(command.read()?),
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => {
                Self::NotifyConsumerIdsChanged(command.read()?)
            }
            RequestCode::LOCK_BATCH_MQ => Self::LockQueues(command.read()?),
            RequestCode::UNLOCK_BATCH_MQ => Self::UnlockQueues(command.read()?),
            RequestCode::CHECK_CLIENT_CONFIG => Self::CheckClientConfig(command.read()?),
            RequestCode::GET_ROUTEINFO_BY_TOPIC => Self::RouteOf(command.read()?),
            RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => Self::TopicListOf(command.read()?),
            RequestCode::SEND_REPLY_MESSAGE => {
                Self::SendReply(SendReply(command.read::<SendReplyV1<'_>>()?.0))
            }
            RequestCode::SEND_REPLY_MESSAGE_V2 => Self::SendReply(command.read()?),
            RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT => Self::PushReply(command.read()?),
            RequestCode::RECALL_MESSAGE => Self::Recall(command.read()?),
            other => match Admin::read(command)? {
                Some(request) => Self::Admin(request),
                None => Self::Unknown(other),
            },
        })
    }
}
