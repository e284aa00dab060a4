//! Sending: `SEND_MESSAGE` (10), `SEND_MESSAGE_V2` (310), `SEND_BATCH_MESSAGE` (320).

mod answer_template;
mod template;

use std::borrow::Cow;

use bytes::Bytes;

pub use self::answer_template::AnswerTemplate;
pub use self::template::{OwnFields, SendTemplate};
use super::{Payload, fields, request};
use crate::fields::FieldValue;
use crate::{DecodeError, FieldSink, Fields};

/// One message to store, or with `batch` many in one body. As a request it is a
/// `SEND_MESSAGE_V2`, whose fields have names of one letter.
///
/// Texts are borrowed when sent and owned when received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendMessage<'a> {
    /// Producer group.
    pub group: Cow<'a, str>,
    /// Topic.
    pub topic: Cow<'a, str>,
    /// Topic whose configuration a new topic gets.
    pub default_topic: Cow<'a, str>,
    /// The most queues that a new topic gets.
    pub default_topic_queues: i32,
    /// Queue of the topic; negative: the broker picks one.
    pub queue_id: i32,
    /// Bits of [`stored::sys_flag`](crate::stored::sys_flag).
    pub sys_flag: i32,
    /// When the message was made, in ms since 1970.
    pub born_at_ms: i64,
    /// The application's flag.
    pub flag: i32,
    /// The properties' text of the wire.
    pub properties: Cow<'a, str>,
    /// How often the message has been redelivered.
    pub reconsume_times: i32,
    /// Whether the client is in unit mode.
    pub unit_mode: bool,
    /// Retry limit; only for `%RETRY%` topics.
    pub max_reconsume_times: Option<i32>,
    /// Whether the body is a [`batch`](crate::batch). This flag decides, not the code.
    pub batch: bool,
    /// The broker that is meant. A 5.x proxy refuses a send without it.
    pub broker_name: Option<Cow<'a, str>>,
    /// The message's body, or the batch.
    pub body: Bytes,
}

/// A `SEND_MESSAGE`: the same with full field names, which every version understands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendMessageV1<'a>(pub SendMessage<'a>);

/// A `SEND_BATCH_MESSAGE`; `batch` is set whatever the value says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendBatch<'a>(pub SendMessage<'a>);

/// Names of the fields in the two forms.
struct Names {
    group: &'static str,
    topic: &'static str,
    default_topic: &'static str,
    default_topic_queues: &'static str,
    queue_id: &'static str,
    sys_flag: &'static str,
    born_at: &'static str,
    flag: &'static str,
    properties: &'static str,
    reconsume_times: &'static str,
    unit_mode: &'static str,
    max_reconsume_times: &'static str,
    batch: &'static str,
    broker_name: &'static str,
}

const V1: Names = Names {
    group: "producerGroup",
    topic: "topic",
    default_topic: "defaultTopic",
    default_topic_queues: "defaultTopicQueueNums",
    queue_id: "queueId",
    sys_flag: "sysFlag",
    born_at: "bornTimestamp",
    flag: "flag",
    properties: "properties",
    reconsume_times: "reconsumeTimes",
    unit_mode: "unitMode",
    max_reconsume_times: "maxReconsumeTimes",
    batch: "batch",
    broker_name: "bname",
};

const V2: Names = Names {
    group: "a",
    topic: "b",
    default_topic: "c",
    default_topic_queues: "d",
    queue_id: "e",
    sys_flag: "f",
    born_at: "g",
    flag: "h",
    properties: "i",
    reconsume_times: "j",
    unit_mode: "k",
    max_reconsume_times: "l",
    batch: "m",
    broker_name: "n",
};

