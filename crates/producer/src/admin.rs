//! Topics, offsets and stored messages of a cluster.

mod ask_server;
mod attributes;
mod change;
mod create;
mod delete;
mod error;
mod find;
pub(crate) mod recall;
mod settings;
mod topic_on_broker;
mod update;

use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use posthaste_protocol::request::{
    BrokerData, EarliestStoreTime, MaxOffset, MinOffset, SearchOffset, TopicList, TopicListOf,
    TopicRoute,
};
use posthaste_protocol::{Request, json};

pub use error::AdminError;
pub use settings::{TopicSettings, TopicType};
pub use topic_on_broker::TopicOnBroker;
pub use update::TopicUpdate;

use crate::client::Client;
use crate::config::LONGEST;
use crate::connection::CallError;
use crate::ledger::Phase;
use crate::message::QueueNames;
use crate::message::timestamp::{ms_since_1970, system_time};
use crate::message::validate;
use crate::route::{self, WireQueue};
use crate::{MessageQueue, Producer, ReadMessage};

/// How long a call may take by default (Java: `timeoutMillis` of `MQAdminImpl`).
const TIMEOUT: Duration = Duration::from_secs(6);

/// Asks and changes what a cluster has (Java: the `MQAdmin` half of `DefaultMQProducer`).
///
/// Made by [`Producer::admin`], whose connections it uses; it keeps the producer alive. Cheap to
/// clone.
///
/// # Deadline
/// Each call has one, 6 s unless [`with_timeout`](Self::with_timeout) says otherwise. Old brokers
/// do not answer requests that they do not know, so a call may end by it alone.
///
/// # Errors
/// Each call also lists its own errors. Beside them it may end with [`AdminError::Closed`],
/// [`AdminError::Denied`], [`AdminError::Tls`], [`AdminError::Timeout`] or
/// [`AdminError::Protocol`].
///
/// # Cancellation
/// Dropping the future of a call drops the answer. The request may be carried out nevertheless.
#[derive(Clone, Debug)]
pub struct Admin {
    producer: Producer,
    timeout: Duration,
}

impl Producer {
    /// Topics and offsets of the cluster.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }
}

impl Admin {
    pub(crate) fn new(producer: Producer) -> Self {
        Self { producer, timeout: TIMEOUT }
    }

