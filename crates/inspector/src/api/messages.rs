//! Messages: a page of a topic's, and one by its id.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{BrokerHandle, Page, PageOf, StoredMessage};
use serde::Serialize;

use crate::api::arrival::arrival;
use crate::api::envelope::Envelope;
use crate::api::path::Name;
use crate::api::query::{Nothing, Parameters, Raw};
use crate::reply::Problem;
use crate::shared::{Shared, broken};

/// Bytes of the bodies of an answer; the first may be longer.
pub(super) const BYTES: usize = 4 * 1024 * 1024;
/// How long a message is looked for by its id: all topics may have to be read.
const SEARCH: Duration = Duration::from_secs(10);

/// Some messages as JSON.
#[derive(Serialize)]
pub(super) struct Listed<'a> {
    pub(super) messages: Vec<Envelope<'a>>,
    /// What `from` is to be for those that follow.
    pub(super) next: String,
    /// Whether everything has been looked at.
    pub(super) end: bool,
    pub(super) looked_at: usize,
}

/// `/api/v1/messages`
pub(crate) async fn messages(
    State(shared): State<Arc<Shared>>,
    Parameters(raw): Parameters<Raw>,
) -> Result<Response, Problem> {
    let wanted = raw.read()?;
    if let Some(needed) = wanted.needed {
        return arrival(&shared, &wanted, needed).await;
    }
    let _turn = shared.room.make().await?;
    let page = bounded(&shared.broker, wanted.page).await?;
    let listed = Listed {
        messages: Envelope::all(&page.messages, shared.broker.name()),
        next: page.next.to_string(),
        end: page.is_end,
        looked_at: page.looked_at,
    };
    shared.json(StatusCode::OK, &listed).await
}

/// `/api/v1/messages/{id}`
pub(crate) async fn message(
    State(shared): State<Arc<Shared>>,
    Name(id): Name,
    Parameters(Nothing {}): Parameters<Nothing>,
) -> Result<Response, Problem> {
    let _turn = shared.room.make().await?;
    let found = tokio::time::timeout(SEARCH, shared.broker.message(&id)).await.map_err(|_| {
        let message = format!("{id:?} was not found within {} s", SEARCH.as_secs());
        let help = "look for it in its topic: /api/v1/messages?topic=T&key=K";
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "not_found_yet", message, help)
    })?;
    let found = found.map_err(|error| broken(&error))?.ok_or_else(|| {
        let message = format!("no message has the id {id:?}");
        let help = "take the `msg_id` or the `offset_msg_id` of a message that is stored";
        Problem::new(StatusCode::NOT_FOUND, "no_such_message", message, help)
    })?;
    let envelope = Envelope::of(&found, shared.broker.name());
    shared.json(StatusCode::OK, &envelope).await
}

/// A page whose bodies have not too many bytes: compressed ones get longer than the broker has them.
pub(super) async fn bounded(broker: &BrokerHandle, of: PageOf) -> Result<Page, Problem> {
    let page = broker.page(of.clone()).await.map_err(|error| broken(&error))?;
    let fitting = fitting(&page.messages);
    if fitting >= page.messages.len() {
        return Ok(page);
    }
    // Only the broker knows where a shorter page ends.
    broker.page(of.count(fitting)).await.map_err(|error| broken(&error))
}

/// How many messages fit into an answer, at least one.
fn fitting(messages: &[StoredMessage]) -> usize {
    let mut bytes = 0;
    let fits = |message: &&StoredMessage| {
        bytes += message.body.len();
        bytes <= BYTES
    };
    messages.iter().take_while(fits).count().max(1)
}

pub(super) fn bytes(messages: &[StoredMessage]) -> usize {
    messages.iter().map(|message| message.body.len()).sum()
}
