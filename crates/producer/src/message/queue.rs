//! A queue: topic, broker and number.

use std::fmt;
use std::sync::Arc;

use super::text::Text;

/// One queue of a topic: topic, broker's name, number.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageQueue {
    names: Arc<QueueNames>,
    id: i32,
}

impl MessageQueue {
    /// Queue `id` of `topic` on the broker of this name.
    pub fn new(topic: impl Into<Text>, broker: impl Into<Text>, id: i32) -> Self {
        Self::of(&QueueNames::new(topic.into().into_arc(), broker.into().into_arc()), id)
    }

    /// A queue of this topic on this broker.
    pub(crate) fn of(names: &Arc<QueueNames>, id: i32) -> Self {
        Self { names: names.clone(), id }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.names.topic
    }

    /// Name of the broker.
    pub fn broker(&self) -> &str {
        &self.names.broker
    }

    /// Number of the queue on its broker, from 0.
    pub fn id(&self) -> i32 {
        self.id
    }
}

/// What queues of one topic on one broker share.
///
/// One count of handles for both: there is a handle in each receipt.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueNames {
    topic: Arc<str>,
    broker: Arc<str>,
}

impl QueueNames {
    pub(crate) fn new(topic: Arc<str>, broker: Arc<str>) -> Arc<Self> {
        Arc::new(Self { topic, broker })
    }

    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The broker's name that its queues go by.
    pub(crate) fn broker(&self) -> &Arc<str> {
        &self.broker
    }
}

impl fmt::Debug for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageQueue")
            .field("topic", &self.topic())
            .field("broker", &self.broker())
            .field("id", &self.id)
            .finish()
    }
}

impl fmt::Display for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.topic(), self.broker(), self.id)
    }
}
