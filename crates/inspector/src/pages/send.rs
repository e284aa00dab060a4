//! The form that sends a message.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{KitError, NewMessage};
use serde::Deserialize;

use crate::pages::address;
use crate::pages::asked::{Asked, Filled, check_token, number, text};
use crate::pages::failure::Failure;
use crate::pages::html::{html, see};
use crate::shared::Shared;

/// What is filled in.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Wishes {
    token: String,
    topic: String,
    tag: String,
    keys: String,
    properties: String,
    queue: String,
    /// In seconds.
    delay: String,
    body: String,
}

/// What the address says.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Before {
    topic: String,
    /// The id of a message that waits for its time.
    waits: String,
}

#[derive(Template)]
#[template(path = "send.html")]
struct Form<'a> {
    section: &'static str,
    token: &'a str,
    topics: Vec<String>,
    wishes: &'a Wishes,
    waits: &'a str,
    waiting: String,
    error: &'a str,
}

/// `/send`
pub(super) async fn form(
    State(shared): State<Arc<Shared>>,
    Asked(before): Asked<Before>,
) -> Result<Response, Failure> {
    let wishes = Wishes { topic: before.topic, ..Wishes::default() };
    show(&shared, &wishes, &before.waits, "").await
}

/// `/send`, filled in: stores the message, and shows it.
pub(super) async fn send(
    State(shared): State<Arc<Shared>>,
    Filled(wishes): Filled<Wishes>,
) -> Result<Response, Failure> {
    check_token(&shared, &wishes.token)?;
    let message = match wishes.message() {
        Ok(message) => message,
        Err(error) => return show(&shared, &wishes, "", &error).await,
    };
    let put = match shared.broker.put(message).await {
        Ok(put) => put,
        Err(KitError::Refused(said)) => {
            let error = format!("the broker has refused it: {}", said.trim_end_matches('.'));
            return show(&shared, &wishes, "", &error).await;
        }
        Err(error) => return Err(error.into()),
    };
    let topic = wishes.topic.trim();
    see(&match text(&wishes.delay) {
        None => address::message(topic, put.queue, put.offset),
        Some(_) => address::with("/send", &[("topic", topic), ("waits", &put.unique_id)]),
    })
}

async fn show(
    shared: &Shared,
    wishes: &Wishes,
    waits: &str,
    error: &str,
) -> Result<Response, Failure> {
    let topics = shared.broker.topics().await?;
    let own = topics.into_iter().filter(|topic| !topic.is_system);
    let form = Form {
        section: "send",
        token: shared.token.text(),
        topics: own.map(|topic| topic.name).collect(),
        wishes,
        waits,
        waiting: address::with("/find", &[("id", waits)]),
        error,
    };
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    html(shared, status, &form).await
}

impl Wishes {
    /// The message, or what is wrong.
    fn message(&self) -> Result<NewMessage, String> {
        let topic = text(&self.topic).ok_or("the topic is missing")?;
        // A browser ends lines as mail does.
        let mut message = NewMessage::new(topic, self.body.replace("\r\n", "\n"));
        if let Some(tag) = text(&self.tag) {
            message = message.tag(tag);
        }
        message = self.keys.split_whitespace().fold(message, NewMessage::key);
        for line in self.properties.lines().filter_map(text) {
            let Some((name, value)) = line.split_once('=') else {
                return Err(format!("the property {line:?} has no value; write NAME=VALUE"));
            };
            message = message.property(name.trim(), value.trim());
        }
        if let Some(queue) = number("the queue", &self.queue)? {
            message = message.queue(queue);
        }
        if let Some(seconds) = number("the delay", &self.delay)? {
            let delay = Duration::try_from_secs_f64(seconds);
            message = message.delay(delay.map_err(|_| "the delay is a number of seconds")?);
        }
        Ok(message)
    }
}
