//! Which broker has a queue, in the words of the wire.

use posthaste_protocol::request::TopicRoute;

use super::static_topic::{LogicalQueues, logical_queues};
use crate::MessageQueue;
use crate::config::Config;

/// A queue as its broker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WireQueue {
    pub(crate) topic: String,
    /// The broker that has it; with a logical queue another one than the queue goes by.
    pub(crate) broker: String,
    pub(crate) id: i32,
}

impl WireQueue {
    /// `None` when the topic has no such queue, or no broker has it now.
    pub(crate) fn of(queue: &MessageQueue, document: &TopicRoute, config: &Config) -> Option<Self> {
        Self::among(&logical_queues(document), queue, document, config)
    }

    /// As [`of`](Self::of), for many queues of one document, given its logical ones.
    pub(crate) fn among(
        logical: &[LogicalQueues<'_>],
        queue: &MessageQueue,
        document: &TopicRoute,
        config: &Config,
    ) -> Option<Self> {
        let broker = holder(logical, document, queue)?.to_owned();
        let topic = config.on_wire(queue.topic()).into_owned();
        Some(Self { topic, broker, id: queue.id() })
    }
}

/// Name of the broker that has a queue now.
fn holder<'a>(
    logical: &[LogicalQueues<'a>],
    document: &'a TopicRoute,
    queue: &MessageQueue,
) -> Option<&'a str> {
    if let Some(logical) = logical.iter().find(|logical| logical.broker == queue.broker()) {
        return *logical.holders.get(usize::try_from(queue.id()).ok()?)?;
    }
    let of_broker = document.queues.iter().find(|queues| queues.broker_name == queue.broker())?;
    let count = of_broker.read_queue_nums.max(of_broker.write_queue_nums);
    (0..count).contains(&queue.id()).then_some(of_broker.broker_name.as_str())
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::request::{QueueData, QueueMapping};

    use super::*;

    #[test]
    fn a_queue_is_on_its_broker_or_on_the_one_that_holds_it() {
        let mapping = QueueMapping {
            broker_name: "b".into(),
            current_ids: [(1, 0)].into(),
            total_queues: 2,
            ..QueueMapping::default()
        };
        let of_a = QueueData {
            broker_name: "a".into(),
            read_queue_nums: 1,
            write_queue_nums: 3,
            ..QueueData::default()
        };
        let document = TopicRoute {
            queues: vec![of_a],
            queue_mappings: Some([("b".into(), mapping)].into()),
            ..TopicRoute::default()
        };
        for (broker, id, expected) in [
            ("a", 0, Some("a")),
            ("a", 2, Some("a")),
            ("a", 3, None),
            ("a", -1, None),
            ("c", 0, None),
            ("__syslo__global__", 1, Some("b")),
            ("__syslo__global__", 0, None),
            ("__syslo__global__", 2, None),
            ("__syslo__global__", -1, None),
        ] {
            let queue = MessageQueue::new("t", broker, id);
            assert_eq!(holder(&logical_queues(&document), &document, &queue), expected, "{queue}");
        }
    }
}
