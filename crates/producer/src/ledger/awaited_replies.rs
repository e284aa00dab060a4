//! Requests that wait for their replies (Java: `RequestFutureHolder`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::ReadMessage;

/// Requests that wait for their replies.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Waiting>);

type Waiting = HashMap<Arc<str>, oneshot::Sender<ReadMessage>>;

/// A place in the table; given back when it is dropped.
pub(crate) struct Expected<'a> {
    id: Arc<str>,
    requests: &'a Requests,
    pub(crate) receiver: oneshot::Receiver<ReadMessage>,
}

impl Requests {
    /// Makes a place for the reply to the request with this id.
    pub(crate) fn expect(&self, id: &Arc<str>) -> Expected<'_> {
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(id.clone(), sender);
        Expected { id: id.clone(), requests: self, receiver }
    }

    /// Hands a reply over; `false` when no request waits for it any more.
    pub(crate) fn complete(&self, id: &str, reply: ReadMessage) -> bool {
        let waits = self.waiting().remove(id);
        waits.is_some_and(|waits| waits.send(reply).is_ok())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.requests.waiting().remove(&self.id);
    }
}