impl SendMessage<'_> {
    fn write_as<S: FieldSink>(&self, names: &Names, batch: bool, sink: &mut S) {
        sink.text(names.group, &self.group);
        sink.text(names.topic, &self.topic);
        sink.text(names.default_topic, &self.default_topic);
        sink.number(names.default_topic_queues, i64::from(self.default_topic_queues));
        sink.number(names.queue_id, i64::from(self.queue_id));
        sink.number(names.sys_flag, i64::from(self.sys_flag));
        sink.number(names.born_at, self.born_at_ms);
        sink.number(names.flag, i64::from(self.flag));
        sink.text(names.properties, &self.properties);
        sink.number(names.reconsume_times, i64::from(self.reconsume_times));
        sink.flag(names.unit_mode, self.unit_mode);
        self.max_reconsume_times.write(names.max_reconsume_times, sink);
        sink.flag(names.batch, batch);
        if let Some(broker_name) = &self.broker_name {
            sink.text(names.broker_name, broker_name);
        }
    }

    /// Hands the fields over with their full names.
    pub(super) fn write_v1<S: FieldSink>(&self, sink: &mut S) {
        self.write_as(&V1, self.batch, sink);
    }

    /// Reads what real brokers read: of the fields only topic, queue, flags and time must be there.
    fn read_as(names: &Names, fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        let text = |name| fields.get(name).map(|text| Cow::Owned(text.to_owned()));
        Ok(Self {
            group: text(names.group).unwrap_or_default(),
            topic: text(names.topic).ok_or(DecodeError::MissingField(names.topic))?,
            default_topic: text(names.default_topic).unwrap_or_default(),
            default_topic_queues: fields
                .read::<Option<i32>>(names.default_topic_queues)?
                .unwrap_or_default(),
            queue_id: fields.read(names.queue_id)?,
            sys_flag: fields.read(names.sys_flag)?,
            born_at_ms: fields.read(names.born_at)?,
            flag: fields.read(names.flag)?,
            properties: text(names.properties).unwrap_or_default(),
            reconsume_times: fields.read::<Option<i32>>(names.reconsume_times)?.unwrap_or_default(),
            unit_mode: fields.read::<Option<bool>>(names.unit_mode)?.unwrap_or_default(),
            max_reconsume_times: fields.read(names.max_reconsume_times)?,
            batch: fields.read::<Option<bool>>(names.batch)?.unwrap_or_default(),
            broker_name: text(names.broker_name),
            body: body.clone(),
        })
    }
}

impl Payload for SendMessage<'_> {
    fn write<S: FieldSink>(&self, sink: &mut S) {
        self.write_as(&V2, self.batch, sink);
    }

    fn body(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.body)
    }

    fn read(fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        Self::read_as(&V2, fields, body)
    }
}
request!(SendMessage<'_> => SEND_MESSAGE_V2, SendAnswer);

impl Payload for SendMessageV1<'_> {
    fn write<S: FieldSink>(&self, sink: &mut S) {
        self.0.write_v1(sink);
    }

    fn body(&self) -> Cow<'_, [u8]> {
        self.0.body()
    }

    fn read(fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        SendMessage::read_as(&V1, fields, body).map(Self)
    }
}
request!(SendMessageV1<'_> => SEND_MESSAGE, SendAnswer);

impl Payload for SendBatch<'_> {
    fn write<S: FieldSink>(&self, sink: &mut S) {
        self.0.write_as(&V2, true, sink);
    }

    fn body(&self) -> Cow<'_, [u8]> {
        self.0.body()
    }

    fn read(fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        SendMessage::read_as(&V2, fields, body).map(Self)
    }
}
request!(SendBatch<'_> => SEND_BATCH_MESSAGE, SendAnswer);

fields! {
    /// Where a message was stored. Complete only with the codes 0, 10, 11 and 12.
    SendAnswer {
        /// Offset message id; for a batch one per message, separated by commas.
        offset_message_id: String = "msgId",
        /// The queue that was written.
        queue_id: i32 = "queueId",
        /// Place in the queue; for a batch that of the first message.
        queue_offset: i64 = "queueOffset",
        /// The unique id of the message (5.x).
        transaction_id: Option<String> = "transactionId",
        /// The unique id of a batch (5.x, batch queues only).
        batch_unique_id: Option<String> = "batchUniqId",
        /// Handle by which a timer message can be taken back (5.x).
        recall_handle: Option<String> = "recallHandle",
        /// Region of the broker.
        region: Option<Cow<'static, str>> = "MSG_REGION",
        /// Whether the broker wants message traces.
        trace_on: Option<bool> = "TRACE_ON",
    }
}
