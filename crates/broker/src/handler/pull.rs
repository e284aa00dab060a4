//! Pulling: messages of a queue from an offset on, now or as soon as there are some.

use bytes::{Bytes, BytesMut};
use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{Empty, Pull, PullAnswer, pull_flag};

use crate::engine::effects::{Caller, Effects, PLENTY};
use crate::engine::filter::Filter;
use crate::engine::groups::{MAX_GROUP_LENGTH, no_group};
use crate::engine::parked::ParkedPull;
use crate::engine::topics::is_name;
use crate::engine::{Engine, Millis, refusal::Refusal};
use crate::location::QueueKey;
use crate::store::StoreError;

/// The most messages in an answer.
const MAX_MESSAGES: usize = 1_024;
/// The most bytes of messages in an answer; one message always fits.
const MAX_BYTES: usize = 256 * 1024;
/// How many messages are looked at for one answer: a filter that seldom matches ends somewhere.
const MAX_EXAMINED: usize = 4_096;
/// And how many bytes are read for it; one block always.
const MAX_EXAMINED_BYTES: usize = 1024 * 1024;
/// How many bytes a turn reads for all pulls together, some 10 ms of work. Further ones get
/// nothing, and are asked to come again.
const READ_AT_ONCE: usize = 16 * 1024 * 1024;
/// The longest time that a pull waits.
const MAX_SUSPEND_MS: i64 = 60_000;

/// How a pull ends: code, remark, where to go on, messages.
struct Found {
    code: ResponseCode,
    status: &'static str,
    next: u64,
    messages: Bytes,
    /// How many messages there are.
    count: u64,
}

impl Found {
    fn nothing(code: ResponseCode, status: &'static str, next: u64) -> Self {
        Self { code, status, next, messages: Bytes::new(), count: 0 }
    }

    /// Whether the asker is at the end of the queue and may wait there.
    fn is_at_end(&self) -> bool {
        self.code == ResponseCode::PULL_NOT_FOUND
    }
}

/// Has the asker go on at an offset that was set: a client drops what it has pulled then.
fn moved(offset: u64) -> Found {
    Found::nothing(ResponseCode::PULL_OFFSET_MOVED, "OFFSET_RESET", offset)
}

impl Engine {
    /// 11, 361.
    pub(crate) fn pull(&mut self, now: Millis, caller: Caller, pull: Pull, effects: &mut Effects) {
        let result = self.check_pull(&pull).and_then(|(queue, filter)| {
            let start = u64::try_from(pull.queue_offset).unwrap_or(0);
            let room = MAX_BYTES.min(PLENTY.saturating_sub(effects.pending(caller.session)));
            let found = self.fetch(&pull, queue, start, &filter, room)?;
            Ok((queue, filter, found))
        });
        let (queue, filter, found) = match result {
            Ok(parts) => parts,
            Err(refusal) => return effects.answer::<Empty>(caller, Err(refusal)),
        };
        if self.groups.known(&pull.group).is_none() {
            self.peers.pulled_as(caller.session, &pull.group);
        }
        let group = self.groups.get_mut(&pull.group);
        if let Some(offset) = group.and_then(|group| group.take_reset(queue)) {
            let group = (pull.group.as_str(), queue);
            return self.answer_pull(now, caller, group, &moved(offset), effects);
        }
        if pull.sys_flag & pull_flag::COMMIT != 0 {
            self.groups.set_offset(&pull.group, &pull.topic, pull.queue_id, pull.commit_offset);
        }
        let suspend_ms = pull.suspend_ms.min(MAX_SUSPEND_MS);
        let may_wait = pull.sys_flag & pull_flag::SUSPEND != 0 && suspend_ms > 0 && !caller.oneway;
        if !found.is_at_end() || !may_wait || self.parked.is_full(caller.session) {
            return self.answer_pull(now, caller, (&pull.group, queue), &found, effects);
        }
        let (deadline, resume_at) = (now + suspend_ms, found.next);
        // The filter has it.
        let pull = Pull { subscription: None, ..pull };
        self.parked.park(ParkedPull { caller, pull, filter, queue, resume_at, deadline });
    }

