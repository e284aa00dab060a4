//! Batches: which messages may share a request, how many of them, and what a refused batch teaches.
//!
//! Plain data and pure decisions. Lanes and outbox form batches by them; linger and batches that a
//! caller makes follow the same rules.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use posthaste_protocol::{Properties, ResponseCode, batch};

use crate::accepted::{Accepted, Mode};
use crate::config::Config;
use crate::content::{Content, property_bytes};
use crate::message::Message;

/// Most messages of a batch.
pub(crate) const MOST_MESSAGES: usize = 1024;
/// Most bytes of a batch, as the broker stores it.
const MOST_BYTES: usize = 1024 * 1024;
/// What a broker stores beside topic, body and properties (Java: `CommitLog.calMsgLength`, IPv4).
const STORED_OVERHEAD: usize = 91;
/// The property that holds the unique id: name, digits, separators.
const UNIQUE_ID_PROPERTY: usize = 8 + 32 + 2;
/// How long a broker that stores messages of a topic only one by one is spared batches.
const SINGLY_FOR: Duration = Duration::from_secs(600);
/// Topics of redelivered messages: brokers refuse batches for them.
const RETRY_TOPICS: &str = "%RETRY%";

/// Messages that are stored together, in one queue and one after another, or not at all.
///
/// [`Producer::send_batch`](crate::Producer::send_batch) takes one, or what becomes one: an array
/// or a `Vec` of messages. They have the same topic, the same
/// [`wait_stored`](Message::wait_stored) and the same destination; together they are not larger
/// than [`max_message_size`](crate::ProducerBuilder::max_message_size). Messages that go alone
/// (delayed ones, those with a priority, a lite topic, a light queue …) cannot be among them, nor
/// can those for `%RETRY%` topics, and those of [`select_queue`](Message::select_queue) only as
/// clones of one message, with its selector. What breaks a rule is refused before anything is sent.
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
    /// message that is larger than that is alone in its batch. Each part is stored or not on its
    /// own.
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
        return Err(format!("topic {} takes no batches", first.topic()));
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
        return Err(format!("message {} of the batch has to go alone", place + 1));
    }
    check_size(content, max_size)
}

/// Says so if a batch is too large.
pub(crate) fn check_size(content: &Content, max_size: usize) -> Result<(), String> {
    let bytes: usize = content.entries().map(|entry| entry_bytes(entry.message, entry.added)).sum();
    if content.count() > 1 && bytes > max_size {
        return Err(format!(
            "the batch has {bytes} bytes, more than the {max_size} allowed; split it"
        ));
    }
    Ok(())
}

/// Bytes of a message in a batch's body.
fn entry_bytes(message: &Message, added: Option<&Properties>) -> usize {
    let properties = property_bytes(message, added) + UNIQUE_ID_PROPERTY;
    batch::entry_length(message.body().len(), properties)
}

/// Whether a message may share a request, and with which others of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sharing {
    /// It goes alone.
    Alone,
    /// With those that have the same wait flag, are compressed alike, and want an answer as well or
    /// as little.
    With { wait_stored: bool, oneway: bool, sys_flag: i32 },
}

/// Decides whether a message may share a request.
///
/// Real brokers give members of a batch none of the care that a single send gets, so only what is
/// known to need none of it may: [`Message::is_ordinary`] is a list of what is allowed.
pub(crate) fn sharing(
    content: &Content,
    mode: Mode,
    stored_bytes: usize,
    most_bytes: usize,
) -> Sharing {
    let message = &content.first;
    let small = stored_bytes <= most_bytes / 2;
    let is_made = !content.others().is_empty();
    if is_made || !small || !message.is_ordinary() || message.topic().starts_with(RETRY_TOPICS) {
        return Sharing::Alone;
    }
    Sharing::With {
        wait_stored: message.waits_until_stored(),
        oneway: mode == Mode::Oneway,
        sys_flag: content.sys_flag(),
    }
}

/// Whether an answer may mean that it is the batch that was refused, and not what is in it: old
/// DLedger brokers answer 13 to every batch, and brokers before 4.0 do not know them.
pub(crate) fn is_refused(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::MESSAGE_ILLEGAL | ResponseCode::REQUEST_CODE_NOT_SUPPORTED)
}

/// Bytes that a broker stores for a message whose topic, body and properties have so many.
pub(crate) fn stored_bytes(bytes: usize) -> usize {
    STORED_OVERHEAD + UNIQUE_ID_PROPERTY + bytes
}

/// Most stored bytes of a batch: never over the broker's own limit, which is at least the largest
/// message's. 0 when batching is off.
pub(crate) fn most_bytes(config: &Config) -> usize {
    if config.batching { MOST_BYTES.min(config.max_message_size) } else { 0 }
}

/// For how long messages wait on purpose for more of their kind, and up to how many bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linger {
    pub(crate) time: Duration,
    pub(crate) max_bytes: usize,
}

