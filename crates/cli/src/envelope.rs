//! The JSON envelope of a message: one schema for `tail -o json`, `msg -o json`, `send --json`,
//! `--failed-to` and `send --dry-run -o json`.

mod incoming;
mod json;
mod stored;

use std::time::UNIX_EPOCH;

use posthaste::{Delay, Message};
use posthaste_inspector::Body;
use serde::{Serialize, Serializer};

pub(crate) use incoming::{Incoming, Place};
pub(crate) use stored::Stored;

/// Version of every JSON line that this program writes.
pub(crate) const VERSION: u32 = 1;

/// Names and values as a JSON object.
pub(crate) struct Object<'a>(pub(crate) Vec<(&'a str, &'a str)>);

impl Object<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// What an envelope says of the message itself.
#[derive(Serialize)]
pub(crate) struct Content<'a> {
    pub(crate) keys: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) flag: i32,
    #[serde(skip_serializing_if = "Object::is_empty")]
    pub(crate) properties: Object<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ordered_by: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) wishes: Wishes,
    #[serde(flatten)]
    pub(crate) body: Body<'a>,
}

/// What a message that is to be sent asks for beside its content.
#[derive(Default, Serialize)]
pub(crate) struct Wishes {
    #[serde(skip_serializing_if = "Option::is_none")]
    to_queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_level: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
}

impl Wishes {
    /// Of a stored message, sent again. A delay is over once a message can be read, and its queue is
    /// where it was; a priority belongs to the message.
    pub(crate) fn again(priority: Option<i32>) -> Self {
        Self { priority, ..Self::default() }
    }

    fn of(message: &Message) -> Self {
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let queue = message.given_queue();
        let mut wishes = Self {
            to_queue: queue.map(|queue| format!("{}:{}", queue.broker(), queue.id())),
            priority: message.priority_value(),
            ..Self::default()
        };
        match message.delay() {
            Some(Delay::Level(level)) => wishes.delay_level = Some(level),
            Some(Delay::After(time)) => wishes.delay_ms = Some(ms(time)),
            Some(Delay::At(time)) => {
                wishes.deliver_at = Some(ms(time.duration_since(UNIX_EPOCH).unwrap_or_default()));
            }
            _ => {}
        }
        wishes
    }
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl<'a> Content<'a> {
    /// Of a message that is to be sent.
    pub(crate) fn of(message: &'a Message) -> Self {
        Self {
            keys: message.key_texts().iter().map(String::as_str).collect(),
            tag: message.tag_text(),
            flag: message.flag_value(),
            properties: Object(message.properties().collect()),
            ordered_by: message.ordering_key(),
            wishes: Wishes::of(message),
            body: Body(message.body()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_come_back_as_they_were() {
        let body = [0xff, 0, b'a'];
        let line = serde_json::to_string(&Body(&body)).unwrap();
        assert_eq!(line, r#"{"body_b64":"/wBh"}"#);
        assert_eq!(Incoming::read(line.as_bytes()).unwrap().body, body[..]);
    }
}
