//! One attempt: the request for a queue, and what its answer says.

use std::borrow::Cow;

use bytes::BytesMut;
use posthaste_protocol::properties::{self, name};
use posthaste_protocol::request::{DEFAULT_TOPIC, SendAnswer, SendMessage, SendMessageV1};
use posthaste_protocol::{Command, ResponseCode, command};

use crate::accepted::Accepted;
use crate::answer::{self, Remedy, Verdict};
use crate::config::Config;
use crate::message::Message;
use crate::{ErrorKind, MessageQueue, Outcome, Receipt, SendStatus};

/// How a request leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) opaque: i32,
    pub(crate) oneway: bool,
    /// With full field names, for a broker that does not know the others.
    pub(crate) v1: bool,
}

/// Appends the request that stores `message` in queue `queue` of `broker`.
///
/// `scratch` is memory for the properties' text, used again and again.
pub(crate) fn put_request(
    out: &mut BytesMut,
    scratch: &mut String,
    config: &Config,
    accepted: &Accepted,
    message: &Message,
    (broker, queue): (&str, i32),
    form: Form,
) {
    scratch.clear();
    for (n, value) in message.wire_properties() {
        properties::push(scratch, n, &value);
    }
    properties::push(scratch, name::UNIQ_KEY, accepted.id.text().as_str());
    let request = SendMessage {
        group: Cow::Borrowed(&config.group),
        topic: Cow::Borrowed(message.topic()),
        default_topic: Cow::Borrowed(DEFAULT_TOPIC),
        default_topic_queues: i32::try_from(config.default_topic_queues).unwrap_or(i32::MAX),
        queue_id: queue,
        sys_flag: 0,
        born_at_ms: accepted.born_at_ms,
        flag: message.flag_value(),
        properties: Cow::Borrowed(scratch),
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker_name: Some(Cow::Borrowed(broker)),
        body: message.body().clone(),
    };
    match form.v1 {
        true => command::put_request(out, form.opaque, form.oneway, &SendMessageV1(request)),
        false => command::put_request(out, form.opaque, form.oneway, &request),
    }
}

/// A refusal, and what it means.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

/// Reads the answer to a send of a message to `queue` of `broker`.
pub(crate) fn receipt(
    answer: &Command,
    accepted: &Accepted,
    broker: &std::sync::Arc<str>,
) -> Result<Receipt, Refusal> {
    let status = match answer.response_code() {
        ResponseCode::SUCCESS => SendStatus::Stored,
        ResponseCode::FLUSH_DISK_TIMEOUT => SendStatus::FlushDiskTimeout,
        ResponseCode::FLUSH_SLAVE_TIMEOUT => SendStatus::FlushSlaveTimeout,
        ResponseCode::SLAVE_NOT_AVAILABLE => SendStatus::SlaveNotAvailable,
        code => {
            let reason = answer.remark.clone().unwrap_or_default();
            return Err(Refusal { verdict: answer::judge(code, &reason), reason });
        }
    };
    let stored: SendAnswer = answer.read().map_err(|error| Refusal {
        // It says that it stored the message, but not where.
        verdict: Verdict {
            kind: ErrorKind::Protocol,
            outcome: Outcome::Unknown,
            remedy: Remedy::Stop,
            refresh_route: false,
        },
        reason: error.to_string(),
    })?;
    Ok(Receipt {
        message_id: accepted.id.to_string(),
        offset_message_id: stored.offset_message_id,
        queue: MessageQueue::new(accepted.topic().clone(), broker.clone(), stored.queue_id),
        queue_offset: stored.queue_offset,
        status,
        region: stored.region.filter(|region| !region.is_empty()),
        transaction_id: stored.transaction_id,
    })
}
