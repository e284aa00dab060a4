//! What a broker says of a stored message.

use std::fmt;
use std::sync::Arc;

use posthaste_protocol::ResponseCode;
use posthaste_protocol::answer::Stored;
use posthaste_protocol::id::IdText;

use crate::MessageQueue;

/// A message was stored; this is where.
#[derive(Clone)]
pub struct Receipt {
    message_id: IdText,
    queue_offset: i64,
    offset_message_id: Place,
    answer: Arc<AnswerText>,
}

/// What an answer says of all messages of its request, and the broker's ids of each.
struct AnswerText {
    queue: MessageQueue,
    status: SendStatus,
    /// All texts, one after another.
    text: Box<str>,
    region: Place,
    transaction_id: Place,
    recall_handle: Place,
}

/// A part of the answer's text; an empty one is not there.
#[derive(Debug, Clone, Copy)]
struct Place {
    from: u32,
    to: u32,
}

impl Receipt {
    /// The message's unique id, made by the producer (property `UNIQ_KEY`). Consumers see it as the
    /// message id. All copies that retries may have made carry the same id.
    pub fn message_id(&self) -> &str {
        self.message_id.as_str()
    }

    /// The broker's id of the message: where it lies in the commit log.
    pub fn offset_message_id(&self) -> &str {
        self.answer.part(self.offset_message_id).unwrap_or_default()
    }

    /// The queue that the message was stored in.
    pub fn queue(&self) -> &MessageQueue {
        &self.answer.queue
    }

    /// Place in the queue.
    pub fn queue_offset(&self) -> i64 {
        self.queue_offset
    }

    /// How firmly the message is stored.
    pub fn status(&self) -> SendStatus {
        self.answer.status
    }

    /// Region of the broker, where it has one.
    pub fn region(&self) -> Option<&str> {
        self.answer.part(self.answer.region)
    }

    /// Transaction id, where the broker gives one (5.x does for every message that it gets alone).
    pub fn transaction_id(&self) -> Option<&str> {
        self.answer.part(self.answer.transaction_id)
    }

    /// Handle by which a message with a delivery time can be recalled, if the broker gives one
    /// (5.x).
    pub fn recall_handle(&self) -> Option<&str> {
        self.answer.part(self.answer.recall_handle)
    }
}

impl AnswerText {
    fn part(&self, Place { from, to }: Place) -> Option<&str> {
        self.text.get(from as usize..to as usize).filter(|text| !text.is_empty())
    }
}

/// Receipts of a request's messages, given their unique ids, in their order. A batch that is stored
/// as one (batch queues of 5.x) has one offset message id for all.
pub(crate) fn receipts(
    stored: &Stored<'_>,
    queue: MessageQueue,
    ids: impl Iterator<Item = IdText>,
    together: usize,
) -> impl Iterator<Item = Receipt> {
    let offset_ids = stored.offset_message_ids;
    let one_id = together > 1 && !offset_ids.contains(',');
    let answer = Arc::new(answer_text(stored, queue, together));
    let (mut commas, mut next) = (memchr::memchr_iter(b',', offset_ids.as_bytes()), 0);
    let end = answer.region.from;
    let answers = std::iter::repeat_n(answer, together);
    ids.zip(stored.queue_offset..).zip(answers).map(move |((message_id, queue_offset), answer)| {
        let offset_message_id =
            Place { from: next, to: commas.next().map_or(end, |comma| comma as u32) };
        if !one_id {
            next = (offset_message_id.to + 1).min(end);
        }
        Receipt { message_id, queue_offset, offset_message_id, answer }
    })
}

fn answer_text(stored: &Stored<'_>, queue: MessageQueue, together: usize) -> AnswerText {
    let transaction_id = stored.transaction_id.filter(|_| together == 1).unwrap_or_default();
    let (region, handle) =
        (stored.region.unwrap_or_default(), stored.recall_handle.unwrap_or_default());
    let text = [stored.offset_message_ids, region, transaction_id, handle].concat();
    let mut end = stored.offset_message_ids.len() as u32;
    let mut part = |text: &str| {
        let from = end;
        end += text.len() as u32;
        Place { from, to: end }
    };
    AnswerText {
        queue,
        status: SendStatus::of(stored.code),
        region: part(region),
        transaction_id: part(transaction_id),
        recall_handle: part(handle),
        text: text.into(),
    }
}

impl PartialEq for Receipt {
    fn eq(&self, other: &Self) -> bool {
        self.message_id == other.message_id
            && self.offset_message_id() == other.offset_message_id()
            && self.queue() == other.queue()
            && self.queue_offset == other.queue_offset
            && self.status() == other.status()
            && self.region() == other.region()
            && self.transaction_id() == other.transaction_id()
            && self.recall_handle() == other.recall_handle()
    }
}

impl Eq for Receipt {}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("message_id", &self.message_id())
            .field("offset_message_id", &self.offset_message_id())
            .field("queue", &self.queue())
            .field("queue_offset", &self.queue_offset)
            .field("status", &self.status())
            .field("region", &self.region())
            .field("transaction_id", &self.transaction_id())
            .field("recall_handle", &self.recall_handle())
            .finish()
    }
}

/// How firmly a message is stored (Java: `SendStatus`). With each status, it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendStatus {
    /// As firmly as the broker is configured to.
    Stored,
    /// In the broker's memory; its disk did not confirm in time.
    FlushDiskTimeout,
    /// On the master; its slave did not confirm in time.
    FlushSlaveTimeout,
    /// On the master; there is no slave.
    SlaveNotAvailable,
}

impl SendStatus {
    /// One word: `stored`, `flush_disk_timeout`, `flush_slave_timeout` or `slave_not_available`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::FlushDiskTimeout => "flush_disk_timeout",
            Self::FlushSlaveTimeout => "flush_slave_timeout",
            Self::SlaveNotAvailable => "slave_not_available",
        }
    }

    fn of(code: ResponseCode) -> Self {
        match code {
            ResponseCode::FLUSH_DISK_TIMEOUT => Self::FlushDiskTimeout,
            ResponseCode::FLUSH_SLAVE_TIMEOUT => Self::FlushSlaveTimeout,
            ResponseCode::SLAVE_NOT_AVAILABLE => Self::SlaveNotAvailable,
            _ => Self::Stored,
        }
    }
}

impl fmt::Display for SendStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored => "stored",
            Self::FlushDiskTimeout => "stored, not yet flushed to disk",
            Self::FlushSlaveTimeout => "stored, not yet confirmed by the slave",
            Self::SlaveNotAvailable => "stored on the master, no slave available",
        })
    }
}
