//! The topics: their configuration and how far their queues have come.

use std::collections::{BTreeMap, VecDeque};

use posthaste_protocol::request::{DEFAULT_TOPIC, permission};
use rustc_hash::FxHashMap;

use super::meter::Meter;
use super::{Identity, Millis};
use crate::location::{MAX_QUEUES, MAX_TOPIC_NUMBER, QueueKey};
use crate::store::{Attributes, TopicConfig};

/// How many topics there may be, the system's among them.
pub(crate) const MAX_TOPICS: usize = 1_000;
/// The longest name of a topic.
pub(crate) const MAX_TOPIC_LENGTH: usize = 127;
/// Where delayed messages wait; one queue per level.
pub(crate) const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// How many levels of delay there are.
pub(crate) const LEVELS: usize = 18;
/// Where messages with a time of delivery wait.
pub(crate) const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// Where half messages wait until they are decided.
pub(crate) const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Where half messages end that no producer has decided.
pub(crate) const UNDECIDED_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Before the group's name: where messages that a consumer gave back come again.
pub(crate) const RETRY_PREFIX: &str = "%RETRY%";
/// Before the group's name: where messages end that were given back too often.
pub(crate) const DLQ_PREFIX: &str = "%DLQ%";

/// The permissions of an ordinary topic.
pub(crate) const READ_WRITE: i32 = permission::READ | permission::WRITE;
/// The permissions of a topic that others take over.
pub(crate) const ALL: i32 = READ_WRITE | permission::INHERIT;

/// Topics that clients may not send to.
const CLOSED: &[&str] = &[
    SCHEDULE_TOPIC,
    TIMER_TOPIC,
    HALF_TOPIC,
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    UNDECIDED_TOPIC,
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];

/// A topic and its queues.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Configuration.
    pub(crate) config: TopicConfig,
    /// At least as many as can be read or written: fewer than before does not delete messages.
    queues: Vec<QueueEnds>,
    /// The messages that it gets.
    put: Meter,
    /// When it has got its last message, if it has got any. `None`: it has got none in this run, and the
    /// store was not asked about earlier ones.
    last_put: Option<Option<Millis>>,
}

/// Where a queue ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QueueEnds {
    /// Offset that the next message gets.
    pub(crate) next: u64,
    /// Consumers see the messages before this offset, which are kept for sure.
    pub(crate) committed: u64,
}

impl Topic {
    /// A queue of the topic.
    pub(crate) fn key(&self, queue: u16) -> QueueKey {
        QueueKey { topic: self.config.number, queue }
    }

    /// How many queues can be read or written.
    pub(crate) fn queue_count(&self) -> u16 {
        self.config.read_queues.max(self.config.write_queues)
    }

    /// How many queues are kept: the present ones, and earlier ones of this run.
    pub(crate) fn known_queues(&self) -> u16 {
        self.queues.len() as u16
    }

    /// When it has got its last message, as far as that is known.
    pub(crate) fn last_put(&self) -> Option<Millis> {
        self.last_put.flatten()
    }

    /// Whether it is known when it has got its last message: in this run, or by a look at the store.
    pub(crate) fn is_last_put_known(&self) -> bool {
        self.last_put.is_some()
    }

    fn has(&self, bit: i32) -> bool {
        self.config.perm & bit != 0
    }

    /// Whether new topics may take over this one's configuration.
    pub(crate) fn is_inherited(&self) -> bool {
        self.has(permission::INHERIT)
    }

    /// Whether consumers may read it.
    pub(crate) fn is_readable(&self) -> bool {
        self.has(permission::READ)
    }

    /// Whether consumers may give messages back to it.
    pub(crate) fn is_writable(&self) -> bool {
        self.has(permission::WRITE)
    }
}

/// All topics.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    /// Topic number n is at n − 1; nothing where it was deleted.
    list: Vec<Option<Topic>>,
    /// The numbers of deleted topics, in the order of their deletion, with the ends of the queues that
    /// had messages in this run.
    deleted: VecDeque<(u16, BTreeMap<u16, u64>)>,
    by_name: FxHashMap<String, u16>,
    /// How often any of them has changed.
    changes: i64,
}

