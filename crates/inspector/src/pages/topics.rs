//! All topics; and the end of all messages.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::TopicInfo;
use serde::Deserialize;

use crate::pages::asked::{Asked, Filled, check_token, text};
use crate::pages::failure::Failure;
use crate::pages::html::{html, see};
use crate::pages::{address, moment};
use crate::shared::Shared;

/// Which topics are wanted.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Which {
    /// What their names contain.
    q: String,
    /// Whether those of the system are wanted too.
    system: String,
}

/// The form that clears.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Clear {
    token: String,
}

#[derive(Template)]
#[template(path = "topics.html")]
struct Topics<'a> {
    section: &'static str,
    token: &'a str,
    q: &'a str,
    with_system: bool,
    all: usize,
    topics: Vec<Topic<'a>>,
}

struct Topic<'a> {
    name: &'a str,
    address: String,
    is_system: bool,
    queues: String,
    permissions: String,
    messages: String,
    last_write: String,
}

/// `/topics`
pub(super) async fn topics(
    State(shared): State<Arc<Shared>>,
    Asked(which): Asked<Which>,
) -> Result<Response, Failure> {
    let topics = shared.broker.topics().await?;
    let with_system = !which.system.is_empty();
    let wanted = |topic: &&TopicInfo| {
        let is_named = text(&which.q).is_none_or(|q| topic.name.contains(q));
        (with_system || !topic.is_system) && is_named
    };
    let now = SystemTime::now();
    let page = Topics {
        section: "topics",
        token: shared.token.text(),
        q: &which.q,
        with_system,
        all: topics.iter().filter(|topic| with_system || !topic.is_system).count(),
        topics: topics.iter().filter(wanted).map(|topic| Topic::of(topic, now)).collect(),
    };
    html(&shared, StatusCode::OK, &page).await
}

/// `/clear`: all messages are gone.
pub(super) async fn clear(
    State(shared): State<Arc<Shared>>,
    Filled(form): Filled<Clear>,
) -> Result<Response, Failure> {
    check_token(&shared, &form.token)?;
    shared.broker.clear().await?;
    see("/topics")
}

impl<'a> Topic<'a> {
    fn of(topic: &'a TopicInfo, now: SystemTime) -> Self {
        Self {
            name: &topic.name,
            address: address::topic(&topic.name),
            is_system: topic.is_system,
            queues: queues(topic),
            permissions: permissions(topic.permissions),
            messages: moment::number(topic.messages),
            last_write: topic.last_write.map(|at| moment::ago(at, now)).unwrap_or_default(),
        }
    }
}

/// How many queues a topic has, and for what.
pub(super) fn queues(topic: &TopicInfo) -> String {
    match (topic.read_queues, topic.write_queues) {
        (read, write) if read == write => read.to_string(),
        (read, write) => format!("{read} to read, {write} to write"),
    }
}

/// The bits of permissions in words.
pub(super) fn permissions(bits: i32) -> String {
    let words = [(4, "read"), (2, "write"), (1, "inherit")];
    let words: Vec<_> =
        words.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| word).collect();
    match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(", "),
    }
}
