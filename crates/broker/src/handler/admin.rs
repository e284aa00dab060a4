//! What administration tools ask, and where each of it is answered.
//!
//! What writes settings (25, 100, 318; 102 but for the order of a topic) and users and their
//! permissions is refused like any code that nobody knows.

use posthaste_protocol::request::Admin;

use crate::engine::effects::{Caller, Effects};
use crate::engine::{Engine, Millis};

impl Engine {
    /// Does what a tool asks for.
    pub(crate) fn administer(
        &mut self,
        now: Millis,
        caller: Caller,
        request: Admin,
        out: &mut Effects,
    ) {
        // Most answers may be long.
        if let Err(refusal) = out.check_room(caller.session) {
            return out.refuse(caller, &refusal);
        }
        match request {
            Admin::RunningInfoOf(request) => self.running_info(now, caller, &request, out),
            Admin::ConsumeDirectly(request) => self.consume_directly(now, caller, request, out),
            Admin::MembersOffsetsOf(request) => self.members_offsets(now, caller, &request, out),
            Admin::WipeWritePermission(request) => {
                let result = self.wipe_write_permission(&request);
                out.answer(caller, result);
            }
            Admin::GiveWritePermission(request) => {
                let result = self.give_write_permission(&request);
                out.answer(caller, result);
            }
            Admin::CreateTopics(request) => {
                let result = self.set_topics(&request, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            Admin::DeleteTopic(request) => {
                let result = self.delete(&request, out);
                out.answer_after_commit(caller, result);
            }
            Admin::DeleteTopicInNameServer(request) => {
                out.answer(caller, self.delete_route(&request));
            }
            Admin::SetGroup(request) => {
                let result = self.set_group(&request, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            Admin::SetGroups(request) => {
                let result = self.set_groups(&request, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            Admin::DeleteGroup(request) => {
                let result = self.delete_group(&request, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            Admin::ResetOffset(request) => {
                let result = self.reset_offset(now, &request, out);
                out.answer(caller, result);
            }
            Admin::CloneOffsets(request) => {
                let result = self.clone_offsets(&request);
                out.answer(caller, result);
            }
            Admin::ClusterInfoOf(_) => out.answer(caller, Ok(self.cluster_info())),
            Admin::KvConfigOf(setting) => out.answer(caller, Self::kv_config(&setting)),
            Admin::DeleteKvConfig(setting) => {
                out.answer(caller, Self::delete_kv_config(&setting));
            }
            Admin::BrokerConfigOf(_) => out.answer(caller, Ok(self.broker_config())),
            Admin::NameServerConfigOf(_) => out.answer(caller, Ok(self.name_server_config())),
            Admin::RuntimeInfoOf(_) => out.answer(caller, Ok(self.runtime_info(now))),
            Admin::TopicsOfCluster(of) => out.answer(caller, self.topics_of_cluster(&of)),
            Admin::NameServerSystemTopics(_) => out.answer(caller, Ok(self.cluster_topics())),
            Admin::BrokerSystemTopics(_) => out.answer(caller, Ok(self.system_topics())),
            Admin::TopicConfigOf(topic) => out.answer(caller, self.topic_config(&topic)),
            Admin::TopicConfigsOf(_) => out.answer(caller, Ok(self.topic_configs(now))),
            Admin::TopicStatsOf(topic) => {
                let stats = self.topic_stats(now, &topic);
                out.answer(caller, stats);
            }
            Admin::ConsumeStatsOf(group) => {
                let stats = self.consume_stats(now, &group);
                out.answer(caller, stats);
            }
            Admin::BrokerConsumeStatsOf(of) => {
                let stats = self.broker_consume_stats(now, &of);
                out.answer(caller, stats);
            }
            Admin::BrokerStatsOf(of) => {
                let stats = self.broker_stats(now, &of);
                out.answer(caller, stats);
            }
            Admin::ConsumeQueueOf(queue) => self.consume_queue(caller, &queue, out),
            Admin::TimeSpansOf(of) => out.answer(caller, self.time_spans(now, &of)),
            Admin::ConsumerConnectionOf(group) => {
                out.answer(caller, self.consumer_connection(&group));
            }
            Admin::ProducerConnectionOf(group) => {
                out.answer(caller, self.producer_connection(&group));
            }
            Admin::ProducersOf(_) => out.answer(caller, Ok(self.producer_table())),
            Admin::ConsumersOfTopic(topic) => out.answer(caller, Ok(self.consumers_of(&topic))),
            Admin::TopicsOfConsumer(group) => out.answer(caller, Ok(self.topics_of(&group))),
            Admin::SubscriptionOf(of) => out.answer(caller, Ok(self.subscription_of(&of))),
            Admin::GroupConfigOf(group) => out.answer(caller, self.group_config(&group)),
            Admin::GroupConfigsOf(_) => out.answer(caller, Ok(self.group_configs(now))),
        }
    }
}
