//! The consumer groups: members, subscriptions, offsets, locks.

use std::collections::{BTreeMap, HashMap};

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{ConsumerGroup, GroupConfig, Subscription};

use super::meter::Meter;
use super::refusal::Refusal;
use super::topics::{MAX_TOPIC_LENGTH, MAX_TOPICS, is_name};
use super::{Millis, SessionId, filter};
use crate::location::QueueKey;
use crate::store::{Commit, Fact};

/// How many consumer groups there may be.
pub(crate) const MAX_GROUPS: usize = 1_000;
/// The longest name of a group.
pub(crate) const MAX_GROUP_LENGTH: usize = 120;
/// How many topics a group may subscribe to.
const MAX_SUBSCRIPTIONS: usize = MAX_TOPICS;
/// How many bytes the texts of its subscriptions may have together.
const MAX_SUBSCRIPTIONS_LENGTH: usize = 256 * 1024;
/// How often a message comes again before it goes to the dead letters.
pub(crate) const MAX_RECONSUME_TIMES: i32 = 16;
/// Of how many pairs of a group and a topic the messages are counted; each takes about a kilobyte.
const MAX_METERS: usize = 4_096;
/// The longest word that says how a group consumes.
const MAX_WORD: usize = 64;
/// A lock ends this long after it was last asked for.
const LOCK_LIFE_MS: Millis = 60_000;

/// One consumer group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Its members' sessions by client id.
    pub(crate) members: BTreeMap<String, SessionId>,
    /// What it subscribes to, by topic.
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    /// Topic, queue: how far it has come.
    offsets: HashMap<String, BTreeMap<i32, i64>>,
    /// The fingerprint of its subscriptions; 0: no member has sent one (heartbeat V2).
    fingerprint: i32,
    locks: HashMap<QueueKey, Lock>,
    /// How its members consume.
    pub(crate) manner: Manner,
    /// Whether it is there, and not merely how far it had come before it was deleted.
    pub(crate) is_known: bool,
    /// What a tool has said of it.
    config: Option<GroupConfig>,
    /// Offsets that were set, and that no member knows yet.
    resets: HashMap<QueueKey, u64>,
    /// The first offset of each queue that it has not pulled.
    pulled: HashMap<QueueKey, u64>,
    /// Number of a topic: the messages that the group gets of it.
    got: HashMap<u16, Box<Meter>>,
}

/// How the members of a group consume, as the last of them has said it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Manner {
    /// `CONSUME_FROM_LAST_OFFSET` and the like.
    pub(crate) consume_from_where: String,
    /// `CONSUME_PASSIVELY` (push) or `CONSUME_ACTIVELY` (pull).
    pub(crate) consume_type: String,
    /// `CLUSTERING` or `BROADCASTING`.
    pub(crate) message_model: String,
}

impl From<&ConsumerGroup> for Manner {
    fn from(group: &ConsumerGroup) -> Self {
        // Java knows no longer word; what is longer is not kept.
        let word = |word: &String| match word.len() {
            0..=MAX_WORD => word.clone(),
            _ => String::new(),
        };
        Self {
            consume_from_where: word(&group.consume_from_where),
            consume_type: word(&group.consume_type),
            message_model: word(&group.message_model),
        }
    }
}

/// What a heartbeat changed in a group's subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SubscriptionChange {
    /// Nothing.
    None,
    /// Versions or expressions.
    Filters,
    /// The set of topics.
    Topics,
}

#[derive(Debug)]
struct Lock {
    client_id: String,
    asked_at: Millis,
}

impl Group {
    /// How far the group has come in a queue.
    pub(crate) fn offset(&self, topic: &str, queue: i32) -> Option<i64> {
        self.offsets.get(topic)?.get(&queue).copied()
    }

    /// What a tool has said of it, or what is said of any group.
    pub(crate) fn config(&self, name: &str) -> GroupConfig {
        let usual = || GroupConfig { group_name: name.to_owned(), ..GroupConfig::default() };
        self.config.clone().unwrap_or_else(usual)
    }

    /// How often a message comes again before it goes to the dead letters.
    pub(crate) fn retries(&self) -> i32 {
        self.config.as_ref().map_or(MAX_RECONSUME_TIMES, |config| config.retry_max_times)
    }

