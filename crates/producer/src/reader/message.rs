//! A message as it was read.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use posthaste_protocol::id::OffsetId;
use posthaste_protocol::properties::name;
use posthaste_protocol::stored::sys_flag;
use posthaste_protocol::{Properties, StoredMessage};

use crate::MessageQueue;
use crate::admin::system_time;

/// A stored message (Java: `MessageExt`).
#[derive(Debug, Clone)]
pub struct ReadMessage {
    queue: MessageQueue,
    stored: StoredMessage,
    /// Read when first asked for.
    properties: OnceLock<Properties>,
}

impl ReadMessage {
    pub(crate) fn new(queue: MessageQueue, stored: StoredMessage) -> Self {
        Self { queue, stored, properties: OnceLock::new() }
    }

    /// The queue that it lies in.
    pub fn queue(&self) -> &MessageQueue {
        &self.queue
    }

    /// Place in the queue.
    pub fn queue_offset(&self) -> i64 {
        self.stored.queue_offset
    }

    /// The producer's id of the message (property `UNIQ_KEY`); the broker's where there is none.
    pub fn message_id(&self) -> String {
        let unique = self.stored.property(name::UNIQ_KEY).map(str::to_owned);
        unique.unwrap_or_else(|| self.offset_message_id())
    }

    /// The broker's id of the message: where it lies in the commit log.
    pub fn offset_message_id(&self) -> String {
        let stored = &self.stored;
        OffsetId { host: stored.store_host, offset: stored.physical_offset }.to_string()
    }

    /// The body, as it is stored: see [`is_compressed`](Self::is_compressed).
    ///
    /// It shares the memory of all messages of its pull (256 KiB); copy it to keep it for long.
    pub fn body(&self) -> &Bytes {
        &self.stored.body
    }

    /// Whether the producer compressed the body, as Java's does above 4 KiB. It is handed out
    /// compressed.
    pub fn is_compressed(&self) -> bool {
        self.stored.sys_flag & sys_flag::COMPRESSED != 0
    }

    /// The value of a property, one of the protocol's or of the application's own.
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

    /// The properties of the application's own: what [`Message::property`](crate::Message::property)
    /// takes.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all_properties().filter(|(name, _)| !name::RESERVED.contains(name))
    }

    /// Every property, those of the protocol and the broker among them: tag, keys, ids.
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
