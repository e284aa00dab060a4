//! Messages that a caller sends together, and what is wrong with them as a batch.

use super::Message;
use super::wire_size::entry_bytes;
use crate::message::content::Content;

/// Topics of redelivered messages: brokers refuse batches for them.
pub(crate) const RETRY_TOPICS: &str = "%RETRY%";

/// Messages that are stored together, in one queue and one after another, or not at all.
///
/// [`Producer::send_batch`](crate::Producer::send_batch) takes a batch, an array or a `Vec` of
/// messages. They have the same topic, the same [`wait_stored`](Message::wait_stored) and the same
/// destination; together they are not larger than
/// [`max_message_size`](crate::ProducerBuilder::max_message_size). Messages that go alone (delayed
/// messages, messages with a priority, a lite topic, a light queue …) cannot be in a batch, nor can
/// messages for `%RETRY%` topics. Messages with [`select_queue`](Message::select_queue) can only if
/// they are clones of one message, with its selector. A batch that breaks a rule is refused before
/// anything is sent.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    messages: Vec<Message>,
}

impl Batch {
    /// The messages, in the order in which they are stored.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Gives the messages back.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }

    /// Bytes that the batch has on the wire, beside the request's header.
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(|message| entry_bytes(message, None)).sum()
    }

    /// Splits the batch, in its order, into batches of at most `max_bytes` on the wire each; a
    /// message that is larger than that is alone in its batch. Each part is stored or not,
    /// independently of the others.
    #[must_use]
    pub fn split(self, max_bytes: usize) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        let mut room = 0;
        for message in self.messages {
            let bytes = entry_bytes(&message, None);
            match parts.last_mut() {
                Some(last) if bytes <= room => last.messages.push(message),
                _ => {
                    room = max_bytes;
                    parts.push(Self { messages: vec![message] });
                }
            }
            room = room.saturating_sub(bytes);
        }
        parts
    }
}

impl From<Vec<Message>> for Batch {
    fn from(messages: Vec<Message>) -> Self {
        Self { messages }
    }
}

impl<const N: usize> From<[Message; N]> for Batch {
    fn from(messages: [Message; N]) -> Self {
        Self { messages: messages.into() }
    }
}

impl FromIterator<Message> for Batch {
    fn from_iter<I: IntoIterator<Item = Message>>(messages: I) -> Self {
        Self { messages: messages.into_iter().collect() }
    }
}

/// Says what is wrong with messages as a batch, if anything is.
#[inline]
pub(crate) fn check(content: &Content, max_size: usize) -> Result<(), String> {
    if content.others().is_empty() { Ok(()) } else { check_several(content, max_size) }
}

fn check_several(content: &Content, max_size: usize) -> Result<(), String> {
    let first = &content.first;
    if first.topic().starts_with(RETRY_TOPICS) {
        return Err(format!("topic {} does not take batches", first.topic()));
    }
    for (place, message) in content.others().iter().enumerate() {
        let differs = if message.topic() != first.topic() {
            "topic"
        } else if message.waits_until_stored() != first.waits_until_stored() {
            "wait_stored"
        } else if message.destination() != first.destination() {
            "destination"
        } else {
            continue;
        };
        return Err(format!(
            "message {} of the batch has another {differs} than the first",
            place + 2
        ));
    }
    if let Some(place) = content.messages().position(|message| !message.is_ordinary()) {
        return Err(format!("message {} of the batch must be sent alone", place + 1));
    }
    check_size(content, max_size)
}

/// Says so if a batch is too large.
pub(crate) fn check_size(content: &Content, max_size: usize) -> Result<(), String> {
    let bytes: usize = content.entries().map(|entry| entry_bytes(entry.message, entry.added)).sum();
    if content.count() > 1 && bytes > max_size {
        return Err(format!(
            "the batch has {bytes} bytes, more than the {max_size} allowed; split the batch"
        ));
    }
    Ok(())
}