    /// How many queues its retry topic gets.
    pub(crate) fn retry_queues(&self) -> u16 {
        let queues = self.config.as_ref().map_or(1, |config| config.retry_queue_nums);
        u16::try_from(queues).unwrap_or(1).max(1)
    }

    /// Whether it may consume.
    pub(crate) fn may_consume(&self) -> bool {
        self.config.as_ref().is_none_or(|config| config.consume_enable)
    }

    /// The offset of a queue that was set, and that no member knows yet.
    pub(crate) fn reset(&self, queue: QueueKey) -> Option<u64> {
        self.resets.get(&queue).copied()
    }

    /// As [`reset`](Self::reset), for a member that hears it now.
    pub(crate) fn take_reset(&mut self, queue: QueueKey) -> Option<u64> {
        self.resets.remove(&queue)
    }

    /// The offset of a queue was set; members hear it with their next pulls.
    pub(crate) fn put_reset(&mut self, queue: QueueKey, offset: u64) {
        self.resets.insert(queue, offset);
    }

    /// How far it has come in the queues of a topic.
    pub(crate) fn offsets(&self, topic: &str) -> impl Iterator<Item = (i32, i64)> {
        self.offsets.get(topic).into_iter().flatten().map(|(queue, offset)| (*queue, *offset))
    }

    /// A topic is gone; gives back the queues that it had come somewhere in.
    fn forget_topic(&mut self, name: &str, number: u16) -> Vec<i32> {
        self.locks.retain(|queue, _| queue.topic != number);
        self.resets.retain(|queue, _| queue.topic != number);
        self.pulled.retain(|queue, _| queue.topic != number);
        let offsets = self.offsets.remove(name).unwrap_or_default();
        offsets.into_keys().collect()
    }

    /// The topics that it has come somewhere in.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &str> {
        self.offsets.keys().map(String::as_str)
    }

    /// The first offset of a queue that it has not pulled.
    pub(crate) fn pulled(&self, queue: QueueKey) -> i64 {
        self.pulled.get(&queue).map_or(0, |offset| *offset as i64)
    }

    /// Takes a session in as a member; says whether it was none before. A session is one member, even
    /// if it changes its name.
    pub(crate) fn join(&mut self, client_id: &str, session: SessionId) -> bool {
        let is_known = self.members.get(client_id) == Some(&session);
        if !is_known {
            self.members.retain(|_, member| *member != session);
            self.members.insert(client_id.to_owned(), session);
        }
        !is_known
    }

    /// Takes over the fingerprint of a member's subscriptions; says whether it is another one.
    pub(crate) fn is_news(&mut self, fingerprint: i32) -> bool {
        std::mem::replace(&mut self.fingerprint, fingerprint) != fingerprint
    }

    fn set_offset(&mut self, topic: &str, queue: i32, offset: i64) {
        match self.offsets.get_mut(topic) {
            Some(queues) => queues.insert(queue, offset),
            None => self.offsets.entry(topic.to_owned()).or_default().insert(queue, offset),
        };
    }

    /// Takes over a member's subscriptions: newer ones replace older ones, and the ones that are no
    /// longer listed go.
    pub(crate) fn subscribe(&mut self, subscriptions: &[Subscription]) -> SubscriptionChange {
        let listed = |topic: &str| subscriptions.iter().any(|s| s.topic == topic);
        let before = self.subscriptions.len();
        self.subscriptions.retain(|topic, _| listed(topic));
        let mut change = match before == self.subscriptions.len() {
            true => SubscriptionChange::None,
            false => SubscriptionChange::Topics,
        };
        for subscription in subscriptions {
            change = change.max(match self.subscriptions.get(&subscription.topic) {
                None => SubscriptionChange::Topics,
                Some(known) if known.sub_version < subscription.sub_version => {
                    SubscriptionChange::Filters
                }
                Some(_) => continue,
            });
            self.subscriptions.insert(subscription.topic.clone(), subscription.clone());
        }
        change
    }

    /// Locks a queue for a member, or renews its lock. False when another one holds it.
    pub(crate) fn lock(&mut self, now: Millis, queue: QueueKey, client_id: &str) -> bool {
        let lock = Lock { client_id: client_id.to_owned(), asked_at: now };
        match self.locks.get_mut(&queue) {
            Some(held) if held.client_id != client_id && now < held.asked_at + LOCK_LIFE_MS => {
                return false;
            }
            Some(held) => *held = lock,
            None => {
                self.locks.insert(queue, lock);
            }
        }
        true
    }

    /// Releases a member's lock.
    pub(crate) fn unlock(&mut self, queue: QueueKey, client_id: &str) {
        if self.locks.get(&queue).is_some_and(|lock| lock.client_id == client_id) {
            self.locks.remove(&queue);
        }
    }
}

