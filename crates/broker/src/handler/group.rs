//! Consumer groups: members, locks, filters.

use posthaste_protocol::request::{
    CheckClientConfig, ConsumerList, ConsumerListOf, Empty, LockQueues, LockedQueues, UnlockQueues,
};

use crate::engine::filter::Filter;
use crate::engine::producers::check_client_id;
use crate::engine::{Engine, Millis, refusal::Refusal};

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
    pub(crate) fn check_client_config(request: &CheckClientConfig) -> Result<Empty, Refusal> {
        let subscription = &request.subscription;
        Filter::read(&subscription.expression_type, &subscription.sub_string).map(|_| Empty)
    }
}
