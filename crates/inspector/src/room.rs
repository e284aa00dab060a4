//! Room for what is under way: requests that wait, answers that are made, bytes that have not left.
//!
//! A reader that is slow keeps its answer in memory. All of them together get no more than there is
//! room for; who comes then is told so.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::reply::Problem;

/// Requests that may wait for messages at a time.
pub(crate) const WAITING: usize = 128;
/// Streams of events for pages that are live.
pub(crate) const STREAMS: usize = 32;
/// Answers with messages that are made at a time.
const MAKING: usize = 4;
/// KiB of bodies and answers on their way.
const KIB: u32 = 64 * 1024;
/// Answers up to this size are not counted: connections have about as much for themselves.
const SMALL: usize = 16 * 1024;
/// How long room is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// All the room.
#[derive(Debug)]
pub(crate) struct Room {
    waiting: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    making: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

/// Some of the room, until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    _permits: OwnedSemaphorePermit,
}

impl Default for Room {
    fn default() -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            waiting: semaphore(WAITING),
            streams: semaphore(STREAMS),
            making: semaphore(MAKING),
            kib: semaphore(KIB as usize),
        }
    }
}

impl Room {
    /// A place among those that wait.
    pub(crate) fn wait(&self) -> Result<Taken, Problem> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| {
            let message = format!("{WAITING} requests wait already");
            let help = "wait in fewer of them, or for a shorter time";
            busy("too_many_waiting", message, help)
        })?;
        Ok(Taken { _permits: place })
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        WAITING - self.waiting.available_permits()
    }

    /// A place among the streams.
    pub(crate) fn stream(&self) -> Result<Taken, Problem> {
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let message = format!("{STREAMS} pages are live already");
            busy("too_many_streams", message, "close some of them")
        })?;
        Ok(Taken { _permits: place })
    }

    /// A turn at reading messages and writing them as JSON.
    pub(crate) async fn make(&self) -> Result<Taken, Problem> {
        take(&self.making, 1).await
    }

    /// Room for this many bytes.
    pub(crate) async fn bytes(&self, bytes: usize) -> Result<Taken, Problem> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(KIB);
        // An answer that is longer than all the room takes all of it.
        take(&self.kib, kib.min(KIB)).await
    }

    /// A body that has its room until it has left.
    pub(crate) async fn body(&self, text: Vec<u8>) -> Result<Body, Problem> {
        if text.len() <= SMALL {
            return Ok(Body::from(text));
        }
        let taken = self.bytes(text.len()).await?;
        Ok(Body::from(Bytes::from_owner(Leaving { text, _taken: taken })))
    }
}

/// An answer that has not left yet.
struct Leaving {
    text: Vec<u8>,
    _taken: Taken,
}

impl AsRef<[u8]> for Leaving {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

async fn take(semaphore: &Arc<Semaphore>, permits: u32) -> Result<Taken, Problem> {
    let taken = Arc::clone(semaphore).acquire_many_owned(permits);
    match tokio::time::timeout(PATIENCE, taken).await {
        Ok(Ok(permits)) => Ok(Taken { _permits: permits }),
        Ok(Err(_)) | Err(_) => {
            let message = "too much is under way: answers that their clients have not read";
            let help = "read answers as they come, and ask for smaller ones with `limit`";
            Err(busy("no_room", message.to_owned(), help))
        }
    }
}

fn busy(kind: &'static str, message: String, help: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, message, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_among_those_that_wait_come_back() {
        let room = Room::default();
        let places: Vec<_> = (0..WAITING).map(|_| room.wait().expect("a place")).collect();
        assert_eq!(room.waiting(), WAITING);
        assert_eq!(room.wait().expect_err("no place").kind(), "too_many_waiting");
        drop(places);
        assert!(room.wait().is_ok());
        let streams: Vec<_> = (0..STREAMS).map(|_| room.stream().expect("a place")).collect();
        assert_eq!(room.stream().expect_err("no place").kind(), "too_many_streams");
        drop(streams);
        assert!(room.stream().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_have_not_left_leave_no_room_for_others() {
        let room = Room::default();
        let long = vec![0; 40 * 1024 * 1024];
        let first = room.body(long.clone()).await.expect("room");
        assert_eq!(room.body(long.clone()).await.expect_err("no room").kind(), "no_room");
        assert!(room.body(vec![0; SMALL]).await.is_ok());
        drop(first);
        let second = room.body(long).await.expect("room");
        drop(second);
        assert!(room.bytes(usize::MAX).await.is_ok());
    }
}
