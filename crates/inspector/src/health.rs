//! Whether this server and the broker answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::PageOf;
use serde_json::json;

use crate::reply::Problem;
use crate::shared::{Shared, broken};

/// How long the broker has to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// `/healthz`: this server answers.
pub(crate) async fn alive(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    shared.json(StatusCode::OK, &json!({"status": "alive"})).await
}

/// `/readyz`: the broker's own thread answers.
pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    // A topic that does not exist costs the thread nothing.
    let asked = shared.broker.page(PageOf::topic("").count(1));
    let answered = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| {
        let message = format!("the broker has not answered within {} s", PATIENCE.as_secs());
        let help = "ask again; if it stays so, start the broker again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "broker", message, help)
    })?;
    answered.map_err(|error| broken(&error))?;
    shared.json(StatusCode::OK, &json!({"status": "ready"})).await
}
