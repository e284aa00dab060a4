//! Routes: which queues a topic has and where.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{QueueData, TopicRoute};

use crate::engine::{Engine, refusal::Refusal};

impl Engine {
    /// 105: the route of a topic. Unless there is a cluster of several, there is one broker, and it
    /// is the master.
    pub(crate) fn route_of(&self, name: &str) -> Result<TopicRoute, Refusal> {
        let route = match &self.member {
            Some(member) => member.registry.route(name, &self.identity.cluster, self.wiped()),
            None => self.own_route(name),
        };
        route.ok_or_else(|| Self::no_route(name))
    }

    fn own_route(&self, name: &str) -> Option<TopicRoute> {
        let topic = self.topic(name)?;
        Some(TopicRoute {
            brokers: vec![self.broker_data()],
            queues: vec![QueueData {
                broker_name: self.identity.broker.clone(),
                perm: topic.config.perm & !self.wiped(),
                read_queue_nums: i32::from(topic.config.read_queues),
                write_queue_nums: i32::from(topic.config.write_queues),
                topic_sys_flag: Some(0),
                // The same as 4.x spells it.
                topic_syn_flag: Some(0),
            }],
            ..TopicRoute::default()
        })
    }

    /// A topic is not known.
    pub(crate) fn no_route(topic: &str) -> Refusal {
        Refusal::new(
            ResponseCode::TOPIC_NOT_EXIST,
            format!("No topic route info in name server for the topic: {topic}"),
        )
    }
}
