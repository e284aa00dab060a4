//! Offsets: of queues, and of consumer groups in queues.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{
    EarliestStoreTime, Empty, MaxOffset, MinOffset, OffsetAnswer, QueryConsumerOffset,
    SearchOffset, StoreTime, UpdateConsumerOffset,
};

use crate::engine::{Engine, Millis, SessionId, refusal::Refusal};
use crate::location::QueueKey;

impl Engine {
    /// 30: the offset that a queue's next message gets; 0 for a queue that is not there.
    pub(crate) fn max_offset(&self, request: &MaxOffset) -> Result<OffsetAnswer, Refusal> {
        let queue = self.queue(&request.topic, request.queue_id);
        let offset = queue.map_or(0, |queue| self.topics.ends(queue).committed);
        Ok(OffsetAnswer { offset: offset as i64 })
    }

    /// 31: the offset of the oldest message; 0 for a queue that is not there.
    pub(crate) fn min_offset(&self, request: &MinOffset) -> Result<OffsetAnswer, Refusal> {
        let queue = self.queue(&request.topic, request.queue_id);
        let offset = queue.map_or(0, |queue| self.first_offset(queue));
        Ok(OffsetAnswer { offset: offset as i64 })
    }

    /// 29: the offset of the first message stored at or after a time, the end when all are older;
    /// with the boundary `UPPER` that of the last message stored at or before it.
    pub(crate) fn search_offset(&self, request: &SearchOffset) -> Result<OffsetAnswer, Refusal> {
        let Some(queue) = self.queue(&request.topic, request.queue_id) else {
            return Ok(OffsetAnswer { offset: 0 });
        };
        let is_upper = request.boundary.as_deref().is_some_and(|b| b.eq_ignore_ascii_case("UPPER"));
        let mut low = self.first_offset(queue);
        let mut high = self.topics.ends(queue).committed;
        while low < high {
            let middle = low + (high - low) / 2;
            let stored_at = self.stored_at(queue, middle)?.unwrap_or(Millis::MAX);
            let is_before = match is_upper {
                true => stored_at <= request.timestamp_ms,
                false => stored_at < request.timestamp_ms,
            };
            match is_before {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let first = self.first_offset(queue);
        let offset = if is_upper { low.saturating_sub(1).max(first) } else { low };
        Ok(OffsetAnswer { offset: offset as i64 })
    }

    /// 32: when the oldest message of a queue was stored; −1 when there is none.
    pub(crate) fn earliest_store_time(
        &self,
        request: &EarliestStoreTime,
    ) -> Result<StoreTime, Refusal> {
        let oldest = match self.queue(&request.topic, request.queue_id) {
            Some(queue) => self.stored_at(queue, self.first_offset(queue))?,
            None => None,
        };
        Ok(StoreTime { timestamp_ms: oldest.unwrap_or(-1) })
    }

    /// 14: how far a group has come. A group that is new to a queue which still has its first
    /// message begins with that one.
    ///
    /// The only error is 22: 4.7 clients take any other for "no offset" too, and skip messages.
    pub(crate) fn query_consumer_offset(
        &self,
        request: &QueryConsumerOffset,
    ) -> Result<OffsetAnswer, Refusal> {
        let group = self.groups.get(&request.group);
        let queue = self.queue(&request.topic, request.queue_id);
        if let Some(offset) = group.zip(queue).and_then(|(group, queue)| group.reset(queue)) {
            return Ok(OffsetAnswer { offset: offset as i64 });
        }
        if let Some(offset) = group.and_then(|g| g.offset(&request.topic, request.queue_id)) {
            return Ok(OffsetAnswer { offset });
        }
        // With its very first message it is young.
        let young = queue.filter(|queue| self.first_offset(*queue) == self.topics.base(*queue));
        if let Some(queue) = young.filter(|_| request.zero_if_missing != Some(false)) {
            return Ok(OffsetAnswer { offset: self.topics.base(queue) as i64 });
        }
        Err(Refusal::new(
            ResponseCode::QUERY_NOT_FOUND,
            "Not found, maybe this group consumer boot first",
        ))
    }

    /// 15: how far a group has come now, also when that is back. A group is there once a member has
    /// sent a heartbeat or pulled, or a tool has created it. Offsets of a member that does not
    /// know yet that its offset was set are ignored.
    pub(crate) fn update_consumer_offset(
        &mut self,
        session: SessionId,
        request: &UpdateConsumerOffset,
    ) -> Result<Empty, Refusal> {
        let name = &request.group;
        if self.groups.known(name).is_none() && !self.peers.pulls_as(session, name) {
            let why = format!("Group {name} not exist!");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, why));
        }
        if self.topics.get(&request.topic).is_none() {
            return Err(Refusal::no_topic(&request.topic));
        }
        let Some(queue) = self.queue(&request.topic, request.queue_id) else {
            return Err(Refusal::invalid(format!("queueId[{}] is illegal", request.queue_id)));
        };
        if self.groups.get(name).is_some_and(|group| group.reset(queue).is_some()) {
            return Ok(Empty);
        }
        self.groups.set_offset(&request.group, &request.topic, request.queue_id, request.offset);
        Ok(Empty)
    }

    /// The queue with this number of a topic.
    pub(super) fn queue(&self, topic: &str, queue_id: i32) -> Option<QueueKey> {
        let topic = self.topics.get(topic)?;
        let queue = u16::try_from(queue_id).ok().filter(|queue| *queue < topic.queue_count())?;
        Some(topic.key(queue))
    }

    fn stored_at(&self, queue: QueueKey, offset: u64) -> Result<Option<Millis>, Refusal> {
        Ok(self.record(queue, offset)?.map(|record| record.stored_at_ms()))
    }
}
