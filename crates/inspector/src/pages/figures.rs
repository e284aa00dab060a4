//! The figures of the last five minutes, and of each second that follows.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use serde::Serialize;

use crate::pages::failure::Failure;
use crate::pages::stream::{AGAIN, Gone, Reader, open};
use crate::shared::Shared;

/// `/live/figures`
pub(super) async fn stream(State(shared): State<Arc<Shared>>) -> Result<Response, Failure> {
    Ok(open(&shared, follow)?)
}

async fn follow(shared: Arc<Shared>, reader: Reader) -> Result<(), Gone> {
    let mut newest = shared.history.follow();
    let all = event("all", &shared.history.all())?;
    reader.send(all.retry(AGAIN)).await?;
    while newest.changed().await.is_ok() {
        let sample = *newest.borrow_and_update();
        reader.send(event("sample", &sample)?).await?;
    }
    Ok(())
}

fn event(name: &str, value: &impl Serialize) -> Result<Event, Gone> {
    let text = serde_json::to_string(value).map_err(|_| Gone)?;
    Ok(Event::default().event(name).data(text))
}
