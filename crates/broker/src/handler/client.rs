//! Clients and their groups: heartbeat, leaving, telling members that their group has changed.

use posthaste_protocol::request::{
    ConsumerGroup, Empty, Heartbeat, HeartbeatAnswer, UnregisterClient,
};

use crate::engine::effects::Effects;
use crate::engine::groups::{SubscriptionChange, check_subscriptions};
use crate::engine::producers::check_client_id;
use crate::engine::{Engine, SessionId, refusal::Refusal};
use crate::store::Fact;

impl Engine {
    /// 34: a client is there, with these groups.
    ///
    /// Members leave with their connection or by 35. There is no other expiry: a connection that
    /// says nothing for 120 s is closed.
    ///
    /// A client that knows heartbeat V2 gives its subscriptions a fingerprint. Once they are known
    /// it leaves them out, until an answer says that the group has others.
    pub(crate) fn heartbeat(
        &mut self,
        session: SessionId,
        heartbeat: &Heartbeat,
        effects: &mut Effects,
    ) -> Result<HeartbeatAnswer, Refusal> {
        check_client_id(&heartbeat.client_id)?;
        for group in &heartbeat.consumers {
            check_subscriptions(&group.subscriptions)?;
        }
        self.producers.meet(session, &heartbeat.client_id);
        for group in &heartbeat.producers {
            self.producers.join(session, &group.group_name);
        }
        // A peer that does not know V2 does not care.
        let mut changed = heartbeat.fingerprint == 0;
        for group in &heartbeat.consumers {
            changed |= self.join(session, heartbeat, group, effects)?;
        }
        Ok(HeartbeatAnswer { supports_v2: Some(true), subscriptions_changed: Some(changed) })
    }

    /// A client is a member of a consumer group; says whether the group has had other subscriptions.
    fn join(
        &mut self,
        session: SessionId,
        heartbeat: &Heartbeat,
        joining: &ConsumerGroup,
        effects: &mut Effects,
    ) -> Result<bool, Refusal> {
        let name = &joining.group_name;
        self.ensure_group(name, &mut effects.commit)?;
        let Some(group) = self.groups.get_mut(name) else { return Ok(false) };
        group.manner = joining.into();
        let is_new = group.join(&heartbeat.client_id, session);
        let changed = group.is_news(heartbeat.fingerprint);
        let change = match heartbeat.without_subscriptions {
            true => SubscriptionChange::None,
            false => group.subscribe(&joining.subscriptions),
        };
        if change != SubscriptionChange::None {
            let subscriptions = group.subscriptions.values().cloned().collect();
            effects.commit.put(Fact::Subscriptions { group: name.clone(), subscriptions });
        }
        let is_broadcast = joining.message_model == "BROADCASTING";
        let is_news = is_new || change == SubscriptionChange::Topics;
        if is_news && !is_broadcast {
            self.notify_members(name, effects);
        }
        Ok(changed)
    }

    /// 35: a client leaves a group.
    pub(crate) fn unregister(
        &mut self,
        session: SessionId,
        request: &UnregisterClient,
        effects: &mut Effects,
    ) -> Result<Empty, Refusal> {
        if let Some(group) = &request.producer_group {
            self.producers.leave(session, group);
        }
        let Some(name) = &request.consumer_group else { return Ok(Empty) };
        let Some(group) = self.groups.get_mut(name) else { return Ok(Empty) };
        if group.members.get(&request.client_id) == Some(&session) {
            group.members.remove(&request.client_id);
            self.notify_members(name, effects);
        }
        Ok(Empty)
    }

    /// Tells every member of a group that the group has changed, including the member that caused it.
    pub(crate) fn notify_members(&self, name: &str, effects: &mut Effects) {
        for session in self.groups.get(name).iter().flat_map(|group| group.members.values()) {
            effects.notify(*session, name);
        }
    }
}
