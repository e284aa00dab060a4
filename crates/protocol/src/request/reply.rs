//! Request and reply: `SEND_REPLY_MESSAGE` (324, 325), `PUSH_REPLY_MESSAGE_TO_CLIENT` (326).

use std::borrow::Cow;

use bytes::Bytes;

use super::{Empty, Payload, SendAnswer, SendMessage, SendMessageV1, fields, request};
use crate::{DecodeError, FieldSink, Fields};

/// A `SEND_REPLY_MESSAGE_V2`: a message that answers another, for the client that sent that one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendReply<'a>(pub SendMessage<'a>);

/// A `SEND_REPLY_MESSAGE`: the same with full field names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendReplyV1<'a>(pub SendMessage<'a>);

impl Payload for SendReply<'_> {
    fn write<S: FieldSink>(&self, sink: &mut S) {
        self.0.write(sink);
    }

    fn body(&self) -> Cow<'_, [u8]> {
        self.0.body()
    }

    fn read(fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        SendMessage::read(fields, body).map(Self)
    }
}
request!(SendReply<'_> => SEND_REPLY_MESSAGE_V2, SendAnswer);

impl Payload for SendReplyV1<'_> {
    fn write<S: FieldSink>(&self, sink: &mut S) {
        self.0.write_v1(sink);
    }

    fn body(&self) -> Cow<'_, [u8]> {
        self.0.body()
    }

    fn read(fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        SendMessageV1::read(fields, body).map(|message| Self(message.0))
    }
}
request!(SendReplyV1<'_> => SEND_REPLY_MESSAGE, SendAnswer);

fields! {
    /// A broker hands a reply to the client that waits for it.
    PushReply {
        /// Producer group of the replier.
        group: String = "producerGroup",
        /// The cluster's topic for replies.
        topic: String = "topic",
        /// As in [`SendMessage`].
        default_topic: String = "defaultTopic",
        /// As in [`SendMessage`].
        default_topic_queues: i32 = "defaultTopicQueueNums",
        /// Queue that the reply was sent to.
        queue_id: i32 = "queueId",
        /// Bits of [`stored::sys_flag`](crate::stored::sys_flag).
        sys_flag: i32 = "sysFlag",
        /// When the reply was made, in ms since 1970.
        born_at_ms: i64 = "bornTimestamp",
        /// The application's flag.
        flag: i32 = "flag",
        /// The properties' text of the wire.
        properties: Option<String> = "properties",
        /// As in [`SendMessage`].
        reconsume_times: Option<i32> = "reconsumeTimes",
        /// Whether the replier is in unit mode.
        unit_mode: Option<bool> = "unitMode",
        /// Where the replier is connected from: `ip:port`, from 4.x brokers `host/ip:port`.
        born_host: String = "bornHost",
        /// The broker's address, written likewise.
        store_host: String = "storeHost",
        /// When the broker got the reply, in ms since 1970.
        stored_at_ms: i64 = "storeTimestamp",
    }
    body {
        /// The reply's body, as the replier sent it.
        body
    }
}
request!(PushReply => PUSH_REPLY_MESSAGE_TO_CLIENT, Empty);
