//! A message as it was read.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use posthaste_protocol::compression::decompress;
use posthaste_protocol::frame;
use posthaste_protocol::id::OffsetId;
use posthaste_protocol::properties::name;
use posthaste_protocol::stored::sys_flag;
use posthaste_protocol::{Properties, StoredMessage};

use crate::MessageQueue;
use crate::message::timestamp::system_time;

/// A stored message (Java: `MessageExt`).
#[derive(Debug, Clone)]
pub struct ReadMessage {
    queue: MessageQueue,
    stored: StoredMessage,
    /// Read when first asked for.
    properties: OnceLock<Properties>,
    /// Decompressed when first asked for; `None` of a body that cannot be.
    unpacked: OnceLock<Option<Bytes>>,
}

/// No body is longer than this, compressed or not: it is the longest frame.
const LONGEST_BODY: usize = frame::MAX_FRAME;

impl ReadMessage {
    pub(crate) fn new(queue: MessageQueue, stored: StoredMessage) -> Self {
        Self { queue, stored, properties: OnceLock::new(), unpacked: OnceLock::new() }
    }

    /// The queue that it lies in.
    pub fn queue(&self) -> &MessageQueue {
        &self.queue
    }

    /// Place in the queue.
    pub fn queue_offset(&self) -> i64 {
        self.stored.queue_offset
    }

    /// The producer's id of the message (property `UNIQ_KEY`); if there is none, the broker's id.
    pub fn message_id(&self) -> String {
        let unique = self.stored.property(name::UNIQ_KEY).map(str::to_owned);
        unique.unwrap_or_else(|| self.offset_message_id())
    }

    /// The broker's id of the message: where it lies in the commit log.
    pub fn offset_message_id(&self) -> String {
        let stored = &self.stored;
        OffsetId { host: stored.store_host, offset: stored.physical_offset }.to_string()
    }

    /// The body as the producer's application gave it. A compressed body (Java compresses above 4
    /// KiB) is decompressed; if that fails, it comes as it is stored, and
    /// [`is_compressed`](Self::is_compressed) says so.
    ///
    /// A body that was not compressed shares the memory of all messages of its pull (256 KiB); copy
    /// it to keep it for long.
    pub fn body(&self) -> &Bytes {
        if self.stored.sys_flag & sys_flag::COMPRESSED == 0 {
            return &self.stored.body;
        }
        self.unpacked().unwrap_or(&self.stored.body)
    }

    /// The body as it is stored.
    pub fn stored_body(&self) -> &Bytes {
        &self.stored.body
    }

    /// Whether [`body`](Self::body) is still compressed: it is damaged, longer than 16 MiB, or of a
    /// kind that this build does not know.
    pub fn is_compressed(&self) -> bool {
        self.stored.sys_flag & sys_flag::COMPRESSED != 0 && self.unpacked().is_none()
    }

    fn unpacked(&self) -> Option<&Bytes> {
        let unpack = || {
            let StoredMessage { sys_flag, body, .. } = &self.stored;
            let body = decompress(*sys_flag, body, LONGEST_BODY);
            body.inspect_err(|error| tracing::warn!(id = self.message_id(), %error)).ok()
        };
        self.unpacked.get_or_init(unpack).as_ref()
    }

    /// The value of a property, of the protocol or of the application.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.stored.property(name)
    }

    /// The tag, if it has one.
    pub fn tag(&self) -> Option<&str> {
        self.stored.property(name::TAGS)
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let keys = self.stored.property(name::KEYS).unwrap_or_default();
        keys.split(' ').filter(|key| !key.is_empty())
    }

    /// The key that it was ordered by, if any.
    pub fn ordering_key(&self) -> Option<&str> {
        self.stored.property(name::SHARDING_KEY)
    }

    /// The priority, if it has one (5.4 and later): 0 or more.
    pub fn priority(&self) -> Option<i32> {
        let priority = self.stored.property(name::PRIORITY)?.parse().ok();
        priority.filter(|priority| *priority >= 0)
    }

    /// The properties of the application, which [`Message::property`](crate::Message::property)
    /// set.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all_properties().filter(|(name, _)| !name::RESERVED.contains(name))
    }

    /// Every property, including the protocol's and the broker's: tag, keys, ids.
    pub fn all_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties.get_or_init(|| self.stored.properties()).iter()
    }

    /// The application's flag.
    pub fn flag(&self) -> i32 {
        self.stored.flag
    }

    /// When the producer made it, by the producer's clock.
    pub fn born_at(&self) -> SystemTime {
        system_time(self.stored.born_at_ms).unwrap_or(UNIX_EPOCH)
    }

    /// When the broker stored it, by the broker's clock.
    pub fn stored_at(&self) -> SystemTime {
        system_time(self.stored.stored_at_ms).unwrap_or(UNIX_EPOCH)
    }

    /// Where the producer was connected from.
    pub fn born_host(&self) -> SocketAddr {
        self.stored.born_host
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use posthaste_protocol::Compression;

    use super::*;

    fn message(sys_flag: i32, body: Bytes) -> ReadMessage {
        let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let stored = StoredMessage {
            topic: "t".into(),
            queue_id: 0,
            queue_offset: 0,
            physical_offset: 0,
            flag: 0,
            sys_flag,
            born_at_ms: 0,
            born_host: host,
            stored_at_ms: 0,
            store_host: host,
            reconsume_times: 0,
            prepared_offset: 0,
            body,
            properties: String::new(),
        };
        ReadMessage::new(MessageQueue::new("t", "b", 0), stored)
    }

    #[test]
    fn a_priority_is_a_number_from_0_on() {
        for (properties, priority) in [
            ("", None),
            ("_SYS_MSG_PRIORITY_\u{1}0\u{2}", Some(0)),
            ("_SYS_MSG_PRIORITY_\u{1}9\u{2}", Some(9)),
            // Java: `Message.getPriority` is -1 where there is none.
            ("_SYS_MSG_PRIORITY_\u{1}-1\u{2}", None),
            ("_SYS_MSG_PRIORITY_\u{1}high\u{2}", None),
        ] {
            let mut read = message(0, Bytes::new());
            read.stored.properties = properties.to_owned();
            assert_eq!(read.priority(), priority, "{properties}");
        }
    }

    #[test]
    fn a_body_comes_as_it_was_sent_or_else_as_it_is_stored() {
        let body = Bytes::from("over and over ".repeat(50));
        let packed = Compression::Zlib.compress(&body, 5).unwrap();
        let flag = Compression::Zlib.sys_flag();
        for (what, read, expected, is_compressed) in [
            ("plain", message(0, body.clone()), body.clone(), false),
            ("packed", message(flag, packed.clone()), body, false),
            ("not said to be", message(0, packed.clone()), packed.clone(), false),
            ("damaged", message(flag, packed.slice(..9)), packed.slice(..9), true),
            ("of an unknown kind", message(1 | 0x700, packed.clone()), packed, true),
        ] {
            assert_eq!(read.is_compressed(), is_compressed, "{what}");
            assert!(*read.body() == expected, "{what}");
        }
    }
}
