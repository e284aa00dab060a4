//! Clients and their groups: heartbeat, leaving, telling members that their group has changed.

use posthaste_protocol::request::{
    ConsumerGroup, Empty, Heartbeat, HeartbeatAnswer, UnregisterClient,
};

use crate::engine::effects::Effects;
use crate::engine::groups::SubscriptionChange;
use crate::engine::{Engine, SessionId, refusal::Refusal};
use crate::store::Fact;

impl Engine {
    /// 34: a client is there, with these groups.
    ///
    /// Members leave with their connection or by 35. There is no other expiry: a connection that
    /// says nothing for 120 s is closed. Of producers nothing is remembered.
    pub(crate) fn heartbeat(
        &mut self,
        session: SessionId,
        heartbeat: &Heartbeat,
        effects: &mut Effects,
    ) -> Result<HeartbeatAnswer, Refusal> {
        for group in &heartbeat.consumers {
            self.join(session, &heartbeat.client_id, group, effects)?;
        }
        Ok(HeartbeatAnswer::default())
    }

    fn join(
        &mut self,
        session: SessionId,
        client_id: &str,
        joining: &ConsumerGroup,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let name = &joining.group_name;
        self.ensure_group(name, &mut effects.commit)?;
        let Some(group) = self.groups.get_mut(name) else { return Ok(()) };
        let is_new = group.join(client_id, session);
        let change = group.subscribe(&joining.subscriptions);
        if change != SubscriptionChange::None {
            let subscriptions = group.subscriptions.values().cloned().collect();
            effects.commit.put(Fact::Subscriptions { group: name.clone(), subscriptions });
        }
        let is_broadcast = joining.message_model == "BROADCASTING";
        let is_news = is_new || change == SubscriptionChange::Topics;
        if is_news && !is_broadcast {
            self.notify_members(name, effects);
        }
        Ok(())
    }

    /// 35: a client leaves a group.
    pub(crate) fn unregister(
        &mut self,
        session: SessionId,
        request: &UnregisterClient,
        effects: &mut Effects,
    ) -> Result<Empty, Refusal> {
        let Some(name) = &request.consumer_group else { return Ok(Empty) };
        let Some(group) = self.groups.get_mut(name) else { return Ok(Empty) };
        if group.members.get(&request.client_id) == Some(&session) {
            group.members.remove(&request.client_id);
            self.notify_members(name, effects);
        }
        Ok(Empty)
    }

    /// Tells every member of a group that it has changed, the one that caused it too.
    pub(crate) fn notify_members(&self, name: &str, effects: &mut Effects) {
        for session in self.groups.get(name).iter().flat_map(|group| group.members.values()) {
            effects.notify(*session, name);
        }
    }
}
