//! What all requests have in common.

use std::future::Future;
use std::sync::Mutex;

use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{BrokerHandle, KitError};
use serde::Serialize;
use tokio::sync::watch;

use crate::history::History;
use crate::hosts::Hosts;
use crate::password::Password;
use crate::reply::{Problem, whole};
use crate::room::Room;
use crate::token::Token;

/// What all requests have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) broker: BrokerHandle,
    pub(crate) room: Room,
    pub(crate) hosts: Hosts,
    pub(crate) password: Option<Password>,
    /// For the forms of the pages.
    pub(crate) token: Token,
    pub(crate) history: History,
    /// Its sender is dropped when the server is to stop.
    pub(crate) stopping: watch::Receiver<()>,
    /// Held while fault rules are added.
    pub(crate) adding: Mutex<()>,
}

impl Shared {
    /// Waits until the server is to stop.
    pub(crate) fn stops(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.stopping.clone();
        async move { while stopping.changed().await.is_ok() {} }
    }

    /// An answer with something as JSON, once there is room for it.
    pub(crate) async fn json(
        &self,
        status: StatusCode,
        value: &impl Serialize,
    ) -> Result<Response, Problem> {
        let text = serde_json::to_vec(value).map_err(|error| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let message = format!("the answer cannot be written as JSON: {error}");
            Problem::new(status, "bug", message, "please report this")
        })?;
        Ok(whole(status, self.room.body(text).await?))
    }
}

/// What a request that waits is told when the server stops.
pub(crate) fn stopping() -> Problem {
    let help = "ask again once it has been started again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server stops", help)
}

/// What the broker does not answer.
pub(crate) fn broken(error: &KitError) -> Problem {
    let help = "start the broker again; its own output says why it has stopped";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "broker", error.to_string(), help)
}
