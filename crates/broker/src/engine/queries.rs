//! Queries: messages of a topic looked for by key, by unique id or by tag.
//!
//! There is no index. It would cost every message that is stored, and memory for as long as it is
//! kept; a query is seldom asked, and then by a person. So its topic is read through, from the
//! newest message to the oldest, a piece in each turn: others are served in between, and a topic of
//! many megabytes takes many turns.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Range, RangeInclusive};

use bytes::{Bytes, BytesMut};
use posthaste_protocol::properties::name;
use posthaste_protocol::request::IndexType;

use super::effects::Caller;
use super::topics::Topics;
use super::{Millis, SessionId};
use crate::location::QueueKey;
use crate::store::{Block, Record, Store, StoreError};

/// How many queries may be under way.
const MAX_QUERIES: usize = 64;
/// How many bytes of messages a turn reads for all queries together: a few milliseconds of work.
pub(crate) const READ_AT_ONCE: usize = 1024 * 1024;
/// What it takes to come to a block, in bytes read.
const BLOCK_COST: usize = 1_024;
/// The most bytes of messages in an answer; one message always fits.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What is looked for.
#[derive(Debug)]
pub(crate) struct Sought {
    /// Number of the topic.
    pub(crate) topic: u16,
    /// What the key is.
    pub(crate) kind: IndexType,
    /// The key.
    pub(crate) key: String,
    /// When the messages were stored.
    pub(crate) stored_at: RangeInclusive<Millis>,
    /// The most that are wanted; the newest.
    pub(crate) most: usize,
}

/// A query that is under way.
#[derive(Debug)]
pub(crate) struct Query {
    /// Who asks.
    pub(crate) caller: Caller,
    sought: Sought,
    /// The queue that is being read, and from where on it has been.
    place: Option<(u16, u64)>,
    /// What was found, oldest first.
    found: BTreeMap<(Millis, u64), Bytes>,
    bytes: usize,
    /// Nothing that is older is wanted: there are enough newer ones.
    floor: Millis,
}

/// All queries that are under way.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    waiting: VecDeque<Query>,
}

impl Queries {
    /// Whether no further query may be under way.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_QUERIES
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A query begins.
    pub(crate) fn push(&mut self, query: Query) {
        self.waiting.push_back(query);
    }

    /// The query that is answered next.
    pub(crate) fn take(&mut self) -> Option<Query> {
        self.waiting.pop_front()
    }

    /// A query goes on in the next turn.
    pub(crate) fn put_back(&mut self, query: Query) {
        self.waiting.push_front(query);
    }

    /// Takes out the queries that look through a topic.
    pub(crate) fn of_topic(&mut self, number: u16) -> Vec<Query> {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (taken, kept): (Vec<_>, Vec<_>) = waiting.partition(|q| q.sought.topic == number);
        self.waiting = kept.into();
        taken
    }

    /// A session is gone.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.waiting.retain(|query| query.caller.session != session);
    }
}

impl Query {
    pub(crate) fn new(caller: Caller, sought: Sought) -> Self {
        let floor = *sought.stored_at.start();
        Self { caller, sought, place: None, found: BTreeMap::new(), bytes: 0, floor }
    }

    /// Reads on, until everything is read or `room` bytes are; says whether it is at its end.
    pub(crate) fn read_on(
        &mut self,
        topics: &Topics,
        store: &dyn Store,
        room: &mut usize,
    ) -> Result<bool, StoreError> {
        let queues = topics.numbered(self.sought.topic).map_or(0, |topic| topic.known_queues());
        loop {
            let (queue, before) = self.place.unwrap_or((0, u64::MAX));
            if queue >= queues {
                return Ok(true);
            }
            if *room == 0 {
                return Ok(false);
            }
            let key = QueueKey { topic: self.sought.topic, queue };
            // What is not committed is not there.
            let before = before.min(topics.ends(key).committed);
            *room = room.saturating_sub(BLOCK_COST);
            let blocks = store.blocks_before(key, before, *room)?;
            let base = topics.base(key);
            let next = self.read_blocks(key, base..before, &blocks, room);
            self.place = Some(next.map_or((queue + 1, u64::MAX), |before| (queue, before)));
        }
    }

    /// Reads blocks, newest first; gives back before which offset to go on in the queue.
    fn read_blocks(
        &mut self,
        key: QueueKey,
        range: Range<u64>,
        blocks: &[Block],
        room: &mut usize,
    ) -> Option<u64> {
        let mut next = None;
        for block in blocks {
            *room = room.saturating_sub(block.bytes.len() + BLOCK_COST);
            let mut oldest = None;
            let wanted = block.records_from(range.start);
            for record in wanted.take_while(|record| record.offset() < range.end) {
                oldest.get_or_insert(record.stored_at_ms());
                if self.wants(&record) {
                    self.keep(key, &record);
                }
            }
            // A queue's store times never go back.
            if oldest.is_some_and(|oldest| oldest < self.floor) {
                return None;
            }
            next = Some(block.first);
        }
        next.filter(|before| *before > range.start)
    }

    fn wants(&self, record: &Record) -> bool {
        let stored_at = record.stored_at_ms();
        if stored_at < self.floor || !self.sought.stored_at.contains(&stored_at) {
            return false;
        }
        let key = self.sought.key.as_str();
        match self.sought.kind {
            IndexType::UniqueId => record.property(name::UNIQ_KEY) == Some(key),
            IndexType::Tag => record.property(name::TAGS) == Some(key),
            IndexType::Key => {
                record.property(name::KEYS).is_some_and(|keys| keys.split(' ').any(|k| k == key))
            }
        }
    }

    fn keep(&mut self, queue: QueueKey, record: &Record) {
        self.bytes += record.bytes().len();
        let place = (record.stored_at_ms(), queue.physical(record.offset()));
        // On its own, since the rest of its block may be long.
        self.found.insert(place, Bytes::copy_from_slice(record.bytes()));
        while self.found.len() > self.sought.most || self.found.len() > 1 && self.bytes > MAX_BYTES
        {
            if let Some(((stored_at, _), dropped)) = self.found.pop_first() {
                self.bytes -= dropped.len();
                self.floor = self.floor.max(stored_at);
            }
        }
    }

    /// What was found, back to back, oldest first; and when and where the newest was stored.
    pub(crate) fn into_found(self) -> Option<(Bytes, Millis, u64)> {
        let (newest, at) = *self.found.last_key_value()?.0;
        let mut messages = BytesMut::with_capacity(self.bytes);
        for record in self.found.values() {
            messages.extend_from_slice(record);
        }
        Some((messages.freeze(), newest, at))
    }
}
