//! Sending: one message, or a batch.

use posthaste_protocol::StoredMessage;
use posthaste_protocol::batch::{self, EntryView};
use posthaste_protocol::id::{IdText, OffsetId};
use posthaste_protocol::properties::{self, Properties, name};
use posthaste_protocol::request::{RecallHandle, SendAnswer, SendMessage, permission};
use posthaste_protocol::stored::sys_flag;

use super::topic::check_topic_name;
use crate::engine::groups::MAX_RECONSUME_TIMES;
use crate::engine::registry::Member;
use crate::engine::stamp::{REGION, Stamped, check_properties};
use crate::engine::topics::{DLQ_PREFIX, READ_WRITE, RETRY_PREFIX, SCHEDULE_TOPIC, is_closed};
use crate::engine::wishes::Course;
use crate::engine::{Engine, Millis, SessionId, refusal::Refusal, schedule, timers};
use crate::location::QueueKey;
use crate::store::Commit;

/// The longest body, of a batch the whole one.
const MAX_BODY: usize = 4 * 1024 * 1024;

impl Engine {
    /// 10, 310, 320. The checks come in the order of a real broker.
    pub(crate) fn send(
        &mut self,
        now: Millis,
        session: SessionId,
        message: &SendMessage<'_>,
        commit: &mut Commit,
    ) -> Result<SendAnswer, Refusal> {
        self.check_topic(message)?;
        self.check_role()?;
        self.check_store()?;
        let queue = self.queue_or_new(message, commit)?;
        check_body(message)?;
        match message.batch {
            true => self.store_batch(now, session, queue, message, commit),
            false => self.store_single(now, session, queue, message, commit),
        }
    }

    /// Whether messages may be sent to this broker.
    fn check_role(&self) -> Result<(), Refusal> {
        match self.member.as_ref().is_none_or(Member::takes_sends) {
            true => Ok(()),
            false => Err(Refusal::unavailable("the broker is no master; it takes no messages")),
        }
    }

    /// Whether a client may send to the topic, should it exist.
    pub(super) fn check_topic(&self, message: &SendMessage<'_>) -> Result<(), Refusal> {
        let topic = &message.topic;
        if self.topics.get(topic).is_none() {
            check_topic_name(topic)?;
        }
        match is_closed(topic) {
            true => {
                Err(Refusal::forbidden(format!("Sending message to topic[{topic}] is forbidden.")))
            }
            false => Ok(()),
        }
    }

    /// The queue that is meant, of a topic that comes into being with its first message.
    pub(super) fn queue_or_new(
        &mut self,
        message: &SendMessage<'_>,
        commit: &mut Commit,
    ) -> Result<QueueKey, Refusal> {
        if self.topics.get(&message.topic).is_none() {
            self.create_for(message, commit)?;
        }
        self.queue_of(message)
    }

    /// Creates a topic that does not exist: one for retries as such, any other in the likeness of
    /// the default topic that the sender names.
    fn create_for(
        &mut self,
        message: &SendMessage<'_>,
        commit: &mut Commit,
    ) -> Result<(), Refusal> {
        let name = &message.topic;
        if name.starts_with(RETRY_PREFIX) {
            return self.set_topic(name, (1, 1), READ_WRITE, commit);
        }
        let model = self.topic(&message.default_topic).filter(|topic| topic.is_inherited());
        let Some(model) = model else {
            return Err(Refusal::no_topic(name));
        };
        let wanted = u16::try_from(message.default_topic_queues).unwrap_or(0);
        let queues = wanted.min(model.config.write_queues);
        let perm = model.config.perm & !permission::INHERIT;
        self.set_topic(name, (queues, queues), perm, commit)
    }

    /// The queue that is meant; a negative one leaves the choice to the broker.
    fn queue_of(&mut self, message: &SendMessage<'_>) -> Result<QueueKey, Refusal> {
        let Some(topic) = self.topics.get(&message.topic) else {
            return Err(Refusal::no_topic(&message.topic));
        };
        let queue = match u16::try_from(message.queue_id) {
            Ok(queue) => Some(queue).filter(|queue| *queue < topic.queue_count()),
            Err(_) if message.queue_id < 0 && topic.config.write_queues > 0 => {
                Some(self.random.u16(..topic.config.write_queues))
            }
            Err(_) => None,
        };
        queue.map(|queue| topic.key(queue)).ok_or_else(|| {
            let (id, config) = (message.queue_id, &topic.config);
            let (name, queues) = (&config.name, topic.queue_count());
            Refusal::invalid(format!(
                "request queueId[{id}] is illegal, topic {name} has {queues} queues"
            ))
        })
    }