/// Whether a group may subscribe to this: it is remembered, and kept over a restart.
pub(crate) fn check_subscriptions(subscriptions: &[Subscription]) -> Result<(), Refusal> {
    let mut length = 0;
    for subscription in subscriptions {
        filter::check_length(&subscription.sub_string)?;
        if subscription.topic.len() > MAX_TOPIC_LENGTH {
            return Err(Refusal::invalid(format!(
                "a topic has at most {MAX_TOPIC_LENGTH} bytes, that of a subscription too"
            )));
        }
        let tags = &subscription.tags_set;
        length += subscription.topic.len() + subscription.sub_string.len();
        length += subscription.expression_type.len();
        length += tags.iter().map(|tag| tag.len() + size_of::<String>()).sum::<usize>();
    }
    if subscriptions.len() > MAX_SUBSCRIPTIONS || length > MAX_SUBSCRIPTIONS_LENGTH {
        return Err(Refusal::invalid(format!(
            "a group has at most {MAX_SUBSCRIPTIONS} subscriptions, of {MAX_SUBSCRIPTIONS_LENGTH} bytes together"
        )));
    }
    Ok(())
}

/// The answer when a group does not exist and cannot be created.
pub(crate) fn no_group(name: &str) -> Refusal {
    Refusal::new(
        ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
        format!("subscription group [{name}] does not exist, and cannot be created"),
    )
}

/// All consumer groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_name: BTreeMap<String, Group>,
    /// Offsets that are not in the store yet.
    dirty: BTreeMap<(String, String, i32), i64>,
    /// How many meters there are, of all groups.
    meters: usize,
    /// How often a tool has changed any of them.
    changes: i64,
}

