//! A consumer gives a message back: it comes again later, or goes to the dead letters.

use posthaste_protocol::id::OffsetId;
use posthaste_protocol::properties::{Properties, name};
use posthaste_protocol::request::{Empty, RawBody, SendBack, ViewMessage};
use posthaste_protocol::{ResponseCode, StoredMessage};

use crate::engine::groups::{MAX_RECONSUME_TIMES, no_group};
use crate::engine::schedule;
use crate::engine::stamp::check_properties;
use crate::engine::topics::{READ_WRITE, RETRY_PREFIX};
use crate::engine::{Engine, Millis, refusal::Refusal};
use crate::location::QueueKey;
use crate::store::{Commit, Record};

/// The level of the first retry (10 s), when the consumer leaves it to the broker.
const FIRST_LEVEL: i32 = 3;

impl Engine {
    /// 36: stores the message once more, delayed, for the group's retry topic.
    pub(crate) fn send_back(
        &mut self,
        now: Millis,
        request: &SendBack,
        commit: &mut Commit,
    ) -> Result<Empty, Refusal> {
        self.check_store()?;
        self.ensure_group(&request.group, commit)?;
        let retry_topic = format!("{RETRY_PREFIX}{}", request.group);
        let Some(topic) = self.topics.get(&retry_topic) else {
            return Err(Refusal::no_topic(&retry_topic));
        };
        if !topic.is_writable() || topic.config.write_queues == 0 {
            return Err(Refusal::forbidden(format!("the topic[{retry_topic}] is not writable")));
        }
        let queue_id = self.random.u16(..topic.config.write_queues);
        let message = self.record_at(request.offset)?.and_then(|record| record.message());
        let Some(mut message) = message else {
            let offset = request.offset;
            return Err(Refusal::system_error(format!("look message by offset failed, {offset}")));
        };
        remember_origin(&mut message);
        let group = self.groups.get(&request.group);
        let retries = group.map_or(MAX_RECONSUME_TIMES, |group| group.retries());
        let limit = request.max_reconsume_times.unwrap_or(retries);
        message.topic = retry_topic;
        message.stored_at_ms = now;
        let place = if message.reconsume_times >= limit || request.delay_level < 0 {
            self.turn_into_dead_letter(&mut message, commit)?
        } else {
            let level = match request.delay_level {
                0 => message.reconsume_times.saturating_add(FIRST_LEVEL),
                level => level,
            };
            let level = schedule::delay(&mut message, queue_id, level);
            self.schedule_queue(level)?
        };
        message.reconsume_times = message.reconsume_times.saturating_add(1);
        // What does not fit is cut off when it is stored: where the message is to go, too.
        check_properties(&message, 0)?;
        self.append(place, &mut message, commit)?;
        Ok(Empty)
    }

    /// 33: one message by its physical offset.
    pub(crate) fn view_message(&self, request: &ViewMessage) -> Result<RawBody, Refusal> {
        match self.record_at(request.offset)? {
            Some(record) => Ok(RawBody(record.bytes().clone())),
            None => Err(Refusal::new(
                ResponseCode::SYSTEM_ERROR,
                format!("can not find message by the offset, {}", request.offset),
            )),
        }
    }

    pub(super) fn record_at(&self, physical: i64) -> Result<Option<Record>, Refusal> {
        let Some((queue, offset)) = QueueKey::of_physical(physical) else { return Ok(None) };
        Ok(self.record(queue, offset)?)
    }

    /// The group, its retry topic with it.
    pub(super) fn ensure_group(&mut self, group: &str, commit: &mut Commit) -> Result<(), Refusal> {
        let Some(known) = self.groups.ensure(group) else { return Err(no_group(group)) };
        let queues = known.retry_queues();
        let retry_topic = format!("{RETRY_PREFIX}{group}");
        if self.topics.get(&retry_topic).is_none() {
            self.set_topic(&retry_topic, (queues, queues), READ_WRITE, commit)?;
        }
        Ok(())
    }
}

/// Notes where a message comes from, the first time that it is given back. Consumers find their
/// listener by the topic's name.
fn remember_origin(message: &mut StoredMessage) {
    let mut properties = Properties::decode(&message.properties);
    if properties.get(name::RETRY_TOPIC).is_none() {
        properties.set(name::RETRY_TOPIC, message.topic.clone());
    }
    if properties.get(name::ORIGIN_MESSAGE_ID).is_none() {
        let id = OffsetId { host: message.store_host, offset: message.physical_offset };
        properties.set(name::ORIGIN_MESSAGE_ID, id.to_string());
    }
    properties.set(name::WAIT, "false");
    message.properties = properties.to_wire();
}