    fn store_single(
        &mut self,
        now: Millis,
        session: SessionId,
        queue: QueueKey,
        message: &SendMessage<'_>,
        commit: &mut Commit,
    ) -> Result<SendAnswer, Refusal> {
        let Stamped { text, unique_id, wishes } = self.stamper.stamp(now, &message.properties);
        let mut stored = self.message_of(now, session, message, text);
        let mut recall_handle = None;
        // What comes again from a consumer is no half message any more.
        let is_half = wishes.is_half && !(stored.reconsume_times > 0 && wishes.delay_level > 0);
        if is_half && wishes.is_delayed() {
            return Err(Refusal::illegal(
                "a half message cannot be delayed: real brokers store it, and never deliver it \
                 after its commit; send it once the transaction is committed",
            ));
        }
        let course = wishes.course(now)?;
        if is_used_up(&stored, message.max_reconsume_times) {
            let place = self.turn_into_dead_letter(&mut stored, commit)?;
            self.put_on_course(Course::AtOnce, place, &mut stored, commit)?;
        } else if is_half {
            self.store_half(now, &message.group, queue.queue, &mut stored, commit)?;
        } else {
            self.put_on_course(course, queue, &mut stored, commit)?;
            recall_handle = self.recall_handle(course, &message.topic, &unique_id);
        }
        let id = self.offset_id(&stored).as_str().to_owned();
        Ok(SendAnswer { recall_handle, ..self.answer(queue.queue, &stored, id, unique_id) })
    }

    /// Stores a message so that it is delivered to `queue` when its time has come.
    pub(super) fn put_on_course(
        &mut self,
        course: Course,
        queue: QueueKey,
        message: &mut StoredMessage,
        commit: &mut Commit,
    ) -> Result<(), Refusal> {
        match course {
            Course::AtOnce => {
                check_properties(message, 0)?;
                self.append(queue, message, commit)
            }
            Course::Level(level) => {
                let level = schedule::delay(message, queue.queue, level);
                check_properties(message, 0)?;
                self.append(self.schedule_queue(level)?, message, commit)
            }
            Course::At(due) => self.store_timer(due, queue.queue, message, commit),
        }
    }

    /// By what the sender can take a timer message back. A message that is retried has none.
    fn recall_handle(&self, course: Course, topic: &str, unique_id: &str) -> Option<String> {
        let Course::At(due) = course else { return None };
        let handle = RecallHandle {
            topic: topic.to_owned(),
            broker: self.identity.broker.clone(),
            deliver_at_ms: timers::rounded(due) + 1,
            unique_id: unique_id.to_owned(),
        };
        (!topic.starts_with(RETRY_PREFIX)).then(|| handle.to_string())
    }

    /// All messages of a batch get consecutive places, or none gets one.
    fn store_batch(
        &mut self,
        now: Millis,
        session: SessionId,
        queue: QueueKey,
        message: &SendMessage<'_>,
        commit: &mut Commit,
    ) -> Result<SendAnswer, Refusal> {
        check_batch(message)?;
        let entries: Vec<EntryView<'_>> = batch::entries(&message.body)
            .collect::<Result<_, _>>()
            // Real brokers stumble over it, and answer 1.
            .map_err(|error| Refusal::system_error(error.to_string()))?;
        let room = self.topics.ends(queue).next + entries.len() as u64;
        if room > crate::location::MAX_OFFSET {
            return Err(Refusal::unavailable("the queue has no room for the batch"));
        }
        let unique_id = properties::find(&message.properties, name::UNIQ_KEY).unwrap_or_default();
        let mut stored = self.message_of(now, session, message, String::new());
        let mut ids = String::with_capacity(entries.len() * 33);
        let first = self.topics.ends(queue).next;
        for EntryView { flag, body, properties } in entries {
            stored.flag = flag;
            stored.body = message.body.slice_ref(body);
            // They stay exactly as the client wrote them.
            properties.clone_into(&mut stored.properties);
            self.append(queue, &mut stored, commit)?;
            if !ids.is_empty() {
                ids.push(',');
            }
            ids.push_str(self.offset_id(&stored).as_str());
        }
        stored.queue_offset = first as i64;
        Ok(self.answer(queue.queue, &stored, ids, unique_id.to_owned()))
    }

