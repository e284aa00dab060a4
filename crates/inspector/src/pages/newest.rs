//! The newest messages, of one topic or of all.

use std::cmp::Reverse;

use posthaste_broker::{BrokerHandle, PageOf, Position, QueueInfo, TopicInfo};
use serde::Deserialize;

use crate::pages::asked;
use crate::pages::failure::Failure;
use crate::pages::row::Row;

/// Which messages are wanted, as an address says it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    pub(super) topic: String,
    pub(super) queue: String,
    pub(super) key: String,
    pub(super) tag: String,
}

/// The newest messages that there are.
#[derive(Debug, Default)]
pub(super) struct Newest {
    /// The newest first.
    pub(super) rows: Vec<Row>,
    pub(super) looked_at: usize,
    /// Whether there are older ones that were not looked at.
    pub(super) has_more: bool,
}

impl Filter {
    /// What is wanted of a topic.
    pub(super) fn page_of(&self, topic: &str) -> Result<PageOf, Failure> {
        let mut of = PageOf::topic(topic);
        let wrong = |text| Failure::bad(text, "take a number that the topic's page shows");
        if let Some(queue) = asked::number("the queue", &self.queue).map_err(wrong)? {
            of = of.queue(queue);
        }
        if let Some(key) = asked::text(&self.key) {
            of = of.key(key);
        }
        if let Some(tag) = asked::text(&self.tag) {
            of = of.tag(tag);
        }
        Ok(of)
    }

    /// Whether only some messages of a topic are wanted.
    pub(super) fn is_narrow(&self) -> bool {
        [&self.queue, &self.key, &self.tag].into_iter().any(|value| asked::text(value).is_some())
    }

    /// Without a topic there is nothing to filter: every topic would have to be read.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.is_narrow() && asked::text(&self.topic).is_none() {
            let message = "a queue, a key or a tag is looked for in one topic";
            return Err(Failure::bad(message, "name the topic too"));
        }
        self.page_of("").map(drop)
    }

    /// The topics that are meant. The system's own are meant only by their names.
    pub(super) fn topics<'a>(
        &'a self,
        all: &'a [TopicInfo],
    ) -> impl Iterator<Item = &'a TopicInfo> {
        let wanted = asked::text(&self.topic);
        all.iter().filter(move |topic| match wanted {
            Some(wanted) => topic.name == wanted,
            None => !topic.is_system,
        })
    }

    /// The newest messages, at most this many, stored before these topics were asked for.
    pub(super) async fn newest(
        &self,
        broker: &BrokerHandle,
        topics: &[TopicInfo],
        count: usize,
    ) -> Result<Newest, Failure> {
        let mut topics: Vec<_> = self.topics(topics).filter(|topic| topic.messages > 0).collect();
        topics.sort_by_key(|topic| Reverse(topic.last_write));
        let mut newest = Newest::default();
        for (place, topic) in topics.iter().enumerate() {
            let oldest = newest.rows.get(count.saturating_sub(1)).map(|row| row.stored_at);
            // None of the other topics has got a message as late as these.
            let is_older = oldest.is_some_and(|oldest| {
                topic.last_write.is_none_or(|last_write| last_write < oldest)
            });
            if place >= count || is_older {
                newest.has_more = true;
                break;
            }
            let of = self.page_of(&topic.name)?.newest_first().count(count).from(end_of(topic));
            let page = broker.page(of).await?;
            newest.looked_at += page.looked_at;
            newest.has_more |= !page.is_end;
            newest.rows.extend(page.messages.iter().map(Row::of));
            newest.rows.sort_by_key(|row| Reverse((row.stored_at, row.queue, row.offset)));
            newest.rows.truncate(count);
        }
        Ok(newest)
    }
}

/// Where a topic ends.
pub(super) fn end_of(topic: &TopicInfo) -> Position {
    topic.queues.iter().map(|queue: &QueueInfo| (queue.queue, queue.max_offset)).collect()
}
