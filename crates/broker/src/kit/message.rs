//! A stored message, as tests see it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use posthaste_protocol::compression::decompress;
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::id::OffsetId;
use posthaste_protocol::properties::name;
use posthaste_protocol::stored::sys_flag;

use crate::engine::Millis;
use crate::engine::schedule::delay_ms;
use crate::engine::topics::{HALF_TOPIC, SCHEDULE_TOPIC, TIMER_TOPIC};
use crate::engine::wishes::{Course, Wishes};

/// A message that the broker has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredMessage {
    /// Topic.
    pub topic: String,
    /// Queue of the topic.
    pub queue: u16,
    /// Place in the queue.
    pub offset: u64,
    /// The body as the application gave it: a compressed one is unpacked.
    pub body: Bytes,
    /// Whether the body is still compressed: it is damaged, longer than 16 MiB, or of a kind that this
    /// build does not know (LZ4 and Zstandard are features of `posthaste-protocol`).
    pub is_compressed: bool,
    /// The keys.
    pub keys: Vec<String>,
    /// The tag.
    pub tag: Option<String>,
    /// The key that it was ordered by.
    pub ordering_key: Option<String>,
    /// The properties that the application has set.
    pub properties: BTreeMap<String, String>,
    /// The properties of the protocol and of the broker: keys, tag and ids among them.
    pub system_properties: BTreeMap<String, String>,
    /// The producer's id of the message; the broker's if the producer gave none.
    pub unique_id: String,
    /// The broker's id of the message: where it lies.
    pub offset_id: String,
    /// The producer group that sent it. Only messages of transactions have it in them; of others it is
    /// known as long as the client is connected, unless the client is a member of several groups.
    pub group: Option<String>,
    /// The client that sent it, by its own id; known as long as it is connected.
    pub client: Option<String>,
    /// When the producer made it, by the producer's clock.
    pub born_at: SystemTime,
    /// Where the producer was connected from.
    pub born_host: SocketAddr,
    /// When the broker stored it; of a delayed one, when it was delivered.
    pub stored_at: SystemTime,
    /// The application's flag.
    pub flag: i32,
    /// How often a consumer has given it back.
    pub redelivered: i32,
    /// Where it goes, if it lies in a topic in which messages wait.
    pub waits_for: Option<WaitsFor>,
}

/// Where a message goes that waits for its time or for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitsFor {
    /// The topic that it was sent to.
    pub topic: String,
    /// The queue that it was sent to.
    pub queue: u16,
    /// When it is delivered; `None` of a half message, which waits for a decision.
    pub at: Option<SystemTime>,
}

/// Who has sent a message, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Sender {
    pub(super) group: Option<String>,
    pub(super) client: Option<String>,
}

/// A message as the engine hands it out, not unpacked yet.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) stored: posthaste_protocol::StoredMessage,
    pub(super) sender: Sender,
}

impl StoredMessage {
    /// The body as text, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }
}

impl Found {
    /// Its queue, and its place there.
    pub(super) fn place(&self) -> (u16, u64) {
        let queue = u16::try_from(self.stored.queue_id).unwrap_or_default();
        (queue, self.stored.queue_offset.cast_unsigned())
    }

    /// The message, unpacked. The task that asks does that: the engine has clients to serve.
    pub(super) fn into_message(self) -> StoredMessage {
        let (queue, offset) = self.place();
        let Self { stored, sender } = self;
        let all = stored.properties();
        let text = |name| all.get(name).map(str::to_owned);
        let offset_id = OffsetId { host: stored.store_host, offset: stored.physical_offset };
        let offset_id = offset_id.to_string();
        let pairs = all.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (system_properties, properties) =
            pairs.partition(|(name, _)| name::RESERVED.contains(&name.as_str()));
        let unpacked = decompress(stored.sys_flag, &stored.body, MAX_FRAME);
        let is_compressed = unpacked.is_err();
        debug_assert!(!is_compressed || stored.sys_flag & sys_flag::COMPRESSED != 0);
        let keys = all.get(name::KEYS).unwrap_or_default().split(' ');
        StoredMessage {
            waits_for: waits_for(&stored, all.get(name::REAL_TOPIC), all.get(name::REAL_QID)),
            body: unpacked.unwrap_or_else(|_| stored.body.clone()),
            is_compressed,
            keys: keys.filter(|key| !key.is_empty()).map(str::to_owned).collect(),
            tag: text(name::TAGS),
            ordering_key: text(name::SHARDING_KEY),
            unique_id: text(name::UNIQ_KEY).unwrap_or_else(|| offset_id.clone()),
            offset_id,
            group: text(name::PGROUP).or(sender.group),
            client: sender.client,
            properties,
            system_properties,
            queue,
            offset,
            born_at: system_time(stored.born_at_ms),
            born_host: stored.born_host,
            stored_at: system_time(stored.stored_at_ms),
            flag: stored.flag,
            redelivered: stored.reconsume_times,
            topic: stored.topic,
        }
    }
}

fn waits_for(
    stored: &posthaste_protocol::StoredMessage,
    topic: Option<&str>,
    queue: Option<&str>,
) -> Option<WaitsFor> {
    let at = match stored.topic.as_str() {
        HALF_TOPIC => None,
        SCHEDULE_TOPIC | TIMER_TOPIC => {
            let at = match Wishes::of(&stored.properties).course(stored.stored_at_ms) {
                Ok(Course::At(due)) => due,
                Ok(Course::Level(level)) => stored.stored_at_ms + delay_ms(level),
                Ok(Course::AtOnce) | Err(_) => stored.stored_at_ms,
            };
            Some(system_time(at))
        }
        _ => return None,
    };
    let queue = queue.and_then(|queue| queue.parse().ok()).unwrap_or_default();
    Some(WaitsFor { topic: topic?.to_owned(), queue, at })
}

/// A time of the wire; one before 1970 counts as 1970.
pub(super) fn system_time(ms: Millis) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}