    /// A message that was sent and has no place yet.
    pub(super) fn message_of(
        &self,
        now: Millis,
        session: SessionId,
        message: &SendMessage<'_>,
        properties: String,
    ) -> StoredMessage {
        StoredMessage {
            topic: message.topic.clone().into_owned(),
            queue_id: 0,
            queue_offset: 0,
            physical_offset: 0,
            flag: message.flag,
            sys_flag: message.sys_flag,
            born_at_ms: message.born_at_ms,
            born_host: self.peers.address(session).unwrap_or(self.identity.store_host),
            stored_at_ms: now,
            store_host: self.identity.store_host,
            reconsume_times: message.reconsume_times,
            prepared_offset: 0,
            body: message.body.clone(),
            properties,
        }
    }

    pub(super) fn answer(
        &self,
        queue_id: u16,
        stored: &StoredMessage,
        offset_message_id: String,
        unique_id: String,
    ) -> SendAnswer {
        SendAnswer {
            offset_message_id,
            queue_id: i32::from(queue_id),
            queue_offset: stored.queue_offset,
            transaction_id: Some(unique_id).filter(|id| !id.is_empty()),
            region: Some(REGION.into()),
            trace_on: Some(true),
            ..SendAnswer::default()
        }
    }

    pub(super) fn offset_id(&self, stored: &StoredMessage) -> IdText {
        let host = self.identity.store_host;
        OffsetId { host, offset: stored.physical_offset }.text()
    }

    /// The queue in which messages of a delay level wait.
    pub(super) fn schedule_queue(&self, level: u16) -> Result<QueueKey, Refusal> {
        let topic = self.topics.get(SCHEDULE_TOPIC).map(|topic| topic.key(level));
        topic.ok_or_else(|| Refusal::no_topic(SCHEDULE_TOPIC))
    }

    /// Sends a message on to the dead letters of the group whose retry topic it has.
    pub(super) fn turn_into_dead_letter(
        &mut self,
        message: &mut StoredMessage,
        commit: &mut Commit,
    ) -> Result<QueueKey, Refusal> {
        let group = message.topic.strip_prefix(RETRY_PREFIX).unwrap_or(&message.topic);
        message.topic = format!("{DLQ_PREFIX}{group}");
        // Dead letters are not delayed.
        let mut properties = Properties::decode(&message.properties);
        properties.remove(name::DELAY);
        message.properties = properties.to_wire();
        if self.topics.get(&message.topic).is_none() {
            self.set_topic(&message.topic, (1, 1), READ_WRITE, commit)?;
        }
        let topic = self.topics.get(&message.topic).map(|topic| topic.key(0));
        topic.ok_or_else(|| Refusal::no_topic(&message.topic))
    }
}

/// Whether a body may be stored.
pub(super) fn check_body(message: &SendMessage<'_>) -> Result<(), Refusal> {
    match message.body.is_empty() {
        true => Err(Refusal::illegal("the message has no body")),
        false => check_length(message),
    }
}

/// Whether a body is short enough.
pub(super) fn check_length(message: &SendMessage<'_>) -> Result<(), Refusal> {
    match message.body.len() {
        0..=MAX_BODY => Ok(()),
        length => Err(Refusal::illegal(format!(
            "the body has {length} bytes; {MAX_BODY} is the most that is stored"
        ))),
    }
}

fn check_batch(message: &SendMessage<'_>) -> Result<(), Refusal> {
    if message.topic.starts_with(RETRY_PREFIX) {
        return Err(Refusal::illegal("batch request does not support retry group"));
    }
    if message.sys_flag & sys_flag::TRANSACTION != 0 {
        return Err(Refusal::illegal("a batch cannot be part of a transaction"));
    }
    let delays = [name::DELAY, name::TIMER_DELAY_SEC, name::TIMER_DELAY_MS, name::TIMER_DELIVER_MS];
    if delays.iter().any(|delay| properties::find(&message.properties, delay).is_some()) {
        return Err(Refusal::illegal("a batch cannot be delayed"));
    }
    Ok(())
}

/// Whether a message of a retry topic has come again too often.
fn is_used_up(message: &StoredMessage, limit: Option<i32>) -> bool {
    message.topic.starts_with(RETRY_PREFIX)
        && message.reconsume_times > limit.unwrap_or(MAX_RECONSUME_TIMES)
}
