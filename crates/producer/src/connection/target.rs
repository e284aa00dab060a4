//! One broker of a topic's route, and a message's way there.

use std::sync::Arc;

use super::Connection;
use super::load::BrokerLoad;
use super::send_memo::SendMemo;
use crate::MessageQueue;
use crate::accepted::cache_padded::CachePadded;
use crate::message::QueueNames;

/// A broker that has queues of a topic.
///
/// Every message that goes there has a handle to it: their count has its own cache lines.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct RouteBroker {
    /// As in `queue_names`; here, since the outbox tells its lines by it.
    pub(crate) topic: Arc<str>,
    /// The topic's name on the wire.
    pub(crate) wire_topic: Arc<str>,
    /// Its place among the brokers of the route.
    pub(crate) place: usize,
    pub(crate) name: Arc<str>,
    /// The names that its queues go by: the broker's is another one for the logical queues of a static
    /// topic, which are not bound to it.
    queue_names: Arc<QueueNames>,
    pub(crate) cluster: Arc<str>,
    pub(crate) connection: Arc<Connection>,
    /// Its queues, for its connection's task.
    pub(crate) memo: CachePadded<SendMemo>,
}

/// A broker as a name server describes it.
pub(crate) struct Described<'a> {
    /// The topic's name on the wire.
    pub(crate) wire_topic: Arc<str>,
    pub(crate) place: usize,
    pub(crate) name: &'a str,
    pub(crate) cluster: &'a str,
    pub(crate) queues: &'a [i32],
    pub(crate) queue_names: Arc<QueueNames>,
    /// Whether its queues go by another name than its own.
    pub(crate) logical: bool,
}

/// Where one attempt of a message goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) broker: Arc<RouteBroker>,
    /// The queue; `None`: the broker's next one when the message leaves.
    pub(crate) queue: Option<i32>,
}

impl RouteBroker {
    pub(crate) fn new(described: Described<'_>, connection: Arc<Connection>) -> Self {
        let Described { wire_topic, place, name, cluster, queues, queue_names, logical } =
            described;
        let name = if logical { name.into() } else { queue_names.broker().clone() };
        Self {
            topic: queue_names.topic().clone(),
            wire_topic,
            place,
            name,
            queue_names,
            cluster: cluster.into(),
            connection,
            memo: CachePadded(SendMemo::new(queues)),
        }
    }

    /// Its queue of this number.
    pub(crate) fn queue(&self, id: i32) -> MessageQueue {
        MessageQueue::of(&self.queue_names, id)
    }

    /// What is known of it.
    pub(crate) fn load(&self) -> BrokerLoad {
        self.connection.snapshot()
    }

    /// Whether it has a queue, or would get one.
    pub(crate) fn has(&self, queue: &MessageQueue) -> bool {
        let named = self.queue_names.broker();
        let is_logical = !Arc::ptr_eq(&self.name, named);
        **named == *queue.broker() && (!is_logical || self.memo.has(queue.id()))
    }
}

impl Target {
    /// The queue that a request of this many messages leaves for now.
    pub(crate) fn next_queue(&self, messages: usize) -> i32 {
        let next = || self.broker.memo.next_queue(messages);
        self.queue.or_else(next).unwrap_or_default()
    }

    /// The queue for a request whose answer speaks for others that get none: the last one, which a topic
    /// loses first when it gets fewer. In turn it might be one that is left, time after time.
    pub(crate) fn last_queue(&self, messages: usize) -> i32 {
        let last = || self.broker.memo.last_queue(messages);
        self.queue.or_else(last).unwrap_or_default()
    }
}
