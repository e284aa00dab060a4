//! Figures: of topics, of groups, of what passes in a time, of what a queue has.

use posthaste_protocol::java;
use posthaste_protocol::request::{
    BrokerConsumeStats, BrokerConsumeStatsOf, BrokerStats, BrokerStatsOf, ConsumeQueue,
    ConsumeQueueEntry, ConsumeQueueOf, ConsumeStats, ConsumeStatsOf, Empty, Progress, QueueName,
    QueueReach, TimeSpan, TimeSpans, TimeSpansOf, TopicConfig, TopicConfigOf, TopicConfigs,
    TopicStats, TopicStatsOf,
};
use posthaste_protocol::{ResponseCode, request::DataVersion};

use crate::engine::effects::{Caller, Effects};
use crate::engine::{Engine, Millis, refusal::Refusal};
use crate::location::QueueKey;
use crate::store::Record;

/// How many messages of a queue are reported at once.
const MAX_TOLD: u64 = 1_024;

impl Engine {
    /// 351: a topic's configuration.
    pub(crate) fn topic_config(&self, request: &TopicConfigOf) -> Result<TopicConfig, Refusal> {
        let topic = self.topic(&request.topic).ok_or_else(|| {
            let why = format!("No topic in this broker. topic: {}", request.topic);
            Refusal::new(ResponseCode::TOPIC_NOT_EXIST, why)
        })?;
        Ok((&topic.config).into())
    }

    /// 21: the configuration of all topics.
    pub(crate) fn topic_configs(&self, now: Millis) -> TopicConfigs {
        let topics = self.topics.iter().filter(|topic| self.topic(&topic.config.name).is_some());
        TopicConfigs {
            data_version: DataVersion {
                counter: self.topics.changes(),
                state_version: 0,
                changed_at_ms: self.begun.unwrap_or(now),
            },
            mapping_data_version: DataVersion::default(),
            topics: topics
                .map(|topic| (topic.config.name.clone(), (&topic.config).into()))
                .collect(),
        }
    }

    /// 202: how far each queue of a topic reaches.
    pub(crate) fn topic_stats(
        &mut self,
        now: Millis,
        request: &TopicStatsOf,
    ) -> Result<TopicStats, Refusal> {
        let name = &request.topic;
        let topic = self.topic(name).ok_or_else(|| not_there(name))?;
        let keys: Vec<_> = (0..topic.queue_count()).map(|queue| topic.key(queue)).collect();
        let reach = |key: QueueKey| {
            let end = self.topics.ends(key).committed;
            let last = end.checked_sub(1).and_then(|last| self.stored_at_or_none(key, last));
            let reach = QueueReach {
                stored_at_ms: last.unwrap_or(0),
                max_offset: end as i64,
                min_offset: self.first_offset(key) as i64,
            };
            (self.queue_name(name, key), reach)
        };
        let queues = keys.into_iter().map(reach).collect();
        let meter = self.topics.meter(name);
        Ok(TopicStats { queues, put_tps: meter.map_or(0.0, |meter| meter.tps(now)) })
    }

    /// 208: how far a group has come: in one topic, in the listed topics, or in all topics where it
    /// has an offset. A connected group gets only the topics that it subscribes to.
    pub(crate) fn consume_stats(
        &mut self,
        now: Millis,
        request: &ConsumeStatsOf,
    ) -> Result<ConsumeStats, Refusal> {
        let group = &request.group;
        let listed = request.topics.as_deref().unwrap_or_default();
        let listed: Vec<String> =
            listed.split(';').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let topics = match (&request.topic, listed.is_empty()) {
            (_, false) => listed,
            (Some(topic), true) => self.consumed(group, vec![topic.clone()]),
            (None, true) => self.consumed(group, self.topics_with_offsets(group)),
        };
        let mut stats = ConsumeStats::default();
        for topic in topics {
            let of_topic = self.progress(now, group, &topic);
            stats.queues.0.extend(of_topic.queues);
            stats.tps += of_topic.tps;
        }
        Ok(stats)
    }

    fn topics_with_offsets(&self, group: &str) -> Vec<String> {
        let group = self.groups.get(group);
        group.into_iter().flat_map(|group| group.topics()).map(str::to_owned).collect()
    }