    /// The checks, in the order of a real broker.
    fn check_pull(&self, pull: &Pull) -> Result<(QueueKey, Filter), Refusal> {
        if !is_name(&pull.group, MAX_GROUP_LENGTH) {
            return Err(no_group(&pull.group));
        }
        if self.groups.get(&pull.group).is_some_and(|group| !group.may_consume()) {
            let why = format!("subscription group no permission, {}", pull.group);
            return Err(Refusal::forbidden(why));
        }
        let Some(topic) = self.topics.get(&pull.topic) else {
            return Err(Refusal::no_topic(&pull.topic));
        };
        if !topic.is_readable() {
            return Err(Refusal::forbidden(format!(
                "the topic[{}] pulling message is forbidden",
                pull.topic
            )));
        }
        let read_queues = topic.config.read_queues;
        let queue = u16::try_from(pull.queue_id).ok().filter(|queue| *queue < read_queues);
        let Some(queue) = queue.map(|queue| topic.key(queue)) else {
            let (id, name) = (pull.queue_id, &pull.topic);
            return Err(Refusal::invalid(format!(
                "queueId[{id}] is illegal, topic:[{name}] topicConfig.readQueueNums:[{read_queues}]"
            )));
        };
        Ok((queue, self.filter_of(pull)?))
    }

    /// What a pull wants: as it says itself, or as its group's heartbeats say.
    fn filter_of(&self, pull: &Pull) -> Result<Filter, Refusal> {
        if pull.sys_flag & pull_flag::SUBSCRIPTION != 0 {
            let kind = pull.expression_type.as_deref().unwrap_or_default();
            let text = pull.subscription.as_deref().unwrap_or_default();
            return Filter::read(kind, text, self.sql_filters);
        }
        let group = self.groups.get(&pull.group);
        let Some(known) = group.and_then(|group| group.subscriptions.get(&pull.topic)) else {
            return Err(Refusal::new(
                ResponseCode::SUBSCRIPTION_NOT_EXIST,
                "the consumer's subscription not exist",
            ));
        };
        if known.sub_version < pull.sub_version {
            return Err(Refusal::new(
                ResponseCode::SUBSCRIPTION_NOT_LATEST,
                "the consumer's subscription not latest",
            ));
        }
        Filter::read(&known.expression_type, &known.sub_string, self.sql_filters)
    }

