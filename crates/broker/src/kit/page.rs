//! A page of messages: which are asked for, and where it ends.
//!
//! Queues are merged by the time at which their messages were stored, up to 32 queues at a time.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::str::FromStr;

use posthaste_protocol::id::OffsetId;
use posthaste_protocol::properties::name;

use crate::engine::Engine;
use crate::kit::clients::senders;
use crate::kit::message::{Found, StoredMessage};
use crate::location::QueueKey;
use crate::store::{Record, StoreError};

/// How many messages a question looks at, at most.
const LOOKED_AT: usize = 10_000;
/// How many messages a page has at most, and by default.
const MOST: usize = 1_000;
const USUAL: usize = 100;
/// No message is added to a page that has this many bytes as they are stored.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// No message is added to a page whose bodies have this many bytes once they are unpacked.
const UNPACKED_BYTES: usize = 16 * 1024 * 1024;
/// How many queues are merged: of each a block is read first.
const MERGED: u16 = 32;

/// Which messages of a topic are asked for.
#[derive(Debug, Clone)]
#[must_use = "it says what to ask for; hand it to `page`"]
pub struct PageOf {
    topic: String,
    queue: Option<u16>,
    from: Position,
    count: usize,
    look_at: usize,
    newest_first: bool,
    key: Option<String>,
    tag: Option<String>,
    unique_id: Option<String>,
}

impl PageOf {
    /// Messages of a topic: from the oldest on, at most 100, without a filter.
    pub fn topic(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            queue: None,
            from: Position::default(),
            count: USUAL,
            look_at: LOOKED_AT,
            newest_first: false,
            key: None,
            tag: None,
            unique_id: None,
        }
    }

    /// Only messages of this queue.
    pub fn queue(mut self, queue: u16) -> Self {
        self.queue = Some(queue);
        self
    }

    /// From where an earlier page has ended, in the same direction and of the same topic.
    pub fn from(mut self, position: Position) -> Self {
        self.from = position;
        self
    }

    /// At most this many, 1 to 1,000; default 100. A number beyond counts as the nearest of these. A page
    /// also ends with the message that brings it to 4 MiB as they are stored, or to 16 MiB of unpacked
    /// bodies.
    pub fn count(mut self, count: usize) -> Self {
        self.count = count.clamp(1, MOST);
        self
    }

    /// Looks at no more than this many messages, 1 to 10,000; default 10,000. What is beyond counts as
    /// the nearest of these.
    pub fn look_at(mut self, messages: usize) -> Self {
        self.look_at = messages.clamp(1, LOOKED_AT);
        self
    }

    /// The newest first. Default: the oldest first.
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// Only messages that have this key among their keys.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Only messages with this tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Only messages with this unique id.
    pub fn unique_id(mut self, id: impl Into<String>) -> Self {
        self.unique_id = Some(id.into());
        self
    }

    fn wants(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, name| {
            wanted.as_deref().is_none_or(|wanted| record.property(name) == Some(wanted))
        };
        let has_key = self.key.as_deref().is_none_or(|key| {
            record.property(name::KEYS).is_some_and(|keys| keys.split(' ').any(|k| k == key))
        });
        has_key && is(&self.tag, name::TAGS) && is(&self.unique_id, name::UNIQ_KEY)
    }
}

/// Where a page has ended: an offset for each queue. Its text can be kept, and read again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position(Vec<Option<u64>>);

/// Some messages of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The messages, in the order of the times at which they were stored; the messages of one queue
    /// in its order. Of a topic with more than 32 queues, the messages of the first 32 come first, and so on.
    pub messages: Vec<StoredMessage>,
    /// Where the next page begins. Once the end is reached, messages that are stored later are found
    /// from here on, unless the newest came first.
    pub next: Position,
    /// Whether everything has been looked at. A page that ends for another reason may have no
    /// message at all.
    pub is_end: bool,
    /// How many messages were looked at.
    pub looked_at: usize,
}

/// A page as the engine hands it out.
#[derive(Debug, Default)]
pub(super) struct FoundPage {
    messages: Vec<Found>,
    newest_first: bool,
    next: Position,
    is_end: bool,
    looked_at: usize,
}

