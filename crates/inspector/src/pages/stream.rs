//! Events for a page that is live.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::reply::Problem;
use crate::shared::Shared;

/// Events that wait for a reader.
const WAITING: usize = 8;
/// How long a reader may leave them waiting.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a reader hears something although there is nothing to say.
const QUIET: Duration = Duration::from_secs(15);
/// After how long a browser asks again when the stream has ended.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// The reader of a stream.
pub(super) struct Reader(mpsc::Sender<Event>);

/// A reader that has gone, or reads too slowly: its stream ends, and a browser begins another one.
#[derive(Debug)]
pub(super) struct Gone;

impl Reader {
    pub(super) async fn send(&self, event: Event) -> Result<(), Gone> {
        match timeout(PATIENCE, self.0.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

/// A stream of what `serve` sends, if there is a place for one.
pub(super) fn open<F>(
    shared: &Arc<Shared>,
    serve: impl FnOnce(Arc<Shared>, Reader) -> F,
) -> Result<Response, Problem>
where
    F: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let place = shared.room.stream()?;
    let (events, stream) = mpsc::channel(WAITING);
    let reader = events.clone();
    let (served, stops) = (serve(Arc::clone(shared), Reader(events)), shared.stops());
    tokio::spawn(async move {
        tokio::select! {
            _ = served => {}
            () = stops => {}
            () = reader.closed() => {}
        }
        drop(place);
    });
    let stream = Sse::new(Events(stream)).keep_alive(KeepAlive::new().interval(QUIET));
    Ok(stream.into_response())
}

struct Events(mpsc::Receiver<Event>);

impl futures_core::Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|event| event.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_is_gone() {
        let (events, stream) = mpsc::channel(WAITING);
        let reader = Reader(events);
        for _ in 0..WAITING {
            reader.send(Event::default()).await.expect("room");
        }
        reader.send(Event::default()).await.expect_err("no room");
        drop(stream);
        reader.send(Event::default()).await.expect_err("no reader");
    }
}
