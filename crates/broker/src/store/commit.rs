//! A commit: all that one turn of the engine wants kept, as one unit.

use bytes::BytesMut;
use posthaste_protocol::StoredMessage;
use rustc_hash::FxHashMap;

use super::{Block, Fact, pieces, segment};
use crate::location::QueueKey;

/// A block takes no further message once it is this long. The memory store drops whole blocks, and
/// a pull reads whole blocks. On disk one fills its pages.
pub(super) const BLOCK_LENGTH: usize = pieces::WHOLE - segment::CHECKSUM;

/// Messages and facts to be kept, all of them or none.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    blocks: Vec<(QueueKey, u64, BytesMut)>,
    /// The block of each queue that still takes messages.
    open: FxHashMap<QueueKey, usize>,
    changes: Vec<Change>,
    messages: u64,
    length: usize,
}

/// A change of what is kept beside messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// This counts from now on.
    Put(Fact),
    /// The fact with this key counts no more.
    Forget(String),
}

impl Commit {
    /// Appends a message; `message.queue_offset` must follow the queue's last one.
    pub(crate) fn append(&mut self, queue: QueueKey, message: &StoredMessage) {
        let length = message.record_length();
        let open = self.open.get(&queue).and_then(|at| self.blocks.get_mut(*at));
        match open.filter(|(_, _, bytes)| bytes.len() + length <= BLOCK_LENGTH) {
            Some((_, _, bytes)) => message.encode(bytes),
            None => {
                // To grow step by step costs more, and what is not needed goes back soon.
                let mut bytes = BytesMut::with_capacity(BLOCK_LENGTH.max(length));
                message.encode(&mut bytes);
                self.open.insert(queue, self.blocks.len());
                self.blocks.push((queue, message.queue_offset as u64, bytes));
            }
        }
        self.messages += 1;
        self.length += length;
    }

    /// Adds a fact; it replaces an earlier one with the same key.
    pub(crate) fn put(&mut self, fact: Fact) {
        self.changes.push(Change::Put(fact));
    }

    /// Takes the fact with this key away.
    pub(crate) fn forget(&mut self, key: String) {
        self.changes.push(Change::Forget(key));
    }

    /// Whether there is nothing to keep.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.changes.is_empty()
    }

    /// Bytes of all messages.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// How many messages there are.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    /// The queues that get messages.
    pub(crate) fn queues(&self) -> Vec<QueueKey> {
        self.open.keys().copied().collect()
    }

    /// The blocks, each queue's in the order of their offsets, and the changes in theirs.
    pub(crate) fn into_parts(self) -> (impl Iterator<Item = (QueueKey, Block)>, Vec<Change>) {
        let blocks = self
            .blocks
            .into_iter()
            .map(|(queue, first, bytes)| (queue, Block { first, bytes: bytes.freeze() }));
        (blocks, self.changes)
    }
}