    /// The topics of these that a group subscribes to; all of them when no member says what it
    /// subscribes to.
    fn consumed(&self, group: &str, topics: Vec<String>) -> Vec<String> {
        let online = self.groups.get(group).filter(|group| !group.members.is_empty());
        match online.filter(|group| !group.subscriptions.is_empty()) {
            None => topics,
            Some(group) => {
                let subscribes = |topic: &String| group.subscriptions.contains_key(topic);
                topics.into_iter().filter(subscribes).collect()
            }
        }
    }

    /// How far a group has come in a topic; nothing of a topic that is not there.
    fn progress(&mut self, now: Millis, group: &str, name: &str) -> ConsumeStats {
        let Some(topic) = self.topics.get(name) else { return ConsumeStats::default() };
        let (number, queues) = (topic.config.number, topic.config.read_queues);
        let known = self.groups.get(group);
        let progress = |queue: u16| {
            let key = QueueKey { topic: number, queue };
            let consumed = known.and_then(|group| group.offset(name, i32::from(queue)));
            let consumed = consumed.unwrap_or(0).max(0);
            let pulled = known.map_or(0, |group| group.pulled(key));
            let last = u64::try_from(consumed - 1).ok();
            let last = last.and_then(|last| self.stored_at_or_none(key, last));
            let progress = Progress {
                broker_offset: self.topics.ends(key).committed as i64,
                consumer_offset: consumed,
                stored_at_ms: last.unwrap_or(0),
                pull_offset: consumed.max(pulled),
            };
            (self.queue_name(name, key), progress)
        };
        let queues = (0..queues).map(progress).collect();
        let meter = self.groups.meter(group, number);
        ConsumeStats { tps: meter.map_or(0.0, |meter| meter.tps(now)), queues }
    }

    /// 317: how far all groups have come.
    pub(crate) fn broker_consume_stats(
        &mut self,
        now: Millis,
        request: &BrokerConsumeStatsOf,
    ) -> Result<BrokerConsumeStats, Refusal> {
        let known = self.groups.iter().filter(|(_, group)| group.is_known);
        let names: Vec<String> = known.map(|(name, _)| name.to_owned()).collect();
        let mut told =
            BrokerConsumeStats { broker_addr: self.identity.address.clone(), ..Default::default() };
        for name in names {
            let mut topics = self.consumed(&name, self.topics_with_offsets(&name));
            topics.retain(|topic| {
                let topic = self.topics.get(topic);
                topic.is_some_and(|topic| !request.ordered || topic.config.order)
            });
            let stats: Vec<_> =
                topics.iter().map(|topic| self.progress(now, &name, topic)).collect();
            let queues = || stats.iter().flat_map(|stats| stats.queues.0.values());
            told.total_diff += queues().map(|q| q.broker_offset - q.consumer_offset).sum::<i64>();
            told.total_inflight_diff +=
                queues().map(|q| q.pull_offset - q.consumer_offset).sum::<i64>();
            told.groups.push([(name, stats)].into());
        }
        Ok(told)
    }

    /// 315: how many messages a topic has got, or a group has got of a topic.
    pub(crate) fn broker_stats(
        &mut self,
        now: Millis,
        request: &BrokerStatsOf,
    ) -> Result<BrokerStats, Refusal> {
        let (name, key) = (request.name.as_str(), request.key.as_str());
        let is_cluster = key == self.identity.cluster;
        let meter = match (name, key.split_once('@')) {
            ("TOPIC_PUT_NUMS", _) => self.topics.meter(key),
            ("BROKER_PUT_NUMS", _) if is_cluster => Some(&mut self.put_meter),
            ("BROKER_GET_NUMS", _) if is_cluster => Some(&mut self.got_meter),
            ("GROUP_GET_NUMS", Some((topic, group))) => {
                let number = self.topics.get(topic).map(|topic| topic.config.number);
                number.and_then(|number| self.groups.meter(group, number))
            }
            _ => None,
        };
        let why = || Refusal::system_error(format!("The stats <{name}> <{key}> not exist"));
        meter.map(|meter| meter.stats(now)).ok_or_else(why)
    }