impl Topics {
    /// The topic of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.numbered(*self.by_name.get(name)?)
    }

    /// The topic with this number.
    pub(crate) fn numbered(&self, number: u16) -> Option<&Topic> {
        self.list.get(usize::from(number).checked_sub(1)?)?.as_ref()
    }

    fn numbered_mut(&mut self, number: u16) -> Option<&mut Topic> {
        self.list.get_mut(usize::from(number).checked_sub(1)?)?.as_mut()
    }

    /// All topics, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.list.iter().flatten()
    }

    /// How many topics there are.
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The number of the topic of this name, or the number that it would get. `None` when there are
    /// too many topics.
    ///
    /// A number that no topic ever had goes before that of a deleted one: ids of messages have the
    /// number in them, and the longer an id means nothing else the better.
    pub(crate) fn number_of(&self, name: &str) -> Option<u16> {
        if let Some(number) = self.by_name.get(name) {
            return Some(*number);
        }
        if self.len() >= MAX_TOPICS {
            return None;
        }
        let unused = u16::try_from(self.list.len() + 1).ok();
        let unused = unused.filter(|number| *number < MAX_TOPIC_NUMBER);
        unused.or_else(|| self.deleted.front().map(|(number, _)| *number))
    }

    /// The ends of the queues that had messages in this run, of the deleted topic of this number;
    /// `None` when there was no such topic.
    pub(crate) fn deleted_ends(&self, number: u16) -> Option<&BTreeMap<u16, u64>> {
        let known = self.deleted.iter().find(|(deleted, _)| *deleted == number);
        known.map(|(_, ends)| ends)
    }

    /// Deletes a topic; gives back its number.
    pub(crate) fn delete(&mut self, name: &str) -> Option<u16> {
        let number = self.by_name.remove(name)?;
        let place = self.list.get_mut(usize::from(number).checked_sub(1)?)?;
        let topic = place.take()?;
        let ends = (0..).zip(topic.queues).map(|(queue, ends)| (queue, ends.next));
        self.deleted.push_back((number, ends.filter(|(_, end)| *end > 0).collect()));
        self.changes += 1;
        Some(number)
    }

    /// Takes over that a number has no topic any more. `None` when its place is not the next one.
    pub(crate) fn restore_deleted(&mut self, number: u16) -> Option<()> {
        if usize::from(number) != self.list.len() + 1 {
            return None;
        }
        self.list.push(None);
        self.deleted.push_back((number, BTreeMap::new()));
        Some(())
    }

    /// Where a queue begins: behind messages that were cleared, and those of a deleted topic of the
    /// same number.
    pub(crate) fn base(&self, queue: QueueKey) -> u64 {
        let topic = self.numbered(queue.topic);
        topic.and_then(|topic| topic.config.bases.get(&queue.queue)).copied().unwrap_or(0)
    }

    /// Has every queue begin where it ends; gives back the topics that this changes.
    pub(super) fn begin_at_ends(&mut self) -> Vec<TopicConfig> {
        let mut changed = Vec::new();
        for topic in self.list.iter_mut().flatten() {
            let ends = (0..).zip(&topic.queues).map(|(queue, ends)| (queue, ends.next));
            let bases: BTreeMap<u16, u64> = ends.filter(|(_, next)| *next > 0).collect();
            if bases.iter().any(|base| topic.config.bases.get(base.0) != Some(base.1)) {
                topic.config.bases.extend(bases);
                changed.push(topic.config.clone());
            }
        }
        changed
    }

    /// Creates a topic, or changes the topic of this name, whose attributes stay. `None` when there
    /// are too many topics.
    ///
    /// `bases` are used only when the topic is created.
    pub(crate) fn set(
        &mut self,
        name: &str,
        (read, write): (u16, u16),
        perm: i32,
        bases: BTreeMap<u16, u64>,
    ) -> Option<&Topic> {
        let (attributes, order, bases) = match self.get(name).map(|topic| &topic.config) {
            Some(known) => (known.attributes.clone(), known.order, known.bases.clone()),
            None => (Attributes::default(), false, bases),
        };
        let number = self.number_of(name)?;
        self.restore(TopicConfig {
            number,
            name: name.to_owned(),
            read_queues: read.min(MAX_QUEUES),
            write_queues: write.min(MAX_QUEUES),
            perm,
            attributes,
            order,
            bases,
        })
    }

    /// Gives a topic other attributes, and says whether it is an ordered one.
    pub(crate) fn set_attributes(
        &mut self,
        name: &str,
        attributes: Attributes,
        order: bool,
    ) -> Option<&Topic> {
        let topic = self.numbered_mut(*self.by_name.get(name)?)?;
        topic.config.attributes = attributes;
        topic.config.order = order;
        Some(topic)
    }

    /// Puts a topic in its place. `None` when that is neither its own, nor the next one, nor a deleted
    /// topic's.
    pub(crate) fn restore(&mut self, config: TopicConfig) -> Option<&Topic> {
        let (number, queues) = (config.number, config.read_queues.max(config.write_queues));
        let at = usize::from(number).checked_sub(1).filter(|at| *at <= self.list.len())?;
        if at == self.list.len() {
            self.list.push(None);
        }
        let place = self.list.get_mut(at)?;
        match place {
            Some(known) if known.config.name != config.name => return None,
            Some(known) => known.config = config,
            None => {
                self.deleted.retain(|(deleted, _)| *deleted != number);
                self.by_name.insert(config.name.clone(), number);
                *place = Some(Topic {
                    config,
                    queues: Vec::new(),
                    put: Meter::default(),
                    last_put: None,
                });
            }
        }
        self.changes += 1;
        let topic = place.as_mut()?;
        let count = usize::from(queues).max(topic.queues.len());
        topic.queues.resize(count, QueueEnds::default());
        Some(topic)
    }

    /// Where queues end that have come into being, or come back: from number `first` on.
    pub(crate) fn set_ends(&mut self, topic: u16, first: u16, ends: Vec<QueueEnds>) {
        let Some(topic) = self.numbered_mut(topic) else { return };
        let count = topic.queues.len().max(usize::from(first) + ends.len());
        topic.queues.resize(count, QueueEnds::default());
        for (known, end) in topic.queues.iter_mut().skip(usize::from(first)).zip(ends) {
            *known = end;
        }
    }

    /// How often any of them has changed.
    pub(crate) fn changes(&self) -> i64 {
        self.changes
    }

    /// A queue gets a message.
    pub(crate) fn count(&mut self, queue: QueueKey, now: Millis) {
        if let Some(topic) = self.numbered_mut(queue.topic) {
            topic.put.record(now, 1);
            topic.last_put = Some(Some(now));
        }
    }

    /// When a topic has got its last message before this run, if any is left.
    pub(crate) fn note_last_put(&mut self, topic: u16, time: Option<Millis>) {
        if let Some(topic) = self.numbered_mut(topic) {
            topic.last_put = topic.last_put.or(Some(time));
        }
    }

    /// The messages that the topic of this name gets.
    pub(crate) fn meter(&mut self, name: &str) -> Option<&mut Meter> {
        let number = *self.by_name.get(name)?;
        Some(&mut self.numbered_mut(number)?.put)
    }

    /// Where a queue ends; 0 for one that does not exist.
    pub(crate) fn ends(&self, queue: QueueKey) -> QueueEnds {
        self.numbered(queue.topic)
            .and_then(|topic| topic.queues.get(usize::from(queue.queue)))
            .copied()
            .unwrap_or_default()
    }

    /// Where a queue ends, to be changed.
    pub(crate) fn ends_mut(&mut self, queue: QueueKey) -> Option<&mut QueueEnds> {
        self.numbered_mut(queue.topic)?.queues.get_mut(usize::from(queue.queue))
    }
}

