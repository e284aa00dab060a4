//! Topics, as tests see them.

use std::time::SystemTime;

use crate::engine::Engine;
use crate::engine::topics::{Topic, is_system};
use crate::kit::message::system_time;

/// How many queues one question looks at.
const QUEUES_AT_ONCE: usize = 10_000;
/// To read the last message of a queue counts like looking at this many queues.
const COST_OF_READING: usize = 200;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicInfo {
    /// Name.
    pub name: String,
    /// Whether the broker needs it itself, as the topics in which messages wait.
    pub is_system: bool,
    /// How many queues consumers read.
    pub read_queues: u16,
    /// How many queues producers send to.
    pub write_queues: u16,
    /// Bits of its permissions: 4 read, 2 write, 1 inherit.
    pub permissions: i32,
    /// Its queues, by number; also earlier queues of this run that it no longer has.
    pub queues: Vec<QueueInfo>,
    /// How many messages are there.
    pub messages: u64,
    /// When it got its last message. `None`: it has got none since the broker started, and none is left
    /// of earlier ones.
    pub last_write: Option<SystemTime>,
}

/// A queue of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueInfo {
    /// Number.
    pub queue: u16,
    /// Offset of the oldest message that is there; [`max_offset`](Self::max_offset) when none is.
    pub min_offset: u64,
    /// Offset that the next message gets.
    pub max_offset: u64,
}

/// The names of all topics, and whether each is the system's.
pub(super) fn names(engine: &Engine) -> Vec<(String, bool)> {
    let name = |topic: &Topic| topic.config.name.clone();
    let is_system = |topic: &Topic| is_system(&topic.config.name, &engine.identity);
    engine.topics.iter().map(|topic| (name(topic), is_system(topic))).collect()
}

/// Some topics, from the first one with at least this number on; and the number to go on with.
pub(super) fn some(engine: &mut Engine, from: u16) -> (Vec<TopicInfo>, Option<u16>) {
    let numbers = engine.topics.iter().map(|topic| topic.config.number);
    let numbers: Vec<_> = numbers.filter(|number| *number >= from).collect();
    let (mut found, mut looked_at) = (Vec::new(), 0);
    for number in numbers {
        if looked_at >= QUEUES_AT_ONCE {
            return (found, Some(number));
        }
        looked_at += find_last_put(engine, number) * COST_OF_READING;
        if let Some(topic) = engine.topics.numbered(number) {
            looked_at += usize::from(topic.known_queues());
            found.push(info(engine, topic));
        }
    }
    (found, None)
}

/// Finds out when a topic that has got nothing in this run got its last message before; says how many
/// queues were read for that. It is remembered.
fn find_last_put(engine: &mut Engine, number: u16) -> usize {
    let Some(topic) = engine.topics.numbered(number).filter(|topic| !topic.is_last_put_known())
    else {
        return 0;
    };
    let (mut last, mut read) = (None, 0);
    for key in (0..topic.known_queues()).map(|queue| topic.key(queue)) {
        let end = engine.topics.ends(key).committed;
        if engine.first_offset(key) >= end {
            continue;
        }
        read += 1;
        // Damage is an error where messages are asked for.
        let blocks = engine.store.blocks_before(key, end, 0).unwrap_or_default();
        let newest = blocks.first().and_then(|block| block.records().last());
        last = last.max(newest.map(|record| record.stored_at_ms()));
    }
    engine.topics.note_last_put(number, last);
    read
}

fn info(engine: &Engine, topic: &Topic) -> TopicInfo {
    let queue = |queue| {
        let key = topic.key(queue);
        let max_offset = engine.topics.ends(key).committed;
        QueueInfo { queue, min_offset: engine.first_offset(key).min(max_offset), max_offset }
    };
    let queues: Vec<_> = (0..topic.known_queues()).map(queue).collect();
    let config = &topic.config;
    TopicInfo {
        name: config.name.clone(),
        is_system: is_system(&config.name, &engine.identity),
        read_queues: config.read_queues,
        write_queues: config.write_queues,
        permissions: config.perm,
        messages: queues.iter().map(|queue| queue.max_offset - queue.min_offset).sum(),
        queues,
        last_write: topic.last_put().map(system_time),
    }
}