/// What is left for further messages in the batch that is being formed.
#[derive(Debug)]
pub(crate) struct Room {
    sharing: Sharing,
    messages: usize,
    bytes: usize,
}

impl Room {
    /// Room beside a first message, in a batch of at most `most` messages.
    pub(crate) fn beside(first: &Accepted, most: usize, most_bytes: usize) -> Self {
        Self {
            sharing: first.sharing,
            messages: most.min(MOST_MESSAGES).min(first.most_together()).saturating_sub(1),
            bytes: most_bytes.saturating_sub(first.stored_bytes()),
        }
    }

    /// So many more there may be at the most.
    pub(crate) fn messages(&self) -> usize {
        if self.sharing == Sharing::Alone { 0 } else { self.messages }
    }

    /// Takes a message in, if it may and fits.
    pub(crate) fn take(&mut self, accepted: &Accepted) -> bool {
        let bytes = accepted.stored_bytes();
        let fits = self.messages() > 0
            && accepted.sharing == self.sharing
            && accepted.most_together() > 1
            && bytes <= self.bytes;
        if fits {
            self.messages -= 1;
            self.bytes -= bytes;
        }
        fits
    }
}

/// The messages of a batch that a broker refused, on their way in smaller ones.
///
/// Only when every one of them was then stored in a request of its own was it the batch that the
/// broker did not like, and not one of the messages.
#[derive(Debug)]
pub(crate) struct Trial {
    left: AtomicUsize,
    spoiled: AtomicBool,
}

impl Trial {
    pub(crate) fn of(messages: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(messages), spoiled: AtomicBool::new(false) })
    }

    /// A member was stored in a request of `together` messages. `true` when it was the last, and
    /// all were stored singly.
    pub(crate) fn stored(&self, together: usize) -> bool {
        if together > 1 {
            self.spoiled.store(true, Ordering::Relaxed);
        }
        let last = self.left.fetch_sub(1, Ordering::Relaxed) == 1;
        last && !self.spoiled.load(Ordering::Relaxed)
    }

    /// A member ended otherwise: nothing can be said of the broker any more.
    pub(crate) fn failed(&self) {
        self.spoiled.store(true, Ordering::Relaxed);
    }
}

/// Topics whose messages a broker stores only one by one.
#[derive(Debug, Default)]
pub(crate) struct Singly(HashMap<Arc<str>, Instant>);

impl Singly {
    /// The broker refuses batches of this topic.
    pub(crate) fn add(&mut self, topic: &Arc<str>, now: Instant) {
        tracing::warn!(%topic, "the broker refuses batches; its messages go singly for ten minutes");
        self.0.insert(topic.clone(), now + SINGLY_FOR);
    }

