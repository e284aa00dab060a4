//! The newest messages, and each that is stored while one looks.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::response::sse::Event;
use posthaste_broker::{Position, QueueInfo, TopicInfo};
use tokio::time::sleep;

use crate::pages::address;
use crate::pages::asked::{Asked, text};
use crate::pages::failure::Failure;
use crate::pages::html::html;
use crate::pages::newest::Filter;
use crate::pages::row::Row;
use crate::pages::stream::{AGAIN, Gone, Reader, open};
use crate::shared::Shared;

/// Messages that a page begins with, and that it gets at once later.
const SHOWN: usize = 50;
/// How many messages are looked at in one go.
const LOOK_AT: usize = 10_000;
/// How often it is looked whether anything has been stored, which costs the broker nothing.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Template)]
#[template(path = "messages.html")]
struct Messages<'a> {
    section: &'static str,
    filter: &'a Filter,
    topics: Vec<&'a str>,
    rows: Vec<Row>,
    looked_at: usize,
    /// Where older messages are, if there are any.
    older: Option<String>,
    live: String,
}

/// `/messages`
pub(super) async fn messages(
    State(shared): State<Arc<Shared>>,
    Asked(filter): Asked<Filter>,
) -> Result<Response, Failure> {
    filter.check()?;
    let _turn = shared.room.make().await?;
    let topics = shared.broker.topics().await?;
    let newest = filter.newest(&shared.broker, &topics, SHOWN).await?;
    let narrow = [("queue", &*filter.queue), ("key", &*filter.key), ("tag", &*filter.tag)];
    let older = || match text(&filter.topic) {
        Some(topic) => address::with(&address::topic(topic), &narrow),
        None => "/topics".to_owned(),
    };
    let own = topics.iter().filter(|topic| !topic.is_system);
    let page = Messages {
        section: "messages",
        topics: own.map(|topic| topic.name.as_str()).collect(),
        rows: newest.rows,
        looked_at: newest.looked_at,
        older: newest.has_more.then(older),
        live: address::with(
            "/live/messages",
            &[&[("topic", &*filter.topic)], &narrow[..]].concat(),
        ),
        filter: &filter,
    };
    html(&shared, StatusCode::OK, &page).await
}

/// `/live/messages`
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    Asked(filter): Asked<Filter>,
) -> Result<Response, Failure> {
    filter.check()?;
    let follow = |shared, reader| async move {
        match follow(shared, &reader, filter).await {
            Ok(()) | Err(End::Gone) => Ok(()),
            // A browser asks again: the broker may be there then.
            Err(End::Broken) => reader.send(Event::default().event("broken").retry(AGAIN)).await,
        }
    };
    Ok(open(&shared, follow)?)
}

/// Why a stream ends.
enum End {
    /// Its reader is gone.
    Gone,
    /// The broker does not answer.
    Broken,
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<Failure> for End {
    fn from(_: Failure) -> Self {
        Self::Broken
    }
}

/// Where each topic ended when it was last looked at.
type Ends = BTreeMap<String, Vec<QueueInfo>>;

/// What has been stored since then.
#[derive(Default)]
struct Fresh {
    rows: Vec<Row>,
    looked_at: usize,
    /// How many messages were passed over, as more have come than can be shown.
    skipped: u64,
}

async fn follow(shared: Arc<Shared>, reader: &Reader, filter: Filter) -> Result<(), End> {
    let broker = &shared.broker;
    let mut stored = broker.stats().messages;
    let topics = broker.topics().await.map_err(Failure::from)?;
    let mut ends = ends_of(&filter, &topics);
    let turn = shared.room.make().await.map_err(Failure::from)?;
    let newest = filter.newest(broker, &topics, SHOWN).await?;
    drop(turn);
    let event = Event::default().event("newest").retry(AGAIN).data(text_of(&newest.rows)?);
    reader.send(event).await?;
    loop {
        sleep(LOOK).await;
        let now = broker.stats().messages;
        if now == stored {
            continue;
        }
        stored = now;
        let turn = shared.room.make().await.map_err(Failure::from)?;
        let fresh = fresh(&shared, &filter, &mut ends).await?;
        drop(turn);
        if fresh.skipped > 0 {
            let event = Event::default().event("skipped").data(fresh.skipped.to_string());
            reader.send(event).await?;
        }
        if !fresh.rows.is_empty() {
            let event = Event::default().event("rows").data(text_of(&fresh.rows)?);
            reader.send(event).await?;
        }
    }
}

/// What has been stored since topics had these ends, the newest first; they have the present ends then.
async fn fresh(shared: &Shared, filter: &Filter, ends: &mut Ends) -> Result<Fresh, End> {
    let broker = &shared.broker;
    let topics = broker.topics().await.map_err(Failure::from)?;
    let mut fresh = Fresh::default();
    for topic in filter.topics(&topics) {
        let before = ends.get(&topic.name).map(Vec::as_slice).unwrap_or_default();
        let more = end(&topic.queues).saturating_sub(end(before));
        if more == 0 {
            continue;
        }
        let left = LOOK_AT.saturating_sub(fresh.looked_at);
        let count = SHOWN.saturating_sub(fresh.rows.len());
        if left == 0 || count == 0 {
            fresh.skipped += more;
            continue;
        }
        let from: Position = before.iter().map(|queue| (queue.queue, queue.max_offset)).collect();
        let of = filter.page_of(&topic.name)?.from(from).count(count).look_at(left);
        let page = broker.page(of).await.map_err(Failure::from)?;
        fresh.looked_at += page.looked_at;
        if !page.is_end {
            fresh.skipped += more.saturating_sub(page.looked_at as u64);
        }
        // Messages that have come since then are for the next time.
        let is_known = |row: &Row| {
            let queue = topic.queues.get(usize::from(row.queue));
            queue.is_some_and(|queue| row.offset < queue.max_offset)
        };
        fresh.rows.extend(page.messages.iter().map(Row::of).filter(is_known));
    }
    *ends = ends_of(filter, &topics);
    fresh.rows.sort_by_key(|row| Reverse((row.stored_at, row.queue, row.offset)));
    Ok(fresh)
}

fn ends_of(filter: &Filter, topics: &[TopicInfo]) -> Ends {
    filter.topics(topics).map(|topic| (topic.name.clone(), topic.queues.clone())).collect()
}

/// How many messages queues have ever had.
fn end(queues: &[QueueInfo]) -> u64 {
    queues.iter().map(|queue| queue.max_offset).sum()
}

fn text_of(rows: &[Row]) -> Result<String, End> {
    rows.iter().map(|row| row.render().map_err(|_| End::Broken)).collect()
}