    /// Looks for messages from `start` on.
    fn fetch(
        &mut self,
        pull: &Pull,
        queue: QueueKey,
        start: u64,
        filter: &Filter,
        room: usize,
    ) -> Result<Found, StoreError> {
        let (first, end) = (self.first_offset(queue), self.topics.ends(queue).committed);
        if start < first {
            return Ok(Found::nothing(ResponseCode::PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL", first));
        }
        if start > end {
            let status = if end == 0 { "NO_MESSAGE_IN_QUEUE" } else { "OFFSET_OVERFLOW_BADLY" };
            return Ok(Found::nothing(ResponseCode::PULL_OFFSET_MOVED, status, end));
        }
        if start == end {
            let status = if end == 0 { "NO_MESSAGE_IN_QUEUE" } else { "OFFSET_OVERFLOW_ONE" };
            return Ok(Found::nothing(ResponseCode::PULL_NOT_FOUND, status, end));
        }
        if room == 0 || self.read_for_pulls >= READ_AT_ONCE {
            return Ok(Found::nothing(ResponseCode::PULL_RETRY_IMMEDIATELY, "PLENTY", start));
        }
        let count = usize::try_from(pull.max_messages).unwrap_or(0).clamp(1, MAX_MESSAGES);
        let asked = pull.max_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let room = asked.filter(|bytes| *bytes > 0).map_or(room, |bytes| bytes.min(room));
        let (next, messages, count) = self.collect(queue, start..end, filter, count, room)?;
        Ok(match messages.is_empty() {
            true => {
                Found::nothing(ResponseCode::PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE", next)
            }
            false => Found { code: ResponseCode::SUCCESS, status: "FOUND", next, messages, count },
        })
    }

    /// Copies the wanted messages of a range. Also says up to where it has looked, and how many
    /// there are.
    fn collect(
        &mut self,
        queue: QueueKey,
        range: std::ops::Range<u64>,
        filter: &Filter,
        count: usize,
        room: usize,
    ) -> Result<(u64, Bytes, u64), StoreError> {
        let (mut next, mut messages, mut taken) = (range.start, BytesMut::new(), 0);
        let enough = self.read_for_pulls + MAX_EXAMINED_BYTES;
        while next < range.end && next - range.start < MAX_EXAMINED as u64 {
            if self.read_for_pulls >= enough {
                break;
            }
            let Some(block) = self.store.block(queue, next)? else { break };
            self.read_for_pulls += block.bytes.len();
            let before = next;
            for record in block.records_from(next) {
                if filter.wants(&record) {
                    let is_full = taken == count || messages.len() + record.bytes().len() > room;
                    if taken > 0 && is_full {
                        return Ok((next, messages.freeze(), taken as u64));
                    }
                    messages.extend_from_slice(record.bytes());
                    taken += 1;
                }
                next = record.offset() + 1;
            }
            if next == before {
                let text = format!("the messages at offset {next} of a queue cannot be read");
                return Err(StoreError::Damaged(text));
            }
        }
        Ok((next, messages.freeze(), taken as u64))
    }

    fn answer_pull(
        &mut self,
        now: Millis,
        caller: Caller,
        (group, queue): (&str, QueueKey),
        found: &Found,
        effects: &mut Effects,
    ) {
        if found.count > 0 {
            self.got += found.count;
            self.got_meter.record(now, found.count);
            self.groups.count(now, group, queue, found.next, found.count);
        }
        let answer = PullAnswer {
            suggested_broker: 0,
            next_offset: found.next as i64,
            min_offset: self.first_offset(queue) as i64,
            max_offset: self.topics.ends(queue).committed as i64,
            offset_delta: None,
            messages: found.messages.clone(),
        };
        effects.answer_with(caller, found.code, Some(found.status), &answer);
    }

    /// Answers the pulls that wait for a queue's messages, where there are wanted ones among the
    /// new. The others go on waiting.
    pub(crate) fn wake_pulls(&mut self, now: Millis, queue: QueueKey, effects: &mut Effects) {
        for mut parked in self.parked.of_queue(queue) {
            let pending = effects.pending(parked.caller.session);
            match self.fetch_parked(&mut parked, pending) {
                Ok(Some(found)) => {
                    let ParkedPull { caller, pull, .. } = parked;
                    self.answer_pull(now, caller, (&pull.group, queue), &found, effects);
                }
                Ok(None) => self.parked.park(parked),
                Err(error) => effects.answer::<Empty>(parked.caller, Err(error.into())),
            }
        }
    }

    /// Looks through what has arrived since a parked pull last looked; `None` when nothing of it
    /// is wanted.
    fn fetch_parked(
        &mut self,
        parked: &mut ParkedPull,
        pending: usize,
    ) -> Result<Option<Found>, StoreError> {
        let room = MAX_BYTES.min(PLENTY.saturating_sub(pending));
        loop {
            let (queue, start) = (parked.queue, parked.resume_at);
            let found = self.fetch(&parked.pull, queue, start, &parked.filter, room)?;
            parked.resume_at = found.next;
            match found.code {
                ResponseCode::PULL_RETRY_IMMEDIATELY if found.next > start => {}
                ResponseCode::PULL_NOT_FOUND => return Ok(None),
                _ => return Ok(Some(found)),
            }
        }
    }

    /// Answers the pulls of a group that wait for messages of a queue, whose offset was set.
    pub(crate) fn move_parked(
        &mut self,
        now: Millis,
        group: &str,
        queue: QueueKey,
        effects: &mut Effects,
    ) {
        for parked in self.parked.of_queue(queue) {
            if parked.pull.group != group {
                self.parked.park(parked);
                continue;
            }
            let reset = self.groups.get_mut(group).and_then(|group| group.take_reset(queue));
            let found = moved(reset.unwrap_or(parked.resume_at));
            self.answer_pull(now, parked.caller, (group, queue), &found, effects);
        }
    }

    /// Answers the pulls that have waited long enough.
    pub(crate) fn answer_expired(&mut self, now: Millis, effects: &mut Effects) {
        for parked in self.parked.expired(now) {
            // What was looked at and not wanted is reported, so that it is not looked at again.
            let skipped = i64::try_from(parked.resume_at) != Ok(parked.pull.queue_offset);
            let (code, status) = match skipped {
                true => (ResponseCode::PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE"),
                false => (ResponseCode::PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE"),
            };
            let found = Found::nothing(code, status, parked.resume_at);
            let ParkedPull { caller, pull, queue, .. } = parked;
            self.answer_pull(now, caller, (&pull.group, queue), &found, effects);
        }
    }
}
