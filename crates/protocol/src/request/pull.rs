//! Reading a queue: `PULL_MESSAGE` (11) and `LITE_PULL_MESSAGE` (361).

use std::borrow::Cow;

use bytes::Bytes;

use super::{Payload, fields, request};
use crate::fields::FieldValue as _;
use crate::{DecodeError, FieldSink, Fields};

/// Bits of [`Pull::sys_flag`].
pub mod pull_flag {
    /// Store `commit_offset`.
    pub const COMMIT: i32 = 0x1;
    /// Wait for messages when there are none.
    pub const SUSPEND: i32 = 0x2;
    /// `subscription` says what is wanted.
    pub const SUBSCRIPTION: i32 = 0x4;
}

fields! {
    /// Reads messages of one queue from an offset on.
    Pull {
        /// Consumer group.
        group: String = "consumerGroup",
        /// Topic.
        topic: String = "topic",
        /// Queue.
        queue_id: i32 = "queueId",
        /// The first offset that is wanted.
        queue_offset: i64 = "queueOffset",
        /// The most messages.
        max_messages: i32 = "maxMsgNums",
        /// Bits of [`pull_flag`].
        sys_flag: i32 = "sysFlag",
        /// Offset to store for the group.
        commit_offset: i64 = "commitOffset",
        /// How long to wait for messages, in ms.
        suspend_ms: i64 = "suspendTimeoutMillis",
        /// `*`, or tags separated by `||`.
        subscription: Option<String> = "subscription",
        /// Version of the subscription.
        sub_version: i64 = "subVersion",
        /// `TAG`, `SQL92`, or nothing, which means `TAG`.
        expression_type: Option<String> = "expressionType",
        /// The most bytes (5.x).
        max_bytes: Option<i32> = "maxMsgBytes",
        /// The broker that is meant (5.x).
        broker_name: Option<String> = "bname",
    }
}
request!(Pull => PULL_MESSAGE, PullAnswer);

/// A [`Pull`] from a lite pull consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LitePull(pub Pull);

impl Payload for LitePull {
    fn write<S: FieldSink>(&self, sink: &mut S) {
        self.0.write(sink);
    }

    fn read(fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        Pull::read(fields, body).map(Self)
    }
}
request!(LitePull => LITE_PULL_MESSAGE, PullAnswer);

/// What a pull found, with the codes 0, 19, 20 and 21.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullAnswer {
    /// Broker id to pull from next; 0 is the master.
    pub suggested_broker: i64,
    /// Where to go on.
    pub next_offset: i64,
    /// Least offset of the queue.
    pub min_offset: i64,
    /// Greatest offset of the queue.
    pub max_offset: i64,
    /// To be added to the offsets of the messages, which lie in a logical queue (5.x).
    pub offset_delta: Option<i64>,
    /// Stored messages back to back; see [`StoredMessage::decode_all`](crate::StoredMessage::decode_all).
    pub messages: Bytes,
}

impl Payload for PullAnswer {
    fn write<S: FieldSink>(&self, sink: &mut S) {
        sink.number("suggestWhichBrokerId", self.suggested_broker);
        sink.number("nextBeginOffset", self.next_offset);
        sink.number("minOffset", self.min_offset);
        sink.number("maxOffset", self.max_offset);
        self.offset_delta.write("offsetDelta", sink);
    }

    fn body(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.messages)
    }

    fn read(fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            suggested_broker: fields.read("suggestWhichBrokerId")?,
            next_offset: fields.read("nextBeginOffset")?,
            min_offset: fields.read("minOffset")?,
            max_offset: fields.read("maxOffset")?,
            offset_delta: fields.read("offsetDelta")?,
            messages: body.clone(),
        })
    }
}
