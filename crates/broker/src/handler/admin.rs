//! What administration tools ask, and where each of it is answered.
//!
//! What writes settings (25, 100, 318; 102 but for the order of a topic) and users and their
//! permissions is refused like any unknown code.

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
        self.answer_tool(now, caller, request, out);
    }

    fn answer_tool(&mut self, now: Millis, caller: Caller, request: Admin, out: &mut Effects) {
        match request {
            Admin::RunningInfoOf(it) => self.running_info(now, caller, &it, out),
            Admin::ConsumeDirectly(it) => self.consume_directly(now, caller, it, out),
            Admin::MembersOffsetsOf(it) => self.members_offsets(now, caller, &it, out),
            Admin::WipeWritePermission(it) => out.answer(caller, self.wipe_write_permission(&it)),
            Admin::GiveWritePermission(it) => out.answer(caller, self.give_write_permission(&it)),
            Admin::CreateTopics(it) => {
                let result = self.set_topics(&it, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            Admin::DeleteTopic(it) => {
                let result = self.delete(&it, out);
                out.answer_after_commit(caller, result);
            }
            Admin::DeleteTopicInNameServer(it) => out.answer(caller, self.delete_route(&it)),
            Admin::SetGroup(it) => {
                let result = self.set_group(&it, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            Admin::SetGroups(it) => {
                let result = self.set_groups(&it, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            Admin::DeleteGroup(it) => {
                let result = self.delete_group(&it, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            Admin::ResetOffset(it) => {
                let result = self.reset_offset(now, &it, out);
                out.answer(caller, result);
            }
            Admin::CloneOffsets(it) => out.answer(caller, self.clone_offsets(&it)),
            Admin::ClusterInfoOf(_) => out.answer(caller, Ok(self.cluster_info())),
            Admin::KvConfigOf(it) => out.answer(caller, Self::kv_config(&it)),
            Admin::DeleteKvConfig(it) => out.answer(caller, Self::delete_kv_config(&it)),
            Admin::BrokerConfigOf(_) => out.answer(caller, Ok(self.broker_config())),
            Admin::NameServerConfigOf(_) => out.answer(caller, Ok(self.name_server_config())),
            Admin::RuntimeInfoOf(_) => out.answer(caller, Ok(self.runtime_info(now))),
            Admin::TopicsOfCluster(it) => out.answer(caller, self.topics_of_cluster(&it)),
            Admin::NameServerSystemTopics(_) => out.answer(caller, Ok(self.cluster_topics())),
            Admin::BrokerSystemTopics(_) => out.answer(caller, Ok(self.system_topics())),
            Admin::TopicConfigOf(it) => out.answer(caller, self.topic_config(&it)),
            Admin::TopicConfigsOf(_) => out.answer(caller, Ok(self.topic_configs(now))),
            Admin::TopicStatsOf(it) => out.answer(caller, self.topic_stats(now, &it)),
            Admin::ConsumeStatsOf(it) => out.answer(caller, self.consume_stats(now, &it)),
            Admin::BrokerConsumeStatsOf(it) => {
                out.answer(caller, self.broker_consume_stats(now, &it))
            }
            Admin::BrokerStatsOf(it) => out.answer(caller, self.broker_stats(now, &it)),
            Admin::ConsumeQueueOf(it) => self.consume_queue(caller, &it, out),
            Admin::TimeSpansOf(it) => out.answer(caller, self.time_spans(now, &it)),
            Admin::ConsumerConnectionOf(it) => out.answer(caller, self.consumer_connection(&it)),
            Admin::ProducerConnectionOf(it) => out.answer(caller, self.producer_connection(&it)),
            Admin::ProducersOf(_) => out.answer(caller, Ok(self.producer_table())),
            Admin::ConsumersOfTopic(it) => out.answer(caller, Ok(self.consumers_of(&it))),
            Admin::TopicsOfConsumer(it) => out.answer(caller, Ok(self.topics_of(&it))),
            Admin::SubscriptionOf(it) => out.answer(caller, Ok(self.subscription_of(&it))),
            Admin::GroupConfigOf(it) => out.answer(caller, self.group_config(&it)),
            Admin::GroupConfigsOf(_) => out.answer(caller, Ok(self.group_configs(now))),
        }
    }
}