    /// How many messages of the topic may share a request.
    pub(crate) fn most(&mut self, topic: &str, now: Instant) -> usize {
        match self.0.get(topic) {
            None => MOST_MESSAGES,
            Some(until) if *until > now => 1,
            Some(_) => {
                self.0.remove(topic);
                MOST_MESSAGES
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;

    use super::*;
    use crate::accepted::Terms;
    use crate::accepted::tests::terms;
    use crate::content::Packed;
    use crate::message::Part;

    const HALF: usize = 1024;
    const MOST: usize = 2 * HALF;
    const WITH: Sharing = Sharing::With { wait_stored: true, oneway: false, sys_flag: 0 };

    fn accepted(sharing: Sharing, stored_bytes: u32) -> Accepted {
        let terms = Terms { stored_bytes, ..terms(Instant::now(), sharing) };
        Accepted::new(Message::new("t", "x").into(), terms)
    }

    /// How many messages like this one fit beside it.
    fn fit(room: &mut Room, one: &Accepted) -> usize {
        (0..10_000).take_while(|_| room.take(one)).count()
    }

    #[test]
    fn what_may_share_a_request_and_with_whom() {
        let plain = || Message::new("t", "x");
        let share = |message: &Message, mode, bytes| {
            sharing(&message.clone().into(), mode, stored_bytes(bytes), MOST)
        };
        let with = |wait_stored, oneway| Sharing::With { wait_stored, oneway, sys_flag: 0 };
        let quick = plain().wait_stored(false);
        assert_eq!(share(&plain(), Mode::Sync, 1), with(true, false));
        assert_eq!(share(&plain(), Mode::Async, 1), with(true, false));
        assert_eq!(share(&quick, Mode::Async, 1), with(false, false));
        assert_eq!(share(&plain(), Mode::Oneway, 1), with(true, true));
        assert_eq!(share(&plain().order_by("k"), Mode::Sync, 1), with(true, false));
        let retried = Message::new("%RETRY%group", "x");
        assert_eq!(share(&retried, Mode::Sync, 1), Sharing::Alone);
        // Half of the cap, with all that is stored beside it.
        let beside = stored_bytes(0);
        assert_eq!(share(&plain(), Mode::Sync, HALF - beside), with(true, false));
        assert_eq!(share(&plain(), Mode::Sync, HALF - beside + 1), Sharing::Alone);
        assert_eq!(sharing(&plain().into(), Mode::Sync, 1, 0), Sharing::Alone, "off");
        // What brokers treat in a way of its own.
        let special = [
            plain().delay_level(1),
            plain().deliver_after(Duration::from_secs(1)),
            plain().deliver_at(SystemTime::now()),
            plain().priority(1),
            plain().lite_topic("l"),
            plain().light_queue("q"),
            plain().part_of(Part::Transaction),
        ];
        for message in special {
            assert_eq!(share(&message, Mode::Sync, 1), Sharing::Alone, "{message:?}");
        }
        // Compressed ones among themselves.
        let body = Bytes::from_static(b"x");
        let packed = Packed { body, others: Vec::new(), sys_flag: 0x301 };
        let mut content = Content::from(plain());
        content.pack(packed);
        let with_packed = Sharing::With { wait_stored: true, oneway: false, sys_flag: 0x301 };
        assert_eq!(sharing(&content, Mode::Sync, 1, MOST), with_packed);
    }

    #[test]
    fn room_is_for_so_many_messages_and_bytes() {
        for (most, bytes, expected) in [
            (MOST_MESSAGES, 1, MOST_MESSAGES - 1),
            (MOST_MESSAGES, 100, 19),
            (MOST_MESSAGES, 1024, 1),
            (MOST_MESSAGES, 1025, 0),
            (usize::MAX, 1, MOST_MESSAGES - 1),
            (7, 1, 6),
            (1, 1, 0),
            (0, 1, 0),
        ] {
            let one = accepted(WITH, bytes);
            let mut room = Room::beside(&one, most, MOST);
            assert_eq!(fit(&mut room, &one), expected, "most {most}, {bytes} bytes each");
        }
        // A larger one does not fit any more, a smaller one may.
        let mut room = Room::beside(&accepted(WITH, 1_000), 10, MOST);
        assert!(room.take(&accepted(WITH, 1_000)));
        assert!(!room.take(&accepted(WITH, 100)));
        assert!(room.take(&accepted(WITH, 48)));
    }

    #[test]
    fn room_is_for_messages_of_the_same_kind() {
        let kinds = [
            Sharing::Alone,
            WITH,
            Sharing::With { wait_stored: false, oneway: false, sys_flag: 0 },
            Sharing::With { wait_stored: true, oneway: true, sys_flag: 0 },
            Sharing::With { wait_stored: true, oneway: false, sys_flag: 1 },
        ];
        for first in kinds {
            for second in kinds {
                let mut room = Room::beside(&accepted(first, 1), MOST_MESSAGES, MOST);
                let fits = room.take(&accepted(second, 1));
                assert_eq!(fits, first == second && first != Sharing::Alone);
            }
        }
    }

    #[test]
    fn what_was_in_a_refused_batch_goes_in_smaller_ones() {
        let halved = accepted(WITH, 1);
        halved.go_with(4);
        let fresh = accepted(WITH, 1);
        assert_eq!(fit(&mut Room::beside(&halved, MOST_MESSAGES, MOST), &fresh), 3);
        let singly = accepted(WITH, 1);
        singly.go_with(0);
        assert_eq!(singly.most_together(), 1);
        assert_eq!(fit(&mut Room::beside(&singly, MOST_MESSAGES, MOST), &fresh), 0);
        assert_eq!(fit(&mut Room::beside(&fresh, MOST_MESSAGES, MOST), &singly), 0);
        // Never more again.
        singly.go_with(512);
        assert_eq!(singly.most_together(), 1);
    }

    #[test]
    fn a_trial_convicts_the_broker_when_all_were_stored_singly() {
        let alone = Trial::of(3);
        assert_eq!([1, 1, 1].map(|together| alone.stored(together)), [false, false, true]);
        let in_part = Trial::of(3);
        assert_eq!([1, 2, 1].map(|together| in_part.stored(together)), [false; 3]);
        let one_failed = Trial::of(3);
        one_failed.failed();
        assert_eq!([1, 1, 1].map(|together| one_failed.stored(together)), [false; 3]);
    }

    #[test]
    fn a_broker_is_spared_batches_of_a_topic_for_ten_minutes() {
        let mut singly = Singly::default();
        let now = Instant::now();
        let topic: Arc<str> = "t".into();
        assert_eq!(singly.most("t", now), MOST_MESSAGES);
        singly.add(&topic, now);
        let minutes = |minutes: u64| now + Duration::from_secs(60 * minutes);
        assert_eq!(singly.most("t", minutes(9)), 1);
        assert_eq!(singly.most("u", minutes(9)), MOST_MESSAGES);
        assert_eq!(singly.most("t", minutes(10)), MOST_MESSAGES);
        assert!(singly.0.is_empty(), "it is forgotten");
    }
}
