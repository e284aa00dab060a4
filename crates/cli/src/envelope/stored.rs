//! A stored message as a JSON line.

use std::time::{SystemTime, UNIX_EPOCH};

use posthaste::ReadMessage;
use posthaste_inspector::Body;
use serde::Serialize;

use super::{Content, Object, VERSION, Wishes};

/// A stored message: where and when it was stored, and what it is.
#[derive(Serialize)]
pub(crate) struct Stored<'a> {
    _cmd: &'static str,
    _v: u32,
    topic: &'a str,
    broker: &'a str,
    queue: i32,
    offset: i64,
    msg_id: String,
    offset_msg_id: String,
    born_ms: u64,
    stored_ms: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    compressed: bool,
    #[serde(flatten)]
    content: Content<'a>,
}

impl<'a> Stored<'a> {
    /// The line that a command writes.
    pub(crate) fn of(command: &'static str, message: &'a ReadMessage) -> Self {
        let queue = message.queue();
        Self {
            _cmd: command,
            _v: VERSION,
            topic: queue.topic(),
            broker: queue.broker(),
            queue: queue.id(),
            offset: message.queue_offset(),
            msg_id: message.message_id(),
            offset_msg_id: message.offset_message_id(),
            born_ms: since_1970(message.born_at()),
            stored_ms: since_1970(message.stored_at()),
            compressed: message.is_compressed(),
            content: Content {
                keys: message.keys().collect(),
                tag: message.tag(),
                flag: message.flag(),
                properties: Object(message.properties().collect()),
                ordered_by: message.ordering_key(),
                wishes: Wishes::again(message.priority()),
                body: Body(message.body()),
            },
        }
    }
}

/// Milliseconds.
fn since_1970(time: SystemTime) -> u64 {
    let ms = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(ms).unwrap_or(u64::MAX)
}
