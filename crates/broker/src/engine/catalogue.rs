//! The topics that there are: created, changed, deleted, each with its queues and what is remembered of it.

use std::collections::BTreeMap;

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{DEFAULT_TOPIC, Empty};

use super::effects::Effects;
use super::refusal::Refusal;
use super::topics::{self, ALL, QueueEnds, READ_WRITE, Topic};
use super::{Engine, Identity};
use crate::location::MAX_QUEUES;
use crate::store::{Commit, Fact, StoreError};

impl Engine {
    /// Creates a topic, or changes it, and has it remembered.
    pub(crate) fn set_topic(
        &mut self,
        name: &str,
        queues: (u16, u16),
        perm: i32,
        commit: &mut Commit,
    ) -> Result<(), Refusal> {
        let (read, write) = queues;
        let number = self.topics.number_of(name).ok_or_else(|| {
            let limit = topics::MAX_TOPICS;
            let why = format!("topic[{name}] cannot be created: there are {limit} topics already");
            Refusal::new(ResponseCode::TOPIC_NOT_EXIST, why)
        })?;
        let known = self.topics.get(name).map_or(0, Topic::known_queues);
        let bases = self.bases_of(number)?;
        // Before anything changes: a queue whose end is not known would be written over.
        let queues = known..read.max(write).min(MAX_QUEUES);
        let mut ends = self.find_ends(number, queues.clone())?;
        for (ends, queue) in ends.iter_mut().zip(queues) {
            let base = bases.get(&queue).copied().unwrap_or(0);
            *ends = QueueEnds { next: ends.next.max(base), committed: ends.committed.max(base) };
        }
        if self.topics.deleted_ends(number).is_some() {
            commit.forget(Fact::deleted_key(number));
        }
        if let Some(topic) = self.topics.set(name, (read, write), perm, bases) {
            commit.put(Fact::Topic(topic.config.clone()));
            self.topics.set_ends(number, known, ends);
        }
        Ok(())
    }

    /// Where the queues of a topic begin that gets the number of a deleted one: behind its messages,
    /// which are there until they are dropped.
    fn bases_of(&self, number: u16) -> Result<BTreeMap<u16, u64>, StoreError> {
        let Some(known) = self.topics.deleted_ends(number) else { return Ok(BTreeMap::new()) };
        let mut bases = BTreeMap::new();
        for (queue, stored) in (0..).zip(self.find_ends(number, 0..MAX_QUEUES)?) {
            let known = known.get(&queue).copied().unwrap_or(0);
            let base = stored.next.max(known);
            if base > 0 {
                bases.insert(queue, base);
            }
        }
        Ok(bases)
    }

    /// Deletes a topic, and has that remembered. Its messages are out of reach, messages that wait to
    /// be delivered to it are dropped, and the offsets of groups in it are forgotten. Says whether
    /// the topic was there.
    pub(crate) fn delete_topic(&mut self, name: &str, effects: &mut Effects) -> bool {
        let Some(number) = self.topics.delete(name) else { return false };
        effects.commit.forget(Fact::topic_key(name));
        effects.commit.put(Fact::Deleted { number });
        self.groups.forget_topic(name, number, &mut effects.commit);
        for parked in self.parked.of_topic(number) {
            effects.answer::<Empty>(parked.caller, Err(Refusal::no_topic(name)));
        }
        for query in self.queries.of_topic(number) {
            effects.answer::<Empty>(query.caller, Err(Refusal::no_topic(name)));
        }
        true
    }

    /// The topic of this name, if clients may see it. The default topic, kept from an earlier run,
    /// is not there when sends create no topics.
    pub(crate) fn topic(&self, name: &str) -> Option<&Topic> {
        let hidden = name == DEFAULT_TOPIC && self.identity.auto_create_queues.is_none();
        self.topics.get(name).filter(|_| !hidden)
    }

    /// Creates the topics that are always there, and `wanted` ones, unless they are there already.
    pub(crate) fn create_topics(&mut self, wanted: &[(String, u16)]) -> Result<(), StoreError> {
        let mut commit = Commit::default();
        if let Some(queues) = self.identity.auto_create_queues {
            // In an earlier run it may have had another number of queues.
            let known = self.topics.get(DEFAULT_TOPIC).map(|topic| topic.config.write_queues);
            if known != Some(queues) {
                let set = self.set_topic(DEFAULT_TOPIC, (queues, queues), ALL, &mut commit);
                set.map_err(too_many)?;
            }
        }
        let Identity { cluster, broker, .. } = &self.identity;
        let system = topics::system_topics(cluster, broker);
        let wanted = wanted.iter().map(|(name, queues)| (name.clone(), *queues, READ_WRITE));
        for (name, queues, perm) in system.into_iter().chain(wanted) {
            if self.topics.get(&name).is_none() {
                self.set_topic(&name, (queues, queues), perm, &mut commit).map_err(too_many)?;
            }
        }
        match commit.is_empty() {
            true => Ok(()),
            false => self.store.commit(commit),
        }
    }
}

fn too_many(refusal: Refusal) -> StoreError {
    StoreError::Damaged(refusal.remark)
}