    /// A handle whose calls have this deadline. Default: 6 s. Shorter than a few round trips makes
    /// calls fail that would have been answered.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { producer: self.producer.clone(), timeout: timeout.min(LONGEST) }
    }

    /// Creates a topic with `queues` queues, for reading and writing, on every master broker that
    /// does not have it. An existing topic stays unchanged: [`update_topic`](Self::update_topic)
    /// changes it. Once this returns, the name server knows the topic and the next call finds it.
    ///
    /// As in Java (`MQAdminImpl.createTopic`), the brokers of the default topic `TBW102` get the
    /// topic. If `TBW102` does not exist because brokers create no topics on their own, the brokers
    /// of `SELF_TEST_TOPIC` do. Each broker is tried up to five times, and one that accepts is
    /// enough; a second call creates the topic on the others. Java's method changes an existing
    /// topic.
    ///
    /// # Errors
    /// [`AdminError::Exists`] when every master has the topic; it says with how many queues.
    /// [`AdminError::Invalid`] when the name breaks a rule, belongs to the system, or `queues` is
    /// not 1 to 65,535; else the last broker's error. [`AdminError::Timeout`] also when the topic
    /// was created, but no name server shows it by the deadline.
    pub async fn create_topic(&self, topic: &str, queues: u32) -> Result<(), AdminError> {
        self.create_topic_with(topic, &TopicSettings::new(queues)).await
    }

    /// As [`create_topic`](Self::create_topic), with more to say of the topic.
    ///
    /// # Errors
    /// As [`create_topic`](Self::create_topic). [`AdminError::Refused`] for attributes that the
    /// broker does not know.
    pub async fn create_topic_with(
        &self,
        topic: &str,
        settings: &TopicSettings,
    ) -> Result<(), AdminError> {
        create::create_topic(self, topic, settings).await
    }

    /// Changes a topic on each broker that has it. Settings that the update does not name stay
    /// unchanged. Once this returns, the name server shows the change and the producer uses it.
    ///
    /// With fewer queues to read, or a topic that may not be read, consumers no longer reach the
    /// messages in the other queues. If there are such messages, the change is refused unless
    /// [`abandon_messages`](TopicUpdate::abandon_messages) allows it. The messages are counted
    /// before the change is made; messages that are sent meanwhile are not counted.
    ///
    /// # Errors
    /// [`AdminError::OutOfReach`], which says how many messages it is about; [`AdminError::NoTopic`];
    /// [`AdminError::Invalid`] when a rule is broken, and for static topics. When a broker fails, its
    /// error; the others may have changed the topic then, and the same call again is safe.
    pub async fn update_topic(&self, topic: &str, update: &TopicUpdate) -> Result<(), AdminError> {
        update::update_topic(self, topic, update).await
    }

    /// Deletes a topic with all of its messages, at every master that has it and at every name
    /// server. Slaves follow their masters.
    ///
    /// Java has this among its tools only (`DefaultMQAdminExt.deleteTopicInBroker`,
    /// `deleteTopicInNameServer`). Where brokers create topics on their own, the next send creates
    /// the topic again: stop its producers first.
    ///
    /// # Errors
    /// [`AdminError::NoTopic`] when the name server has no route to the topic.
    /// [`AdminError::Invalid`] when the name breaks a rule or belongs to the system.
    /// [`AdminError::Unreachable`] when one of its brokers has no master; nothing was deleted then.
    /// When a broker fails, its error: others may have deleted the topic, the name servers still
    /// show it, and the same call again is safe. When a name server fails, its error, which says
    /// that the brokers have deleted the topic.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), AdminError> {
        delete::delete_topic(self, topic).await
    }

    /// What a topic is on each broker that has it, by the brokers' names: how many queues, and who
    /// may use them. It is what the name server shows, so permissions that a broker withholds from
    /// all its topics are missing.
    ///
    /// # Errors
    /// [`AdminError::NoTopic`] when the name server has no route to the topic,
    /// [`AdminError::Unreachable`] when no name server answers.
    pub async fn describe_topic(&self, topic: &str) -> Result<Vec<TopicOnBroker>, AdminError> {
        Ok(TopicOnBroker::all_of(&self.route(topic, self.deadline()).await?))
    }

    /// The names of all topics, sorted, including the system's. In a
    /// [`namespace`](crate::ProducerBuilder::namespace), topics of other namespaces are left out.
    ///
    /// # Errors
    /// [`AdminError::Unreachable`] when no name server answers.
    pub async fn topics(&self) -> Result<Vec<String>, AdminError> {
        let client = self.client()?;
        let asked = client.directory.ask(TopicListOf, self.deadline()).await;
        let answer = asked.map_err(AdminError::of_look_up)?;
        let list: TopicList = json::read(&answer.body).map_err(|error| AdminError::Protocol {
            address: "the name server".into(),
            reason: error.to_string(),
        })?;
        let mut topics: Vec<String> = match &client.ledger.config().namespace {
            None => list.topics,
            Some(namespace) => {
                let own = list
                    .topics
                    .iter()
                    .filter(|topic| namespace.has(topic) || validate::is_of_the_system(topic));
                own.map(|topic| namespace.unwrap(topic).into_owned()).collect()
            }
        };
        topics.sort_unstable();
        Ok(topics)
    }

    /// The queues of a topic that can be written now, as a producer sees them: by broker's name,
    /// then by number (Java: `fetchPublishMessageQueues`). Empty when the topic may not be written.
    /// Of an ordered topic they come in the order of its configuration. Of a static topic they are
    /// its logical queues, which have a broker name made up for them.
    ///
    /// # Errors
    /// [`AdminError::NoTopic`] when the name server has no route to the topic,
    /// [`AdminError::Unreachable`] when no name server answers.
    pub async fn publish_queues(&self, topic: &str) -> Result<Vec<MessageQueue>, AdminError> {
        let document = self.route(topic, self.deadline()).await?;
        let topic: Arc<str> = topic.into();
        let mut plan = route::writable_queues(&document);
        plan.retain(|of_broker| of_broker.address.is_some());
        let queues = plan.iter().flat_map(|of_broker| {
            let names = QueueNames::new(topic.clone(), of_broker.queues_named().into());
            let queue = move |id: &i32| MessageQueue::of(&names, *id);
            of_broker.queues.iter().map(queue)
        });
        let mut queues: Vec<MessageQueue> = queues.collect();
        if plan.iter().any(|of_broker| of_broker.logical.is_some()) {
            queues.sort_unstable();
        }
        Ok(queues)
    }

    /// The offset of the oldest message that a queue still has; if it has none, the offset of the
    /// next message.
    ///
    /// # Errors
    /// [`AdminError::NoTopic`], [`AdminError::Invalid`] for a queue that the topic does not have,
    /// and the errors that keep the broker from answering.
    pub async fn min_offset(&self, queue: &MessageQueue) -> Result<i64, AdminError> {
        let request = |WireQueue { topic, broker, id }| MinOffset {
            topic,
            queue_id: id,
            broker_name: Some(broker),
        };
        Ok(self.ask_broker_of(queue, request).await?.offset)
    }

    /// The offset that the next message of a queue will get.
    ///
    /// # Errors
    /// As [`min_offset`](Self::min_offset).
    pub async fn max_offset(&self, queue: &MessageQueue) -> Result<i64, AdminError> {
        Ok(self.ask_broker_of(queue, max_offset_of).await?.offset)
    }

    /// The offset of a queue's first message stored at `time` or later; if all are older, the
    /// offset of the next message.
    ///
    /// # Errors
    /// As [`min_offset`](Self::min_offset).
    pub async fn offset_at(
        &self,
        queue: &MessageQueue,
        time: SystemTime,
    ) -> Result<i64, AdminError> {
        Ok(self.ask_broker_of(queue, |queue| offset_at(queue, time)).await?.offset)
    }

    /// When a queue's oldest message was stored; `None` when it has none.
    ///
    /// # Errors
    /// As [`min_offset`](Self::min_offset).
    pub async fn earliest_store_time(
        &self,
        queue: &MessageQueue,
    ) -> Result<Option<SystemTime>, AdminError> {
        let request = |WireQueue { topic, broker, id }| EarliestStoreTime {
            topic,
            queue_id: id,
            broker_name: Some(broker),
        };
        Ok(system_time(self.ask_broker_of(queue, request).await?.timestamp_ms))
    }

    /// The message of `topic` with the id that a broker gave it, as in
    /// [`Receipt::offset_message_id`](crate::Receipt::offset_message_id); `None` when it is not there
    /// (any more) (Java: `viewMessage`).
    ///
    /// The id says where the message lies: at which broker, and where in its log. But only brokers
    /// of the topic's route are asked, even if the id has another address.
    ///
    /// It takes the broker's id alone. For [`Receipt::message_id`](crate::Receipt::message_id)
    /// (Java: `SendResult.getMsgId`) use [`query_by_unique_id`](Self::query_by_unique_id); Java's
    /// `viewMessage(topic, id)` tries both. Such an id is mostly not found here.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] if it is not such an id, [`AdminError::NoTopic`], and the errors that keep
    /// the broker from answering.
    pub async fn view(
        &self,
        topic: &str,
        offset_message_id: &str,
    ) -> Result<Option<ReadMessage>, AdminError> {
        find::view(self, topic, offset_message_id).await
    }

    /// As [`view`](Self::view), whatever the message's topic. Of the brokers that the name server
    /// knows, only the broker with the address in the id is asked; if none has it, all are.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] if it is not such an id, and the errors that keep the broker from
    /// answering.
    pub async fn view_of_any_topic(
        &self,
        offset_message_id: &str,
    ) -> Result<Option<ReadMessage>, AdminError> {
        find::view_of_any_topic(self, offset_message_id).await
    }

    /// The messages of `topic` that have a key and were stored in a range of time: the newest
    /// `most` of them, oldest first (Java: `queryMessage`). The range is `..` for all, or `since..`
    /// with a [`SystemTime`].
    ///
    /// All brokers of the topic are asked at once. Each gives at most 64 messages, and finds a
    /// message a moment after it was stored.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] if it is not a valid key, [`AdminError::NoTopic`]. A broker that
    /// cannot be asked is an error only when the others have found nothing; otherwise its messages
    /// are missing.
    pub async fn query_by_key(
        &self,
        topic: &str,
        key: &str,
        stored: impl RangeBounds<SystemTime>,
        most: usize,
    ) -> Result<Vec<ReadMessage>, AdminError> {
        find::by_key(self, topic, key, stored, most).await
    }

    /// The message of `topic` with the id that its producer gave it, as in
    /// [`Receipt::message_id`](crate::Receipt::message_id); nothing if it is not there; several
    /// messages, oldest first, if it was stored again after an attempt with an unknown outcome.
    ///
    /// # Errors
    /// As [`query_by_key`](Self::query_by_key).
    pub async fn query_by_unique_id(
        &self,
        topic: &str,
        message_id: &str,
    ) -> Result<Vec<ReadMessage>, AdminError> {
        find::by_unique_id(self, topic, message_id).await
    }

    /// # Errors
    /// When the producer is closed.
    pub(crate) fn client(&self) -> Result<&Arc<Client>, AdminError> {
        let client = self.producer.client();
        if client.ledger.phase() == Phase::Open { Ok(client) } else { Err(AdminError::Closed) }
    }

    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// The route document of a topic.
    pub(crate) async fn route(
        &self,
        topic: &str,
        deadline: Instant,
    ) -> Result<TopicRoute, AdminError> {
        let client = self.client()?;
        let wire_topic = client.ledger.config().on_wire(topic);
        validate::topic(&wire_topic).map_err(AdminError::Invalid)?;
        let route = client.directory.route(&wire_topic, deadline).await;
        let route = route.map_err(AdminError::of_look_up)?;
        route.ok_or_else(|| AdminError::NoTopic { topic: topic.to_owned() })
    }

    async fn ask_broker_of<R: Request>(
        &self,
        queue: &MessageQueue,
        request: impl FnOnce(WireQueue) -> R,
    ) -> Result<R::Answer, AdminError> {
        let deadline = self.deadline();
        let document = self.route(queue.topic(), deadline).await?;
        let wire = WireQueue::of(queue, &document, self.client()?.ledger.config());
        let wire = wire.ok_or_else(|| no_such_queue(queue))?;
        let address = master(&document, &wire.broker)?;
        self.ask(address, &request(wire), queue.topic(), deadline).await
    }

    /// Asks a broker. A connection that breaks is replaced once: it may have been idle for long.
    pub(crate) async fn ask<R: Request>(
        &self,
        address: &str,
        request: &R,
        topic: &str,
        deadline: Instant,
    ) -> Result<R::Answer, AdminError> {
        let connection = self.client()?.connection(address);
        let answer = match connection.call(request, deadline).await {
            Err(CallError::Lost { .. }) => connection.call(request, deadline).await,
            answer => answer,
        };
        answer.map_err(|error| AdminError::of_call(error, topic))
    }
}

/// The request for the offset that the next message of a queue will get.
pub(crate) fn max_offset_of(queue: WireQueue) -> MaxOffset {
    let WireQueue { topic, broker, id } = queue;
    MaxOffset { topic, queue_id: id, committed: Some(true), broker_name: Some(broker) }
}

/// The request for the offset of the first message stored at a time or later.
pub(crate) fn offset_at(queue: WireQueue, time: SystemTime) -> SearchOffset {
    SearchOffset {
        topic: queue.topic,
        queue_id: queue.id,
        timestamp_ms: ms_since_1970(time),
        boundary: Some("LOWER".to_owned()),
        broker_name: Some(queue.broker),
    }
}

/// Where a broker's master is.
fn master<'a>(document: &'a TopicRoute, broker: &str) -> Result<&'a str, AdminError> {
    let found = document.brokers.iter().find(|one| one.broker_name == broker);
    found.and_then(BrokerData::master).ok_or_else(|| {
        AdminError::Unreachable(format!("the route has no master of broker {broker}"))
    })
}

fn no_such_queue(queue: &MessageQueue) -> AdminError {
    AdminError::Invalid(format!(
        "topic {} has no queue {} on broker {}",
        queue.topic(),
        queue.id(),
        queue.broker()
    ))
}