impl FoundPage {
    /// The page with its messages unpacked; the next page begins with the messages that have no room in it.
    pub(super) fn into_page(self) -> Page {
        self.unpacked_to(UNPACKED_BYTES)
    }

    fn unpacked_to(self, most: usize) -> Page {
        let Self { messages: found, newest_first, mut next, mut is_end, looked_at } = self;
        let (mut messages, mut bytes) = (Vec::with_capacity(found.len()), 0);
        let mut found = found.into_iter();
        while bytes < most
            && let Some(one) = found.next()
        {
            let message = one.into_message();
            bytes += message.body.len();
            messages.push(message);
        }
        let mut begun = BTreeSet::new();
        for (queue, offset) in found.map(|left| left.place()) {
            is_end = false;
            if begun.insert(queue) {
                next.set(queue, offset + u64::from(newest_first));
            }
        }
        Page { messages, next, is_end, looked_at }
    }
}

/// The messages that are asked for.
pub(super) fn read(engine: &Engine, of: &PageOf) -> Result<FoundPage, StoreError> {
    let (next, newest_first) = (of.from.clone(), of.newest_first);
    let mut page = FoundPage { next, newest_first, is_end: true, ..FoundPage::default() };
    let Some(topic) = engine.topics.get(&of.topic) else { return Ok(page) };
    let queues = match of.queue {
        Some(queue) => queue..topic.known_queues().min(queue.saturating_add(1)),
        None => 0..topic.known_queues(),
    };
    let mut bytes = 0;
    let mut wanted = Vec::new();
    for first in queues.clone().step_by(usize::from(MERGED)) {
        let last = queues.end.min(first.saturating_add(MERGED));
        let open = |queue| Lane::open(engine, topic.key(queue), of);
        let mut lanes: Vec<_> = (first..last).map(open).collect();
        while let Some(record) = next_of(engine, &mut lanes)? {
            page.looked_at += 1;
            if of.wants(&record) {
                bytes += record.bytes().len();
                wanted.push(record);
            }
            if page.looked_at >= of.look_at || wanted.len() >= of.count || bytes >= PAGE_BYTES {
                page.is_end = false;
                break;
            }
        }
        lanes.iter().for_each(|lane| page.next.set(lane.key.queue, lane.at));
        if !page.is_end {
            break;
        }
    }
    page.messages = found(engine, wanted);
    Ok(page)
}

/// The broker's id of a message.
pub(super) fn offset_id(stored: &posthaste_protocol::StoredMessage) -> String {
    OffsetId { host: stored.store_host, offset: stored.physical_offset }.to_string()
}

/// The message that lies where an offset id says, if it is one of this broker.
pub(super) fn by_offset_id(engine: &Engine, id: &str) -> Result<Option<Found>, StoreError> {
    let Ok(id) = id.parse::<OffsetId>() else { return Ok(None) };
    let Some((queue, offset)) = QueueKey::of_physical(id.offset) else { return Ok(None) };
    let record = engine.record(queue, offset)?.filter(|record| record.offset() == offset);
    let found = found(engine, record.into_iter().collect()).pop();
    // An id tells the port of its time, which may have been another one.
    Ok(found.filter(|found| found.stored.store_host == id.host))
}

fn found(engine: &Engine, records: Vec<Record>) -> Vec<Found> {
    if records.is_empty() {
        return Vec::new();
    }
    let senders = senders(engine);
    let messages = records.iter().filter_map(Record::message);
    let with_sender = messages.map(|stored| {
        let sender = senders.get(&stored.born_host).cloned().unwrap_or_default();
        Found { stored, sender }
    });
    with_sender.collect()
}

/// One queue while it is read.
struct Lane {
    key: QueueKey,
    /// Between what has been handed out and what comes next.
    at: u64,
    /// The oldest that is there, and the end of what consumers see.
    first: u64,
    end: u64,
    newest_first: bool,
    /// What was read, in the order in which it is handed out.
    read: VecDeque<Record>,
}

impl Lane {
    fn open(engine: &Engine, key: QueueKey, of: &PageOf) -> Self {
        let end = engine.topics.ends(key).committed;
        let first = engine.first_offset(key).min(end);
        let start = if of.newest_first { end } else { first };
        let at = of.from.get(key.queue).unwrap_or(start).clamp(first, end);
        Self { key, at, first, end, newest_first: of.newest_first, read: VecDeque::new() }
    }