impl Groups {
    /// The group of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Group> {
        self.by_name.get(name)
    }

    /// The group of this name, if it is there: it was created, and not deleted since. Of any other
    /// there may be offsets.
    pub(crate) fn known(&self, name: &str) -> Option<&Group> {
        self.get(name).filter(|group| group.is_known)
    }

    /// The group of this name, to be changed.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Group> {
        self.by_name.get_mut(name)
    }

    /// The group of this name, created when it is new. `None` when the name is not allowed, or
    /// there are too many.
    pub(crate) fn ensure(&mut self, name: &str) -> Option<&mut Group> {
        let group = self.place(name)?;
        group.is_known = true;
        Some(group)
    }

    /// The place of a group, which this does not bring into being.
    fn place(&mut self, name: &str) -> Option<&mut Group> {
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= MAX_GROUPS || !is_name(name, MAX_GROUP_LENGTH) {
                return None;
            }
            self.by_name.insert(name.to_owned(), Group::default());
        }
        self.by_name.get_mut(name)
    }

    /// Remembers how far a group has come. It is in the store within a second.
    ///
    /// A negative offset is no offset: some clients send −1 for a queue that they know nothing of,
    /// and must not lose their place by that.
    pub(crate) fn set_offset(&mut self, group: &str, topic: &str, queue: i32, offset: i64) {
        let Some(known) = self.ensure(group).filter(|_| offset >= 0) else {
            return;
        };
        if known.offset(topic, queue) != Some(offset) {
            known.set_offset(topic, queue, offset);
            self.dirty.insert((group.to_owned(), topic.to_owned(), queue), offset);
        }
    }

    /// Creates or changes a group, as a tool says. `None` when the name is not allowed, or there are
    /// too many.
    pub(crate) fn set(&mut self, config: &GroupConfig) -> Option<Fact> {
        self.changes += 1;
        self.ensure(&config.group_name)?.config = Some(config.clone());
        Some(Fact::Group(config.clone()))
    }

    /// How often a tool has changed any of them.
    pub(crate) fn changes(&self) -> i64 {
        self.changes
    }

    /// A tool deletes a group: what was said of it, what it subscribes to and, if that is wanted,
    /// how far it has come. Its members stay, and bring it back with their next heartbeats.
    pub(crate) fn delete(&mut self, name: &str, with_offsets: bool, commit: &mut Commit) {
        let Some(group) = self.by_name.get_mut(name) else { return };
        self.changes += 1;
        group.is_known = false;
        group.config = None;
        commit.forget(Fact::group_key(name));
        commit.forget(Fact::subscriptions_key(name));
        if with_offsets {
            let offsets = std::mem::take(&mut group.offsets);
            group.resets.clear();
            for (topic, queues) in offsets {
                for queue in queues.into_keys() {
                    commit.forget(Fact::offset_key(name, &topic, queue));
                    self.dirty.remove(&(name.to_owned(), topic.clone(), queue));
                }
            }
        }
        if group.members.is_empty() {
            group.subscriptions.clear();
            if group.offsets.is_empty() {
                self.meters -= group.got.len();
                self.by_name.remove(name);
            }
        }
    }

    /// A topic is gone, and with it how far groups had come in it.
    pub(crate) fn forget_topic(&mut self, topic: &str, number: u16, commit: &mut Commit) {
        for (name, group) in &mut self.by_name {
            for queue in group.forget_topic(topic, number) {
                commit.forget(Fact::offset_key(name, topic, queue));
            }
            if group.got.remove(&number).is_some() {
                self.meters -= 1;
            }
        }
        self.dirty.retain(|(_, known, _), _| known != topic);
    }

    /// Takes over a fact of an earlier run.
    pub(crate) fn restore(&mut self, fact: Fact) {
        match fact {
            Fact::Offset { group, topic, queue, offset } => {
                if let Some(group) = self.place(&group) {
                    group.set_offset(&topic, queue, offset);
                }
            }
            Fact::Subscriptions { group, subscriptions } => {
                if let Some(group) = self.ensure(&group) {
                    group.subscribe(&subscriptions);
                }
            }
            Fact::Group(config) => {
                self.set(&config);
            }
            Fact::Topic(_)
            | Fact::Deleted { .. }
            | Fact::Delivered { .. }
            | Fact::Timer { .. }
            | Fact::Half { .. } => {}
        }
    }

    /// Whether there are offsets that are not in the store yet.
    pub(crate) fn has_dirty_offsets(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The offsets that are not in the store yet.
    pub(crate) fn take_dirty_offsets(&mut self) -> impl Iterator<Item = Fact> {
        std::mem::take(&mut self.dirty)
            .into_iter()
            .map(|((group, topic, queue), offset)| Fact::Offset { group, topic, queue, offset })
    }

    /// All groups, by their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.by_name.iter().map(|(name, group)| (name.as_str(), group))
    }

    /// A group has pulled up to an offset, and got this many messages.
    pub(crate) fn count(
        &mut self,
        now: Millis,
        name: &str,
        queue: QueueKey,
        next: u64,
        messages: u64,
    ) {
        let Some(group) = self.by_name.get_mut(name) else { return };
        group.pulled.insert(queue, next);
        if group.got.contains_key(&queue.topic) || self.meters < MAX_METERS {
            let meter = group.got.entry(queue.topic).or_insert_with(|| {
                self.meters += 1;
                Box::default()
            });
            meter.record(now, messages);
        }
    }

    /// The messages that a group gets of a topic.
    pub(crate) fn meter(&mut self, name: &str, topic: u16) -> Option<&mut Meter> {
        self.by_name.get_mut(name)?.got.get_mut(&topic).map(|meter| &mut **meter)
    }

    /// Nothing is known of what the store has of the offsets: all of them go there again.
    pub(crate) fn all_offsets_are_dirty(&mut self) {
        for (name, group) in &self.by_name {
            for (topic, queues) in &group.offsets {
                let dirty = |(queue, offset): (&i32, &i64)| {
                    ((name.clone(), topic.clone(), *queue), *offset)
                };
                self.dirty.extend(queues.iter().map(dirty));
            }
        }
    }

    /// Takes a session out of every group; says which groups have lost a member.
    pub(crate) fn leave(&mut self, session: SessionId) -> Vec<String> {
        let mut left = Vec::new();
        for (name, group) in &mut self.by_name {
            let before = group.members.len();
            group.members.retain(|_, member| *member != session);
            if group.members.len() != before {
                left.push(name.clone());
            }
        }
        left
    }
}
