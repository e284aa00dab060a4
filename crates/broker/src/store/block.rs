//! A block: consecutive messages of one queue, as stored records back to back.
//!
//! Messages of one queue that are committed together share a block. That makes one insert of many
//! messages, and a pull's answer a copy of a few slices.

use bytes::Bytes;
use posthaste_protocol::StoredMessage;
use posthaste_protocol::properties::{self, name};

/// Consecutive messages of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Offset of the first message.
    pub(crate) first: u64,
    /// The records.
    pub(crate) bytes: Bytes,
}

impl Block {
    /// The messages from `offset` on.
    pub(crate) fn records_from(&self, offset: u64) -> impl Iterator<Item = Record> {
        self.records().skip_while(move |record| record.offset() < offset)
    }

    /// All messages. Ends early where the bytes are not a record.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> + use<> {
        let mut rest = self.bytes.clone();
        std::iter::from_fn(move || {
            let size = u32::from_be_bytes(*rest.first_chunk::<4>()?) as usize;
            let whole = (Record::PREFIX..=rest.len()).contains(&size);
            whole.then(|| Record { bytes: rest.split_to(size) })
        })
    }

    /// The first of some blocks: as many as have about `room` bytes, and one if there is any.
    pub(super) fn that_fit(
        mut room: usize,
        blocks: impl Iterator<Item = Self>,
    ) -> impl Iterator<Item = Self> {
        let mut is_first = true;
        blocks.take_while(move |block| {
            let fits = std::mem::take(&mut is_first) || room > 0;
            room = room.saturating_sub(block.bytes.len());
            fits
        })
    }

    /// Offset behind the last message.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.records().count() as u64
    }
}

/// One stored message, read only as far as needed. Its hosts are IPv4, which fixes where everything
/// lies (see [`StoredMessage`]).
#[derive(Debug, Clone)]
pub(crate) struct Record {
    bytes: Bytes,
}

impl Record {
    /// Bytes before the body.
    const PREFIX: usize = 88;

    /// The record as it goes to a consumer.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Place in the queue.
    pub(crate) fn offset(&self) -> u64 {
        u64::from_be_bytes(self.array_at(20))
    }

    /// When it was stored, in ms since 1970.
    pub(crate) fn stored_at_ms(&self) -> i64 {
        i64::from_be_bytes(self.array_at(56))
    }

    /// The tag.
    pub(crate) fn tag(&self) -> Option<&str> {
        self.property(name::TAGS)
    }

    /// The value of a property; of several the last one, as in the map that Java makes of them.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        properties::find(self.properties()?, name)
    }

    /// The message, read in full.
    pub(crate) fn message(&self) -> Option<StoredMessage> {
        StoredMessage::decode(&mut self.bytes.clone()).ok()
    }

    fn properties(&self) -> Option<&str> {
        let body_length = u32::from_be_bytes(self.array_at(84)) as usize;
        let rest = self.bytes.get(Self::PREFIX + body_length..)?;
        let (&topic_length, rest) = rest.split_first()?;
        let text = rest.get(usize::from(topic_length) + 2..)?;
        std::str::from_utf8(text).ok()
    }

    fn array_at<const N: usize>(&self, at: usize) -> [u8; N] {
        let bytes = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        bytes.copied().unwrap_or([0; N])
    }
}
