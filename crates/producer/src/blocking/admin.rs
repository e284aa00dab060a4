//! Topics, offsets and stored messages of a cluster.

use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::ReaderBuilder;
use super::runtime::Runtime;
use crate::{AdminError, MessageQueue, ReadMessage, TopicOnBroker, TopicSettings, TopicUpdate};

/// As the asynchronous [`Admin`](crate::Admin), with calls that wait: at most until their deadline,
/// 6 s unless [`with_timeout`](Self::with_timeout) says otherwise.
#[derive(Clone, Debug)]
pub struct Admin {
    admin: crate::Admin,
    runtime: Arc<Runtime>,
}

impl Admin {
    pub(super) fn new(admin: crate::Admin, runtime: Arc<Runtime>) -> Self {
        Self { admin, runtime }
    }

    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.wait(future)
    }

    /// A handle whose calls have this deadline. Default: 6 s.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { admin: self.admin.with_timeout(timeout), runtime: self.runtime.clone() }
    }

    /// Creates a topic on every master broker that does not have it.
    ///
    /// # Errors
    /// See [`create_topic`](crate::Admin::create_topic) of the asynchronous admin.
    pub fn create_topic(&self, topic: &str, queues: u32) -> Result<(), AdminError> {
        self.runtime.wait(self.admin.create_topic(topic, queues))
    }

    /// As [`create_topic`](Self::create_topic), with more to say of the topic.
    ///
    /// # Errors
    /// See [`create_topic_with`](crate::Admin::create_topic_with) of the asynchronous admin.
    pub fn create_topic_with(
        &self,
        topic: &str,
        settings: &TopicSettings,
    ) -> Result<(), AdminError> {
        self.runtime.wait(self.admin.create_topic_with(topic, settings))
    }

    /// Changes a topic on each broker that has it.
    ///
    /// # Errors
    /// See [`update_topic`](crate::Admin::update_topic) of the asynchronous admin.
    pub fn update_topic(&self, topic: &str, update: &TopicUpdate) -> Result<(), AdminError> {
        self.runtime.wait(self.admin.update_topic(topic, update))
    }

    /// Deletes a topic with all of its messages.
    ///
    /// # Errors
    /// See [`delete_topic`](crate::Admin::delete_topic) of the asynchronous admin.
    pub fn delete_topic(&self, topic: &str) -> Result<(), AdminError> {
        self.runtime.wait(self.admin.delete_topic(topic))
    }

    /// What a topic is on each broker that has it, by the brokers' names.
    ///
    /// # Errors
    /// See [`describe_topic`](crate::Admin::describe_topic) of the asynchronous admin.
    pub fn describe_topic(&self, topic: &str) -> Result<Vec<TopicOnBroker>, AdminError> {
        self.runtime.wait(self.admin.describe_topic(topic))
    }

    /// The names of all topics, sorted, including the system's.
    ///
    /// # Errors
    /// [`AdminError::Unreachable`] when no name server answers.
    pub fn topics(&self) -> Result<Vec<String>, AdminError> {
        self.runtime.wait(self.admin.topics())
    }

    /// The queues of a topic that can be written, by broker's name, then by number.
    ///
    /// # Errors
    /// See [`publish_queues`](crate::Admin::publish_queues) of the asynchronous admin.
    pub fn publish_queues(&self, topic: &str) -> Result<Vec<MessageQueue>, AdminError> {
        self.runtime.wait(self.admin.publish_queues(topic))
    }

    /// The offset of the oldest message that a queue still has.
    ///
    /// # Errors
    /// See [`min_offset`](crate::Admin::min_offset) of the asynchronous admin.
    pub fn min_offset(&self, queue: &MessageQueue) -> Result<i64, AdminError> {
        self.runtime.wait(self.admin.min_offset(queue))
    }

    /// The offset that the next message of a queue will get.
    ///
    /// # Errors
    /// See [`min_offset`](crate::Admin::min_offset) of the asynchronous admin.
    pub fn max_offset(&self, queue: &MessageQueue) -> Result<i64, AdminError> {
        self.runtime.wait(self.admin.max_offset(queue))
    }

    /// The offset of a queue's first message stored at `time` or later.
    ///
    /// # Errors
    /// See [`min_offset`](crate::Admin::min_offset) of the asynchronous admin.
    pub fn offset_at(&self, queue: &MessageQueue, time: SystemTime) -> Result<i64, AdminError> {
        self.runtime.wait(self.admin.offset_at(queue, time))
    }

    /// When a queue's oldest message was stored; `None` when it has none.
    ///
    /// # Errors
    /// See [`min_offset`](crate::Admin::min_offset) of the asynchronous admin.
    pub fn earliest_store_time(
        &self,
        queue: &MessageQueue,
    ) -> Result<Option<SystemTime>, AdminError> {
        self.runtime.wait(self.admin.earliest_store_time(queue))
    }

    /// The message of `topic` with the id that a broker gave it; `None` when it is not there.
    ///
    /// # Errors
    /// See [`view`](crate::Admin::view) of the asynchronous admin.
    pub fn view(
        &self,
        topic: &str,
        offset_message_id: &str,
    ) -> Result<Option<ReadMessage>, AdminError> {
        self.runtime.wait(self.admin.view(topic, offset_message_id))
    }

    /// The newest `most` messages of `topic` that have a key and were stored in a range of time,
    /// oldest first.
    ///
    /// # Errors
    /// See [`query_by_key`](crate::Admin::query_by_key) of the asynchronous admin.
    pub fn query_by_key(
        &self,
        topic: &str,
        key: &str,
        stored: impl RangeBounds<SystemTime>,
        most: usize,
    ) -> Result<Vec<ReadMessage>, AdminError> {
        self.runtime.wait(self.admin.query_by_key(topic, key, stored, most))
    }

    /// The message of `topic` with the id that its producer gave it, and its copies, oldest first.
    ///
    /// # Errors
    /// See [`query_by_unique_id`](crate::Admin::query_by_unique_id) of the asynchronous admin.
    pub fn query_by_unique_id(
        &self,
        topic: &str,
        message_id: &str,
    ) -> Result<Vec<ReadMessage>, AdminError> {
        self.runtime.wait(self.admin.query_by_unique_id(topic, message_id))
    }

    /// Settings of a reader of `topic`, which sees the messages stored there.
    pub fn reader(&self, topic: impl Into<String>) -> ReaderBuilder {
        ReaderBuilder::new(self.admin.reader(topic), self.clone())
    }
}
