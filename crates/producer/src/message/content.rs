//! What is sent: a message, or the messages of a batch that its caller made; and what was added to their
//! properties on the way.

use bytes::Bytes;
use posthaste_protocol::Properties;

use crate::message::wire_size::property_bytes;
use crate::{Batch, Message};

#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) first: Message,
    /// Apart, since few have any of it: a content is moved about on its way.
    extras: Option<Box<Extras>>,
}

/// What is beside the first message; the messages themselves stay as their caller made them.
#[derive(Debug, Clone, Default)]
struct Extras {
    /// The messages of a batch, without the first.
    others: Vec<Message>,
    /// The bodies, compressed.
    packed: Option<Packed>,
    /// Attempts that interceptors have seen.
    attempts: u32,
    /// What interceptors and the tracing context have added to each message's properties, by position.
    /// May be shorter than the batch: nothing was added to the rest.
    added: Vec<Properties>,
}

/// Compressed bodies, which travel in place of the messages' own: one flag says of all messages of a
/// request how they are compressed.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    /// The first message's.
    pub(crate) body: Bytes,
    /// Of the other messages.
    pub(crate) others: Vec<Bytes>,
    /// What says how they are compressed.
    pub(crate) sys_flag: i32,
}

impl Packed {
    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + self.others.iter().map(Bytes::len).sum::<usize>()
    }
}

/// A message as it travels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WireMessage<'a> {
    pub(crate) message: &'a Message,
    pub(crate) body: &'a Bytes,
    /// What was added to its properties.
    pub(crate) added: Option<&'a Properties>,
}

impl Content {
    /// `None` for an empty batch.
    pub(crate) fn of_batch(batch: Batch) -> Option<Self> {
        let mut messages = batch.into_messages().into_iter();
        let mut content = Self::from(messages.next()?);
        if messages.len() > 0 {
            content.extras().others = messages.collect();
        }
        Some(content)
    }

    pub(crate) fn count(&self) -> usize {
        1 + self.others().len()
    }

    /// The messages of a batch, without the first.
    pub(crate) fn others(&self) -> &[Message] {
        self.extras.as_ref().map_or(&[], |extras| &extras.others)
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        std::iter::once(&self.first).chain(self.others())
    }

    /// The first message's body as it travels.
    pub(crate) fn wire_body(&self) -> &Bytes {
        self.packed().map_or(self.first.body(), |packed| &packed.body)
    }

    fn packed(&self) -> Option<&Packed> {
        self.extras.as_ref()?.packed.as_ref()
    }

    /// Bytes of all bodies, as the application gave them.
    pub(crate) fn body_bytes(&self) -> usize {
        self.messages().map(|message| message.body().len()).sum()
    }

    /// From now on this travels in place of the bodies.
    pub(crate) fn pack(&mut self, packed: Packed) {
        self.extras().packed = Some(packed);
    }

    fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// Bits that say what the message is to brokers and consumers.
    pub(crate) fn sys_flag(&self) -> i32 {
        let packed = self.packed().map_or(0, |packed| packed.sys_flag);
        packed | self.first.sys_flag()
    }

    /// The messages as they travel.
    pub(crate) fn entries(&self) -> impl Iterator<Item = WireMessage<'_>> {
        let packed = |place: usize| self.packed().and_then(|packed| packed.others.get(place));
        let others = self.others().iter().enumerate();
        let others =
            others.map(move |(place, message)| (message, packed(place).unwrap_or(message.body())));
        let all = std::iter::once((&self.first, self.wire_body())).chain(others).enumerate();
        all.map(|(place, (message, body))| WireMessage {
            message,
            body,
            added: self.added_to(place),
        })
    }

    pub(crate) fn into_messages(self) -> Vec<Message> {
        let others = self.extras.map(|extras| extras.others).unwrap_or_default();
        std::iter::once(self.first).chain(others).collect()
    }

    /// What was added to the properties of the message at this place.
    pub(crate) fn added_to(&self, place: usize) -> Option<&Properties> {
        self.extras.as_ref()?.added.get(place)
    }

    /// What was added to each message.
    pub(crate) fn added(&self) -> Vec<Properties> {
        let added = |place| self.added_to(place).cloned().unwrap_or_default();
        (0..self.count()).map(added).collect()
    }

    /// From now on this travels with each message beside its own properties.
    pub(crate) fn add(&mut self, properties: Vec<Properties>) {
        self.extras().added = properties;
    }

    /// Whether anything was added to the properties.
    pub(crate) fn has_added(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| !extras.added.is_empty())
    }

    /// Counts an attempt; gives its number.
    pub(crate) fn begin_attempt(&mut self) -> u32 {
        let extras = self.extras();
        extras.attempts += 1;
        extras.attempts
    }

    /// Bytes of topics, bodies and properties as they travel.
    pub(crate) fn sent_bytes(&self) -> usize {
        self.entries().map(WireMessage::sent_bytes).sum()
    }
}

impl WireMessage<'_> {
    fn sent_bytes(self) -> usize {
        let Self { message, body, added } = self;
        message.topic().len() + body.len() + property_bytes(message, added)
    }
}

impl From<Message> for Content {
    fn from(first: Message) -> Self {
        Self { first, extras: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::wire_size::replaces;

    #[test]
    fn what_is_added_counts_and_takes_the_place_of_what_was_there() {
        let message = Message::new("t", "body").property("a", "1").property("b", "22");
        let plain = Content::from(message.clone());
        let own = plain.sent_bytes();
        let mut content = plain.clone();
        // One takes the place of two characters, one is new: `c`, three digits, two separators.
        content.add(vec![[("b", "4444"), ("c", "333")].into_iter().collect()]);
        assert_eq!(content.sent_bytes(), own + 2 + 6);
        // A compressed body travels in place of the other.
        content.pack(Packed { body: Bytes::from_static(b"x"), others: Vec::new(), sys_flag: 1 });
        assert_eq!(content.sent_bytes(), own + 2 + 6 - 3);
        assert_eq!(content.into_messages().len(), 1);
    }

    #[test]
    fn what_is_added_to_one_of_a_batch_is_not_the_others() {
        let batch = Batch::from([Message::new("t", "a"), Message::new("t", "b")]);
        let mut content = Content::of_batch(batch).unwrap();
        assert_eq!(content.added(), vec![Properties::new(); 2]);
        content.add(vec![Properties::new(), [("x", "1")].into_iter().collect()]);
        let added: Vec<bool> = content.entries().map(|entry| replaces(entry.added, "x")).collect();
        assert_eq!(added, [false, true]);
        assert_eq!([content.begin_attempt(), content.begin_attempt()], [1, 2]);
        assert_eq!(content.added_to(1).unwrap().get("x"), Some("1"), "attempts change nothing");
    }
}
