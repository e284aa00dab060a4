//! A message as one row of a table.

use std::time::SystemTime;

use askama::Template;
use posthaste_broker::StoredMessage;

use crate::pages::{address, moment};

/// Characters of a body in a row.
const PREVIEW: usize = 160;

/// A message as one row of a table.
#[derive(Debug, Clone, Template)]
#[template(path = "row.html")]
pub(super) struct Row {
    pub(super) stored_at: SystemTime,
    pub(super) queue: u16,
    pub(super) offset: u64,
    topic: String,
    topic_address: String,
    address: String,
    stored: String,
    tag: String,
    keys: String,
    size: String,
    preview: String,
    is_text: bool,
}

impl Row {
    pub(super) fn of(message: &StoredMessage) -> Self {
        let preview = preview(&message.body);
        Self {
            stored_at: message.stored_at,
            queue: message.queue,
            offset: message.offset,
            topic: message.topic.clone(),
            topic_address: address::topic(&message.topic),
            address: address::message(&message.topic, message.queue, message.offset),
            stored: moment::utc(message.stored_at),
            tag: message.tag.clone().unwrap_or_default(),
            keys: message.keys.join(" "),
            size: moment::bytes(message.body.len()),
            is_text: preview.is_some(),
            preview: preview.unwrap_or_else(|| "not text".to_owned()),
        }
    }
}

/// The beginning of a body, if it is text.
fn preview(body: &[u8]) -> Option<String> {
    // The rest of a body of 4 MiB need not be looked at.
    let beginning = body.get(..PREVIEW * 4).unwrap_or(body);
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // The cut may lie in the middle of a character.
        Err(error) if beginning.len() < body.len() && error.error_len().is_none() => {
            std::str::from_utf8(beginning.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let mut preview: String = text.chars().take(PREVIEW).collect();
    if preview.len() < body.len() {
        preview.push('…');
    }
    Some(preview)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_the_beginning_of_a_text() {
        for (body, expected) in [
            (b"hello".to_vec(), Some("hello".to_owned())),
            (b"".to_vec(), Some(String::new())),
            ("é".repeat(1_000).into_bytes(), Some(format!("{}…", "é".repeat(PREVIEW)))),
            ("€".repeat(1_000).into_bytes(), Some(format!("{}…", "€".repeat(PREVIEW)))),
            ([b"a".repeat(700), vec![0xff]].concat(), Some(format!("{}…", "a".repeat(PREVIEW)))),
            (vec![0xff, 0xfe], None),
            (vec![b'a', 0xe2, 0x82], None),
        ] {
            assert_eq!(preview(&body), expected, "{body:?}");
        }
    }
}
