//! Sending: one message, or a batch.

use posthaste_protocol::batch::{self, EntryView};
use posthaste_protocol::id::{IdText, OffsetId};
use posthaste_protocol::properties::{self, Properties, name};
use posthaste_protocol::request::{SendAnswer, SendMessage, permission};
use posthaste_protocol::stored::sys_flag;
use posthaste_protocol::{ResponseCode, StoredMessage};

use super::topic::check_topic_name;
use crate::engine::groups::MAX_RECONSUME_TIMES;
use crate::engine::schedule;
use crate::engine::stamp::{REGION, Stamped};
use crate::engine::topics::{DLQ_PREFIX, READ_WRITE, RETRY_PREFIX, SCHEDULE_TOPIC, is_closed};
use crate::engine::{Engine, Millis, SessionId, refusal::Refusal};
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
        let is_known = self.topics.get(&message.topic).is_some();
        if !is_known {
            check_topic_name(&message.topic)?;
        }
        if is_closed(&message.topic) {
            let topic = &message.topic;
            return Err(Refusal::forbidden(format!(
                "Sending message to topic[{topic}] is forbidden."
            )));
        }
        self.check_store()?;
        if !is_known {
            self.create_for(message, commit)?;
        }
        let queue = self.queue_of(message)?;
        if message.body.is_empty() {
            return Err(Refusal::illegal("the message has no body"));
        }
        if message.body.len() > MAX_BODY {
            return Err(Refusal::illegal(format!(
                "the body has {} bytes; {MAX_BODY} is the most that is stored",
                message.body.len()
            )));
        }
        match message.batch {
            true => self.store_batch(now, session, queue, message, commit),
            false => self.store_single(now, session, queue, message, commit),
        }
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
            Refusal::invalid(format!("request queueId[{id}] is illegal, {config:?}"))
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
        let stamped = self.stamper.stamp(now, &message.properties);
        check_wishes(message, &stamped)?;
        let Stamped { text, unique_id, delay_level, .. } = stamped;
        let (max_reconsume_times, queue_id) = (message.max_reconsume_times, queue.queue);
        let mut stored = self.record(now, session, message, text);
        let mut place = queue;
        if is_used_up(&stored, max_reconsume_times) {
            place = self.turn_into_dead_letter(&mut stored, commit)?;
        } else if delay_level > 0 {
            let level = schedule::delay(&mut stored, queue_id, delay_level);
            place = self.schedule_queue(level)?;
        }
        if stored.properties.len() > properties::MAX_LENGTH {
            return Err(properties_too_long(stored.properties.len()));
        }
        self.append(place, &mut stored, commit)?;
        Ok(self.answer(queue_id, &stored, self.offset_id(&stored).to_string(), unique_id))
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
        let mut stored = self.record(now, session, message, String::new());
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

    /// A record of a message that has no place yet.
    fn record(
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
            born_host: self.sessions.get(&session).copied().unwrap_or(self.identity.store_host),
            stored_at_ms: now,
            store_host: self.identity.store_host,
            reconsume_times: message.reconsume_times,
            prepared_offset: 0,
            body: message.body.clone(),
            properties,
        }
    }

    fn answer(
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
            region: Some(REGION.to_owned()),
            trace_on: Some(true),
            ..SendAnswer::default()
        }
    }

    fn offset_id(&self, stored: &StoredMessage) -> IdText {
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

/// Refuses what this broker cannot do; stored as an ordinary message it would arrive too early.
fn check_wishes(message: &SendMessage<'_>, stamped: &Stamped) -> Result<(), Refusal> {
    let is_retry = message.reconsume_times > 0 && stamped.delay_level > 0;
    if stamped.is_half && !is_retry {
        return Err(Refusal::forbidden("this broker does not take transactional messages"));
    }
    if stamped.is_timer && stamped.delay_level <= 0 {
        return Err(Refusal::forbidden(
            "this broker does not take messages with a delivery time; it knows delay levels",
        ));
    }
    Ok(())
}

fn check_batch(message: &SendMessage<'_>) -> Result<(), Refusal> {
    if message.topic.starts_with(RETRY_PREFIX) {
        return Err(Refusal::illegal("batch request does not support retry group"));
    }
    if message.sys_flag & sys_flag::TRANSACTION != 0 {
        return Err(Refusal::illegal("a batch cannot be part of a transaction"));
    }
    if properties::find(&message.properties, name::DELAY).is_some() {
        return Err(Refusal::illegal("a batch cannot be delayed"));
    }
    Ok(())
}

/// Whether a message of a retry topic has come again too often.
fn is_used_up(message: &StoredMessage, limit: Option<i32>) -> bool {
    message.topic.starts_with(RETRY_PREFIX)
        && message.reconsume_times > limit.unwrap_or(MAX_RECONSUME_TIMES)
}

fn properties_too_long(length: usize) -> Refusal {
    Refusal::new(
        ResponseCode::MESSAGE_ILLEGAL,
        format!(
            "the properties have {length} bytes with what the broker adds; {} is the most that is stored",
            properties::MAX_LENGTH
        ),
    )
}