    /// 321: what a queue has from an offset on.
    pub(crate) fn consume_queue(
        &self,
        caller: Caller,
        request: &ConsumeQueueOf,
        out: &mut Effects,
    ) {
        let (id, topic, index) = (request.queue_id, &request.topic, request.index);
        let Some(key) = self.queue(topic, id) else {
            let why = format!("{id}@{topic} is not exist!");
            return out.answer::<Empty>(caller, Err(Refusal::system_error(why)));
        };
        match self.entries(key, request) {
            Err(refusal) => out.answer::<Empty>(caller, Err(refusal)),
            Ok(None) => {
                let why = format!("Index {index} of {id}@{topic} is not exist!");
                out.answer_with(caller, ResponseCode::SUCCESS, Some(&why), &Empty);
            }
            Ok(Some(entries)) => {
                let (subscription, filter_data) = match &request.group {
                    None => (None, None),
                    Some(name) => {
                        let group = self.groups.get(name);
                        let wants = group.filter(|group| !group.members.is_empty());
                        match wants.and_then(|group| group.subscriptions.get(topic)) {
                            None => (None, Some(format!("{name}@{topic} is not online!"))),
                            Some(known) => (Some(known.into()), Some("null".to_owned())),
                        }
                    }
                };
                let answer = ConsumeQueue {
                    filter_data,
                    max_queue_index: self.topics.ends(key).committed as i64,
                    min_queue_index: self.first_offset(key) as i64,
                    messages: Some(entries),
                    subscription,
                };
                out.answer(caller, Ok(answer));
            }
        }
    }

    /// The messages that are asked for; `None` when there is none at the offset.
    fn entries(
        &self,
        key: QueueKey,
        request: &ConsumeQueueOf,
    ) -> Result<Option<Vec<ConsumeQueueEntry>>, Refusal> {
        let (first, end) = (self.first_offset(key), self.topics.ends(key).committed);
        let start = u64::try_from(request.index).unwrap_or(0);
        if start < first || start >= end {
            return Ok(None);
        }
        let count = u64::try_from(request.count).unwrap_or(0).min(MAX_TOLD);
        let end = end.min(start.saturating_add(count));
        let (mut next, mut entries) = (start, Vec::new());
        while next < end {
            let Some(block) = self.store.block(key, next)? else { break };
            let before = next;
            for record in block.records_from(next).take_while(|record| record.offset() < end) {
                next = record.offset() + 1;
                entries.push(entry(key, &record));
            }
            if next == before {
                break;
            }
        }
        Ok(Some(entries))
    }

    /// 303: from when to when a topic's messages are, and how far behind a group is.
    pub(crate) fn time_spans(
        &self,
        now: Millis,
        request: &TimeSpansOf,
    ) -> Result<TimeSpans, Refusal> {
        let name = &request.topic;
        let topic = self.topic(name).ok_or_else(|| not_there(name))?;
        let group = self.groups.get(&request.group);
        let span = |queue: u16| {
            let key = topic.key(queue);
            let (first, end) = (self.first_offset(key), self.topics.ends(key).committed);
            let stored_at = |offset: Option<u64>| {
                offset.and_then(|offset| self.stored_at_or_none(key, offset)).unwrap_or(-1)
            };
            let consumed = group.and_then(|group| group.offset(name, i32::from(queue)));
            let consumed = u64::try_from(consumed.unwrap_or(0)).unwrap_or(0);
            let oldest_ms = stored_at(Some(first));
            TimeSpan {
                consumed_ms: match consumed.checked_sub(1) {
                    None => oldest_ms,
                    last => stored_at(last),
                },
                delay_ms: match consumed < end {
                    true => now - stored_at(Some(consumed)),
                    false => 0,
                },
                newest_ms: stored_at(end.checked_sub(1)),
                queue: self.queue_name(name, key),
                oldest_ms,
            }
        };
        Ok(TimeSpans { queues: (0..topic.config.write_queues).map(span).collect() })
    }

    pub(super) fn queue_name(&self, topic: &str, key: QueueKey) -> QueueName {
        QueueName {
            broker_name: self.identity.broker.clone(),
            queue_id: i32::from(key.queue),
            topic: topic.to_owned(),
        }
    }

    /// When a message was stored; `None` when it is not there or cannot be read.
    fn stored_at_or_none(&self, key: QueueKey, offset: u64) -> Option<Millis> {
        self.record(key, offset).ok().flatten().map(|record| record.stored_at_ms())
    }
}

fn entry(key: QueueKey, record: &Record) -> ConsumeQueueEntry {
    ConsumeQueueEntry {
        eval: false,
        physical_offset: key.physical(record.offset()) as i64,
        size: record.bytes().len() as i32,
        tags_code: record.tag().map_or(0, |tag| i64::from(java::hash(tag))),
    }
}

fn not_there(topic: &str) -> Refusal {
    Refusal::new(ResponseCode::TOPIC_NOT_EXIST, format!("topic[{topic}] not exist"))
}
