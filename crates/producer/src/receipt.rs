//! What a broker says of a stored message.

use std::fmt;

use crate::MessageQueue;

/// A message was stored; this is where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) message_id: String,
    pub(crate) offset_message_id: String,
    pub(crate) queue: MessageQueue,
    pub(crate) queue_offset: i64,
    pub(crate) status: SendStatus,
    pub(crate) region: Option<String>,
    pub(crate) transaction_id: Option<String>,
}

impl Receipt {
    /// The message's unique id, made by the producer (property `UNIQ_KEY`). Consumers see it as
    /// the message id. All copies that retries may have made carry the same one.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// The broker's id of the message: where it lies in the commit log.
    pub fn offset_message_id(&self) -> &str {
        &self.offset_message_id
    }

    /// The queue that the message was stored in.
    pub fn queue(&self) -> &MessageQueue {
        &self.queue
    }

    /// Place in the queue.
    pub fn queue_offset(&self) -> i64 {
        self.queue_offset
    }

    /// How firmly the message is stored.
    pub fn status(&self) -> SendStatus {
        self.status
    }

    /// Region of the broker, where it has one.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Transaction id, where the broker gives one (5.x does for every message).
    pub fn transaction_id(&self) -> Option<&str> {
        self.transaction_id.as_deref()
    }
}

/// How firmly a message is stored (Java: `SendStatus`). It is stored with each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendStatus {
    /// As firmly as the broker is set up to.
    Stored,
    /// In the broker's memory; its disk did not confirm in time.
    FlushDiskTimeout,
    /// On the master; its slave did not confirm in time.
    FlushSlaveTimeout,
    /// On the master; there is no slave.
    SlaveNotAvailable,
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
