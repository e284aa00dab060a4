//! Consumer groups: members, locks, filters; created, changed, listed and deleted by tools.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{
    CheckClientConfig, ConsumerList, ConsumerListOf, DataVersion, DeleteGroup, Empty, GroupConfig,
    GroupConfigOf, GroupConfigs, LockQueues, LockedQueues, SetGroups, UnlockQueues,
};

use crate::engine::filter::Filter;
use crate::engine::groups::{MAX_GROUP_LENGTH, MAX_GROUPS, no_group};
use crate::engine::producers::check_client_id;
use crate::engine::topics::is_name;
use crate::engine::{Engine, Millis, refusal::Refusal};
use crate::location::MAX_QUEUES;
use crate::store::Commit;

/// The attributes of a group have at most this many bytes.
const MAX_ATTRIBUTES: usize = 4 * 1024;

impl Engine {
    /// 38: the client ids of a group's members. A consumer that does not find its own takes no
    /// queue.
    pub(crate) fn consumer_list(&self, request: &ConsumerListOf) -> Result<ConsumerList, Refusal> {
        let members = self.groups.get(&request.group).map(|group| &group.members);
        match members.filter(|members| !members.is_empty()) {
            Some(members) => Ok(ConsumerList { client_ids: members.keys().cloned().collect() }),
            None => {
                Err(Refusal::system_error(format!("no consumer for this group, {}", request.group)))
            }
        }
    }

    /// 41: locks queues for a member; what another one holds, or does not exist, is left out of
    /// the answer.
    pub(crate) fn lock_queues(
        &mut self,
        now: Millis,
        request: &LockQueues,
    ) -> Result<LockedQueues, Refusal> {
        check_client_id(&request.client_id)?;
        let mut locked = Vec::new();
        for queue in &request.queues {
            let key = self.queue(&queue.topic, queue.queue_id);
            let group = self.groups.ensure(&request.group);
            if let Some((key, group)) = key.zip(group)
                && group.lock(now, key, &request.client_id)
            {
                locked.push(queue.clone());
            }
        }
        Ok(LockedQueues { queues: locked })
    }

    /// 42: releases a member's locks.
    pub(crate) fn unlock_queues(
        &mut self,
        UnlockQueues(request): &UnlockQueues,
    ) -> Result<Empty, Refusal> {
        for queue in &request.queues {
            let key = self.queue(&queue.topic, queue.queue_id);
            if let Some((key, group)) = key.zip(self.groups.get_mut(&request.group)) {
                group.unlock(key, &request.client_id);
            }
        }
        Ok(Empty)
    }

    /// 46: whether a filter can be had. Any error keeps a Java consumer from starting.
    pub(crate) fn check_client_config(
        &self,
        request: &CheckClientConfig,
    ) -> Result<Empty, Refusal> {
        let subscription = &request.subscription;
        let (kind, text) = (&subscription.expression_type, &subscription.sub_string);
        Filter::read(kind, text, self.sql_filters).map(|_| Empty)
    }

    /// 200: creates a group, or changes it. What follows from it: whether it may consume, how many
    /// queues its retry topic gets, how often a message comes again. The rest is remembered.
    pub(crate) fn set_group(
        &mut self,
        request: &GroupConfig,
        commit: &mut Commit,
    ) -> Result<Empty, Refusal> {
        let config = self.changed_group(request)?;
        self.check_working()?;
        let fact = self.groups.set(&config).ok_or_else(|| no_group(&config.group_name))?;
        commit.put(fact);
        Ok(Empty)
    }

    /// 225: as 200, of many; all of them or none.
    pub(crate) fn set_groups(
        &mut self,
        request: &SetGroups,
        commit: &mut Commit,
    ) -> Result<Empty, Refusal> {
        for group in &request.groups {
            self.changed_group(group)?;
        }
        let is_new = |group: &&GroupConfig| self.groups.get(&group.group_name).is_none();
        let count = self.groups.iter().count() + request.groups.iter().filter(is_new).count();
        if count > MAX_GROUPS {
            let why = format!("there would be more than {MAX_GROUPS} consumer groups");
            return Err(Refusal::invalid(why));
        }
        for group in &request.groups {
            self.set_group(group, commit)?;
        }
        Ok(Empty)
    }

    /// What a request makes of a group: its attributes are changes, `+name` and `-name`.
    fn changed_group(&self, request: &GroupConfig) -> Result<GroupConfig, Refusal> {
        let name = &request.group_name;
        check_group_name(name)?;
        if !(0..=i32::from(MAX_QUEUES)).contains(&request.retry_queue_nums) {
            let queues = request.retry_queue_nums;
            return Err(Refusal::invalid(format!(
                "a retry topic has 0 to {MAX_QUEUES} queues, not {queues}"
            )));
        }
        let mut config =
            self.groups.get(name).map_or_else(GroupConfig::default, |known| known.config(name));
        let mut attributes = std::mem::take(&mut config.attributes);
        for (name, value) in &request.attributes {
            match name.split_at_checked(1) {
                Some(("+", name)) => {
                    attributes.insert(name.to_owned(), value.clone());
                }
                Some(("-", name)) => {
                    attributes.remove(name);
                }
                _ => return Err(Refusal::system_error(format!("kv string format wrong: {name}"))),
            }
        }
        let policy = &request.group_retry_policy.kind;
        let length = attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if length + policy.len() > MAX_ATTRIBUTES {
            return Err(Refusal::invalid(format!(
                "the attributes of a group have {length} bytes; {MAX_ATTRIBUTES} is the most"
            )));
        }
        Ok(GroupConfig { attributes, ..request.clone() })
    }

    /// 207: deletes a group, and how far it has come if that is wanted. Members that are connected
    /// bring it back with their next heartbeats.
    pub(crate) fn delete_group(
        &mut self,
        request: &DeleteGroup,
        commit: &mut Commit,
    ) -> Result<Empty, Refusal> {
        self.check_working()?;
        self.groups.delete(&request.group, request.clean_offsets == Some(true), commit);
        Ok(Empty)
    }

    /// 352: a group's configuration. Real brokers create a group that they are asked about.
    pub(crate) fn group_config(&self, request: &GroupConfigOf) -> Result<GroupConfig, Refusal> {
        let name = &request.group;
        self.groups.known(name).map(|group| group.config(name)).ok_or_else(|| {
            Refusal::new(
                ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
                format!("No group in this broker: {name}"),
            )
        })
    }

    /// 201: the configuration of all groups.
    pub(crate) fn group_configs(&self, now: Millis) -> GroupConfigs {
        GroupConfigs {
            data_version: DataVersion {
                counter: self.groups.changes(),
                state_version: 0,
                changed_at_ms: self.begun.unwrap_or(now),
            },
            groups: self
                .groups
                .iter()
                .filter(|(_, group)| group.is_known)
                .map(|(name, group)| (name.to_owned(), group.config(name)))
                .collect(),
            ..GroupConfigs::default()
        }
    }
}

/// Whether a group may have this name.
fn check_group_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() {
        return Err(Refusal::invalid("The specified group is blank."));
    }
    if is_name(name, usize::MAX) && name.len() > MAX_GROUP_LENGTH {
        return Err(Refusal::invalid(format!(
            "The specified group is longer than group max length: {MAX_GROUP_LENGTH}."
        )));
    }
    match is_name(name, MAX_GROUP_LENGTH) {
        true => Ok(()),
        false => Err(Refusal::invalid(format!(
            "The specified group: {name}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
        ))),
    }
}
