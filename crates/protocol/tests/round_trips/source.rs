//! Values of any type, made of random bytes.

use bytes::Bytes;
use posthaste_protocol::request::*;

/// Values made of random bytes: what a struct of any shape is filled with.
pub(crate) struct Source<'a>(pub(crate) &'a [u8]);

impl Source<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn long(&mut self) -> i64 {
        match self.byte() % 8 {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => -1,
            3 => 0,
            more => (0..more).fold(0, |value, _| value << 8 | i64::from(self.byte())),
        }
    }

    pub(crate) fn int(&mut self) -> i32 {
        match self.byte() % 4 {
            0 => i32::MIN,
            1 => i32::MAX,
            _ => self.long() as i32,
        }
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    pub(crate) fn text(&mut self) -> String {
        const PIECES: [&str; 10] =
            ["", "topic", "\"", "\\", "\u{0}", "\u{1}", "é🚀", "%RETRY%", "{0:1}", " null "];
        let count = self.byte() % 4;
        (0..count).map(|_| PIECES[usize::from(self.byte()) % PIECES.len()]).collect()
    }

    pub(crate) fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| value(self))
    }

    /// Absent or not empty: an empty field reads as an absent one.
    pub(crate) fn maybe_text(&mut self) -> Option<String> {
        self.maybe(Self::text).filter(|text| !text.is_empty())
    }

    pub(crate) fn list<T>(&mut self, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % 4).map(|_| value(self)).collect()
    }

    pub(crate) fn body(&mut self) -> Bytes {
        self.list(Self::byte).into()
    }

    pub(crate) fn send(&mut self) -> SendMessage<'static> {
        SendMessage {
            group: self.text().into(),
            topic: self.text().into(),
            default_topic: self.text().into(),
            default_topic_queues: self.int(),
            queue_id: self.int(),
            sys_flag: self.int(),
            born_at_ms: self.long(),
            flag: self.int(),
            properties: self.text().into(),
            reconsume_times: self.int(),
            unit_mode: self.flag(),
            max_reconsume_times: self.maybe(Self::int),
            batch: self.flag(),
            broker_name: self.maybe_text().map(Into::into),
            body: self.body(),
        }
    }

    pub(crate) fn send_answer(&mut self) -> SendAnswer {
        SendAnswer {
            offset_message_id: self.text(),
            queue_id: self.int(),
            queue_offset: self.long(),
            transaction_id: self.maybe_text(),
            batch_unique_id: self.maybe_text(),
            recall_handle: self.maybe_text(),
            region: self.maybe_text().map(Into::into),
            trace_on: self.maybe(Self::flag),
        }
    }

    pub(crate) fn pull(&mut self) -> Pull {
        Pull {
            group: self.text(),
            topic: self.text(),
            queue_id: self.int(),
            queue_offset: self.long(),
            max_messages: self.int(),
            sys_flag: self.int(),
            commit_offset: self.long(),
            suspend_ms: self.long(),
            subscription: self.maybe_text(),
            sub_version: self.long(),
            expression_type: self.maybe_text(),
            max_bytes: self.maybe(Self::int),
            broker_name: self.maybe_text(),
        }
    }

    pub(crate) fn subscription(&mut self) -> Subscription {
        Subscription {
            expression_type: self.text(),
            sub_string: self.text(),
            sub_version: self.long(),
            tags_set: self.list(Self::text),
            topic: self.text(),
        }
    }

    pub(crate) fn queue(&mut self) -> QueueName {
        QueueName { broker_name: self.text(), queue_id: self.int(), topic: self.text() }
    }

    pub(crate) fn consumer_group(&mut self) -> ConsumerGroup {
        ConsumerGroup {
            consume_from_where: self.text(),
            consume_type: self.text(),
            group_name: self.text(),
            message_model: self.text(),
            subscriptions: self.list(Self::subscription),
            unit_mode: self.flag(),
        }
    }

    pub(crate) fn route(&mut self) -> TopicRoute {
        TopicRoute {
            order_topic_conf: self.maybe(Self::text),
            brokers: self.list(|source| BrokerData {
                broker_addrs: source
                    .list(|source| (source.long(), source.text()))
                    .into_iter()
                    .collect(),
                broker_name: source.text(),
                cluster: source.text(),
                enable_acting_master: source.maybe(Self::flag),
                zone_name: source.maybe(Self::text),
            }),
            filter_server_table: self
                .list(|source| (source.text(), source.list(Self::text)))
                .into_iter()
                .collect(),
            queues: self.list(|source| QueueData {
                broker_name: source.text(),
                perm: source.int(),
                read_queue_nums: source.int(),
                write_queue_nums: source.int(),
                topic_sys_flag: source.maybe(Self::int),
                topic_syn_flag: source.maybe(Self::int),
            }),
            queue_mappings: self.maybe(|source| {
                let mapping = |source: &mut Self| QueueMapping {
                    broker_name: source.text(),
                    current_ids: source
                        .list(|source| (source.long(), source.long()))
                        .into_iter()
                        .collect(),
                    epoch: source.long(),
                    scope: source.maybe(Self::text),
                    total_queues: source.int(),
                };
                source.list(|source| (source.text(), mapping(source))).into_iter().collect()
            }),
        }
    }
}
