//! Offsets of consumer groups that tools set.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{CloneOffsets, Empty, ResetOffset, ResetOffsets, SearchOffset};

use crate::engine::effects::Effects;
use crate::engine::{Engine, Millis, refusal::Refusal};
use crate::location::QueueKey;

impl Engine {
    /// 222: sets a group's offsets in a topic. Connected members learn of it with their
    /// next pulls; members whose pulls wait learn of it at once. They hear that their offset has
    /// moved, drop what they have pulled, and go on from there (Java: `useServerSideResetOffset`, the default of 5.x).
    pub(crate) fn reset_offset(
        &mut self,
        now: Millis,
        request: &ResetOffset,
        out: &mut Effects,
    ) -> Result<ResetOffsets, Refusal> {
        let (name, group) = (&request.topic, &request.group);
        let Some(topic) = self.topics.get(name) else {
            let why = format!("Topic {name} does not exist");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, why));
        };
        let queues: Vec<QueueKey> =
            (0..topic.config.read_queues).map(|queue| topic.key(queue)).collect();
        if self.groups.known(group).is_none() {
            let why = format!("Group {group} does not exist");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, why));
        }
        let meant = self.meant(request, queues)?;
        if meant.is_empty() {
            return Err(Refusal::system_error("No queues to reset."));
        }
        for (key, offset) in &meant {
            self.groups.set_offset(group, name, i32::from(key.queue), *offset as i64);
            if let Some(group) = self.groups.get_mut(group) {
                group.put_reset(*key, *offset);
            }
            self.move_parked(now, group, *key, out);
        }
        let told = meant.iter().map(|(key, offset)| (self.queue_name(name, *key), *offset as i64));
        Ok(ResetOffsets { offsets: told.collect() })
    }

    /// The queues that are meant, and the offset of each.
    fn meant(
        &self,
        request: &ResetOffset,
        queues: Vec<QueueKey>,
    ) -> Result<Vec<(QueueKey, u64)>, Refusal> {
        let wanted = request.queue_id.unwrap_or(-1);
        if wanted < 0 {
            let found = queues.into_iter().map(|key| Ok((key, self.offset_at(request, key)?)));
            return found.collect();
        }
        let key = queues.into_iter().find(|key| i32::from(key.queue) == wanted);
        let key = key.ok_or_else(|| Refusal::invalid(format!("queueId[{wanted}] is illegal")))?;
        let Some(offset) = request.offset.filter(|offset| *offset != -1) else {
            return Ok(vec![(key, self.offset_at(request, key)?)]);
        };
        let (min, max) = (self.first_offset(key), self.topics.ends(key).committed);
        match u64::try_from(offset) {
            Ok(offset) if (min..=max + 1).contains(&offset) => Ok(vec![(key, offset)]),
            _ => Err(Refusal::system_error(format!(
                "Target offset {offset} not in consume queue range [{min}-{max}]"
            ))),
        }
    }

    /// The offset of a queue that a time means; the end for a negative one.
    fn offset_at(&self, request: &ResetOffset, key: QueueKey) -> Result<u64, Refusal> {
        if request.timestamp_ms < 0 {
            return Ok(self.topics.ends(key).committed);
        }
        let search = SearchOffset {
            topic: request.topic.clone(),
            queue_id: i32::from(key.queue),
            timestamp_ms: request.timestamp_ms,
            ..SearchOffset::default()
        };
        Ok(u64::try_from(self.search_offset(&search)?.offset).unwrap_or(0))
    }

    /// 314: gives a group the offsets of another one, in one topic or in all.
    pub(crate) fn clone_offsets(&mut self, request: &CloneOffsets) -> Result<Empty, Refusal> {
        let topic = request.topic.as_deref().filter(|topic| !topic.is_empty());
        let Some(group) = self.groups.get(&request.from) else { return Ok(Empty) };
        let topics = group.topics().filter(|known| topic.is_none_or(|topic| topic == *known));
        let offsets: Vec<(String, i32, i64)> = topics
            .flat_map(|topic| {
                group.offsets(topic).map(|(queue, offset)| (topic.to_owned(), queue, offset))
            })
            .collect();
        for (topic, queue, offset) in offsets {
            self.groups.set_offset(&request.to, &topic, queue, offset);
        }
        Ok(Empty)
    }
}