/// Whether `name` may name a topic or, with `limit`, a group.
pub(crate) fn is_name(name: &str, limit: usize) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'%' | b'|' | b'_' | b'-');
    (1..=limit).contains(&name.len()) && name.bytes().all(allowed)
}

/// Whether the broker needs the topic of this name itself.
pub(crate) fn is_system(name: &str, identity: &Identity) -> bool {
    is_closed(name)
        || name == DEFAULT_TOPIC
        || name == "BenchmarkTest"
        || name == identity.cluster
        || name == identity.broker
        || name.strip_suffix("_REPLY_TOPIC") == Some(identity.cluster.as_str())
}

/// Whether clients may not send to the topic of this name.
pub(crate) fn is_closed(name: &str) -> bool {
    CLOSED.contains(&name)
}

/// The topics that are always there: name, queues, permissions.
pub(crate) fn system_topics(cluster: &str, broker: &str) -> [(String, u16, i32); 9] {
    [
        (SCHEDULE_TOPIC.to_owned(), LEVELS as u16, READ_WRITE),
        (TIMER_TOPIC.to_owned(), 1, READ_WRITE),
        (HALF_TOPIC.to_owned(), 1, READ_WRITE),
        (cluster.to_owned(), 16, ALL),
        (broker.to_owned(), 1, ALL),
        (format!("{cluster}_REPLY_TOPIC"), 1, READ_WRITE),
        ("SELF_TEST_TOPIC".to_owned(), 1, READ_WRITE),
        ("OFFSET_MOVED_EVENT".to_owned(), 1, READ_WRITE),
        ("BenchmarkTest".to_owned(), MAX_QUEUES, READ_WRITE),
    ]
}
