//! Routes: which queues a topic has and where.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{QueueData, TopicRoute, permission};

use crate::engine::{Engine, refusal::Refusal};

impl Engine {
    /// 105: the route of a topic. There is one broker, and it is the master.
    pub(crate) fn route_of(&self, topic: &str) -> Result<TopicRoute, Refusal> {
        let Some(topic) = self.topic(topic) else {
            return Err(Refusal::new(
                ResponseCode::TOPIC_NOT_EXIST,
                format!("No topic route info in name server for the topic: {topic}"),
            ));
        };
        let wiped = if self.write_wiped { permission::WRITE } else { 0 };
        Ok(TopicRoute {
            brokers: vec![self.broker_data()],
            queues: vec![QueueData {
                broker_name: self.identity.broker.clone(),
                perm: topic.config.perm & !wiped,
                read_queue_nums: i32::from(topic.config.read_queues),
                write_queue_nums: i32::from(topic.config.write_queues),
                topic_sys_flag: Some(0),
                // The same as 4.x spells it.
                topic_syn_flag: Some(0),
            }],
            ..TopicRoute::default()
        })
    }
}
