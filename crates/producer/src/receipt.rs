//! What a broker says of a stored message.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use posthaste_protocol::id::IdText;

use crate::MessageQueue;

/// A message was stored; this is where.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) message_id: IdText,
    /// A part of the answer, which for a batch has those of all its messages.
    pub(crate) offset_message_id: Bytes,
    /// Shared by the messages of a batch.
    pub(crate) queue: Arc<MessageQueue>,
    pub(crate) queue_offset: i64,
    pub(crate) status: SendStatus,
    pub(crate) region: Option<Arc<str>>,
    pub(crate) transaction_id: Option<Arc<str>>,
    pub(crate) recall_handle: Option<Arc<str>>,
}

impl Receipt {
    /// The message's unique id, made by the producer (property `UNIQ_KEY`). Consumers see it as
    /// the message id. All copies that retries may have made carry the same one.
    pub fn message_id(&self) -> &str {
        self.message_id.as_str()
    }

    /// The broker's id of the message: where it lies in the commit log.
    pub fn offset_message_id(&self) -> &str {
        // The answer's header was text.
        std::str::from_utf8(&self.offset_message_id).unwrap_or_default()
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

    /// Transaction id, where the broker gives one (5.x does for every message that it gets alone).
    pub fn transaction_id(&self) -> Option<&str> {
        self.transaction_id.as_deref()
    }

    /// Handle by which a message with a delivery time can be taken back, where the broker gives one
    /// (5.x).
    pub fn recall_handle(&self) -> Option<&str> {
        self.recall_handle.as_deref()
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("message_id", &self.message_id())
            .field("offset_message_id", &self.offset_message_id())
            .field("queue", &self.queue)
            .field("queue_offset", &self.queue_offset)
            .field("status", &self.status)
            .field("region", &self.region)
            .field("transaction_id", &self.transaction_id)
            .field("recall_handle", &self.recall_handle)
            .finish()
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
