//! Routes: which queues a topic has and where.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{BrokerData, QueueData, TopicRoute};

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
        let broker_name = &self.identity.broker;
        Ok(TopicRoute {
            brokers: vec![BrokerData {
                broker_addrs: [(0, self.identity.address.clone())].into(),
                broker_name: broker_name.clone(),
                cluster: self.identity.cluster.clone(),
                // 5.x says so always, and `rocketmq-client-rust` reads no route without it.
                enable_acting_master: Some(false),
                zone_name: None,
            }],
            queues: vec![QueueData {
                broker_name: broker_name.clone(),
                perm: topic.config.perm,
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
