//! A topic: its queues, and its messages from the newest on.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{Page, QueueInfo, TopicInfo};
use serde::Deserialize;

use crate::pages::asked::{Asked, Parted, position};
use crate::pages::failure::Failure;
use crate::pages::html::html;
use crate::pages::newest::Filter;
use crate::pages::row::Row;
use crate::pages::topics::{permissions, queues};
use crate::pages::{address, moment};
use crate::shared::Shared;

/// Messages of a page.
const SHOWN: usize = 50;

/// Which messages of the topic are wanted, and from where on.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Which {
    queue: String,
    key: String,
    tag: String,
    from: String,
}

#[derive(Template)]
#[template(path = "topic.html")]
struct Topic<'a> {
    section: &'static str,
    topic: &'a TopicInfo,
    address: String,
    messages: String,
    queues: String,
    permissions: String,
    last_write: String,
    filter: &'a Filter,
    rows: Vec<Row>,
    stop: Stop,
    /// The address of the newest messages, on every page but the first.
    newest: Option<String>,
    live: String,
    send: String,
}

/// Where a page of messages stopped.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) looked_at: String,
    /// Where it goes on; `None` at the end.
    pub(super) next: Option<String>,
}

/// `/topics/{topic}`
pub(super) async fn topic(
    State(shared): State<Arc<Shared>>,
    Parted(name): Parted<String>,
    Asked(which): Asked<Which>,
) -> Result<Response, Failure> {
    let _turn = shared.room.make().await?;
    let topics = shared.broker.topics().await?;
    let Some(topic) = topics.iter().find(|topic| topic.name == name) else {
        let message = format!("there is no topic {name:?}");
        return Err(Failure::new(StatusCode::NOT_FOUND, message, "look through all topics"));
    };
    let Which { queue, key, tag, from } = which;
    let filter = Filter { topic: name, queue, key, tag };
    let of = filter.page_of(&topic.name)?.newest_first().count(SHOWN).from(position(&from)?);
    let page = shared.broker.page(of).await?;
    let rows = page.messages.iter().map(Row::of).collect();
    let address = address::topic(&topic.name);
    let now = SystemTime::now();
    let values = values(&filter);
    let page = Topic {
        section: "topics",
        topic,
        messages: moment::number(topic.messages),
        queues: queues(topic),
        permissions: permissions(topic.permissions),
        last_write: topic.last_write.map(|at| moment::ago(at, now)).unwrap_or_default(),
        filter: &filter,
        rows,
        stop: Stop::of(&page, &address, &values),
        newest: (!from.is_empty()).then(|| address::with(&address, &values)),
        live: address::with(
            "/messages",
            &[&[("topic", topic.name.as_str())], &values[..]].concat(),
        ),
        send: address::with("/send", &[("topic", &topic.name)]),
        address,
    };
    html(&shared, StatusCode::OK, &page).await
}

fn values(filter: &Filter) -> [(&'static str, &str); 3] {
    [("queue", &filter.queue), ("key", &filter.key), ("tag", &filter.tag)]
}

impl Stop {
    /// Where a page stopped, and the address at which it goes on with the same values.
    fn of(page: &Page, address: &str, values: &[(&str, &str)]) -> Self {
        let from = page.next.to_string();
        let next = [values, &[("from", from.as_str())]].concat();
        Self {
            looked_at: moment::number(page.looked_at as u64),
            next: (!page.is_end).then(|| address::with(address, &next)),
        }
    }
}

impl Topic<'_> {
    /// The queues with the number of their messages, and the address of these.
    fn queue_rows(&self) -> impl Iterator<Item = (QueueInfo, String, String)> {
        self.topic.queues.iter().map(|queue| {
            let messages = moment::number(queue.max_offset - queue.min_offset);
            let number = queue.queue.to_string();
            (*queue, messages, address::with(&self.address, &[("queue", &number)]))
        })
    }
}
