//! A message by its id.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{PageOf, StoredMessage};
use serde::Deserialize;

use crate::pages::asked::{Asked, Parted, position};
use crate::pages::failure::Failure;
use crate::pages::html::{html, see};
use crate::pages::{address, moment};
use crate::shared::Shared;

/// How many messages one request looks at.
const LOOK_AT: usize = 10_000;

/// Which message is looked for, and from where on.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    id: String,
    topic: String,
    from: String,
}

/// A search that has found nothing yet.
#[derive(Template)]
#[template(path = "find.html")]
struct NotFound<'a> {
    section: &'static str,
    id: &'a str,
    looked_at: String,
    /// The topic in which it stopped, and where it goes on.
    next: Option<(String, String)>,
}

/// `/find?id=`
pub(super) async fn find(
    State(shared): State<Arc<Shared>>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Failure> {
    search(&shared, &wanted).await
}

/// `/messages/{id}`
pub(super) async fn message(
    State(shared): State<Arc<Shared>>,
    Parted(id): Parted<String>,
) -> Result<Response, Failure> {
    search(&shared, &Wanted { id, ..Wanted::default() }).await
}

async fn search(shared: &Shared, wanted: &Wanted) -> Result<Response, Failure> {
    let _turn = shared.room.make().await?;
    let id = wanted.id.trim();
    if let Some(found) = shared.broker.message_at(id).await? {
        return there(&found);
    }
    let mut topics = shared.broker.topics().await?;
    topics.sort_by(|a, b| (a.is_system, &a.name).cmp(&(b.is_system, &b.name)));
    let first = topics.iter().position(|topic| topic.name == wanted.topic).unwrap_or_default();
    let (mut looked_at, mut next) = (0, None);
    for topic in topics.iter().skip(first).filter(|topic| topic.messages > 0) {
        if looked_at >= LOOK_AT {
            next = Some((topic.name.clone(), String::new()));
            break;
        }
        let of = PageOf::topic(topic.name.as_str()).unique_id(id).newest_first().count(1);
        let mut of = of.look_at(LOOK_AT - looked_at);
        if topic.name == wanted.topic {
            of = of.from(position(&wanted.from)?);
        }
        let page = shared.broker.page(of).await?;
        if let Some(found) = page.messages.first() {
            return there(found);
        }
        looked_at += page.looked_at;
        if !page.is_end {
            next = Some((topic.name.clone(), page.next.to_string()));
            break;
        }
    }
    let next = next.map(|(topic, from)| {
        let address = [("id", id), ("topic", topic.as_str()), ("from", from.as_str())];
        (address::with("/find", &address), topic)
    });
    let looked_at = moment::number(looked_at as u64);
    let page = NotFound { section: "", id, looked_at, next };
    html(shared, StatusCode::NOT_FOUND, &page).await
}

fn there(message: &StoredMessage) -> Result<Response, Failure> {
    see(&address::message(&message.topic, message.queue, message.offset))
}