    /// The time at which its next message was stored; `None` at its end.
    fn time(&mut self, engine: &Engine) -> Result<Option<i64>, StoreError> {
        if self.read.is_empty() {
            self.read_on(engine)?;
        }
        Ok(self.read.front().map(Record::stored_at_ms))
    }

    fn read_on(&mut self, engine: &Engine) -> Result<(), StoreError> {
        if self.newest_first && self.at > self.first {
            let blocks = engine.store.blocks_before(self.key, self.at, 0)?;
            let records = blocks.iter().flat_map(|block| block.records_from(self.first));
            self.read = records.take_while(|record| record.offset() < self.at).collect();
            self.read.make_contiguous().reverse();
        } else if !self.newest_first && self.at < self.end {
            let block = engine.store.block(self.key, self.at)?;
            let records = block.iter().flat_map(|block| block.records_from(self.at));
            self.read = records.take_while(|record| record.offset() < self.end).collect();
        }
        Ok(())
    }

    fn take(&mut self) -> Option<Record> {
        let record = self.read.pop_front()?;
        self.at = record.offset() + u64::from(!self.newest_first);
        Some(record)
    }
}

/// The next message of several queues.
fn next_of(engine: &Engine, lanes: &mut [Lane]) -> Result<Option<Record>, StoreError> {
    let mut next: Option<(i64, &mut Lane)> = None;
    for lane in lanes {
        let Some(time) = lane.time(engine)? else { continue };
        let is_next = next.as_ref().is_none_or(|(known, _)| match lane.newest_first {
            // Of the same time, queues come in their order, or against it.
            true => time >= *known,
            false => time < *known,
        });
        if is_next {
            next = Some((time, lane));
        }
    }
    Ok(next.and_then(|(_, lane)| lane.take()))
}

impl Position {
    fn get(&self, queue: u16) -> Option<u64> {
        self.0.get(usize::from(queue)).copied().flatten()
    }

    fn set(&mut self, queue: u16, offset: u64) {
        let at = usize::from(queue);
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        if let Some(place) = self.0.get_mut(at) {
            *place = Some(offset);
        }
    }
}

/// Positions in single queues: each a queue's number, and an offset. A page from there on begins with
/// this offset; one with the newest first, with the offset before.
impl FromIterator<(u16, u64)> for Position {
    fn from_iter<I: IntoIterator<Item = (u16, u64)>>(offsets: I) -> Self {
        let mut position = Self::default();
        offsets.into_iter().for_each(|(queue, offset)| position.set(queue, offset));
        position
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, offset) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            match offset {
                Some(offset) => write!(f, "{dot}{offset}")?,
                None => write!(f, "{dot}-")?,
            }
        }
        Ok(())
    }
}

/// A text is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no position; take the `next` of an earlier page as it is")]
pub struct PositionError(String);

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let wrong = || PositionError(text.chars().take(64).collect());
        let offset = |part: &str| match part {
            "-" => Ok(None),
            part => part.parse().map(Some).map_err(|_| wrong()),
        };
        let parts: Result<Vec<_>, _> = text.split('.').map(offset).collect();
        match text {
            "" => Ok(Self::default()),
            _ => parts.map(Self).and_then(|position| match position.0.len() {
                0..=MOST_QUEUES => Ok(position),
                _ => Err(wrong()),
            }),
        }
    }
}

/// More than any topic has.
const MOST_QUEUES: usize = crate::location::MAX_QUEUES as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_from_its_text() {
        for text in ["", "0", "3.-.17", "-"] {
            assert_eq!(text.parse::<Position>().expect(text).to_string(), text);
        }
        let position: Position = [(2, 5)].into_iter().collect();
        assert_eq!(position.to_string(), "-.-.5");
        assert_eq!((position.get(2), position.get(1), position.get(9)), (Some(5), None, None));
        let long = vec!["1"; MOST_QUEUES + 1].join(".");
        for text in ["x", "1,2", "1..2", "-1", long.as_str()] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
