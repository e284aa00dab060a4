//! One message: what is known of it, its body, and how to send it again.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use axum::response::Response;
use posthaste_broker::{PageOf, Position, StoredMessage};

use crate::pages::asked::Parted;
use crate::pages::body::Shown;
use crate::pages::copies::{self, Copies, addresses};
use crate::pages::failure::Failure;
use crate::pages::html::html;
use crate::pages::{address, moment};
use crate::shared::Shared;

#[derive(Template)]
#[template(path = "message.html")]
struct Shows<'a> {
    section: &'static str,
    message: &'a StoredMessage,
    topic_address: String,
    download: String,
    previous: Option<String>,
    next: Option<String>,
    born: String,
    stored: String,
    /// When it is delivered, if it waits for that.
    due: Option<String>,
    waits_for: Option<(&'a str, String)>,
    body: Shown,
    copies: Copies,
}

/// Where a message lies: topic, queue and offset.
type Place = (String, u16, u64);

/// `/topics/{topic}/{queue}/{offset}`
pub(super) async fn message(
    State(shared): State<Arc<Shared>>,
    Parted(place): Parted<Place>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let _turn = shared.room.make().await?;
    let message = read(&shared, &place).await?;
    let (name_server, _) = addresses(&shared.broker);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (topic, queue, offset) = &place;
    let address = address::message(topic, *queue, *offset);
    let download = format!("{address}/body");
    let url = format!("http://{host}{download}");
    let curl = copies::download(&url, shared.password.is_some());
    let copies = Copies::of(&message, &name_server, &curl);
    let at = |offset| address::message(topic, *queue, offset);
    let page = Shows {
        section: "topics",
        topic_address: address::topic(topic),
        previous: offset.checked_sub(1).map(at),
        next: offset.checked_add(1).map(at),
        born: moment::utc(message.born_at),
        stored: moment::utc(message.stored_at),
        due: message.waits_for.as_ref().and_then(|waits| waits.at).map(moment::utc),
        waits_for: message
            .waits_for
            .as_ref()
            .map(|waits_for| (waits_for.topic.as_str(), address::topic(&waits_for.topic))),
        body: Shown::of(&message.body),
        copies,
        download,
        message: &message,
    };
    html(&shared, StatusCode::OK, &page).await
}

/// `/topics/{topic}/{queue}/{offset}/body`: the body, to be kept as a file.
pub(super) async fn body(
    State(shared): State<Arc<Shared>>,
    Parted(place): Parted<Place>,
) -> Result<Response, Failure> {
    let _turn = shared.room.make().await?;
    let message = read(&shared, &place).await?;
    let _room = shared.room.bytes(message.body.len()).await?;
    let mut response = Response::new(Body::from(message.body));
    let headers = response.headers_mut();
    // A browser shows none of it, whatever it is.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let (_, queue, offset) = place;
    let name = format!("attachment; filename=\"body-{queue}-{offset}.bin\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

async fn read(shared: &Shared, (topic, queue, offset): &Place) -> Result<StoredMessage, Failure> {
    let at: Position = [(*queue, *offset)].into_iter().collect();
    let of = PageOf::topic(topic.as_str()).queue(*queue).from(at).count(1).look_at(1);
    let found = shared.broker.page(of).await?.messages.pop();
    found.filter(|message| message.queue == *queue && message.offset == *offset).ok_or_else(|| {
        let message = format!("topic {topic:?} has no message at offset {offset} of queue {queue}");
        let help = "it was never stored, or was dropped to make room; see the topic for those that \
                    are there";
        Failure::new(StatusCode::NOT_FOUND, message, help)
    })
}
