//! Requests that wait for their replies (Java: `RequestFutureHolder`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::ReadMessage;

/// Requests that wait for their replies.
#[derive(Debug, Default)]
pub(crate) struct AwaitedReplies(Mutex<Senders>);

type Senders = HashMap<Arc<str>, oneshot::Sender<ReadMessage>>;

/// A place in the table; given back when it is dropped.
pub(crate) struct Expected<'a> {
    id: Arc<str>,
    replies: &'a AwaitedReplies,
    pub(crate) receiver: oneshot::Receiver<ReadMessage>,
}

impl AwaitedReplies {
    /// Makes a place for the reply to the request with this id.
    pub(crate) fn expect(&self, id: &Arc<str>) -> Expected<'_> {
        let (sender, receiver) = oneshot::channel();
        self.senders().insert(id.clone(), sender);
        Expected { id: id.clone(), replies: self, receiver }
    }

    /// Hands a reply over; `false` when no request waits for it any more.
    pub(crate) fn complete(&self, id: &str, reply: ReadMessage) -> bool {
        let waits = self.senders().remove(id);
        waits.is_some_and(|waits| waits.send(reply).is_ok())
    }

    fn senders(&self) -> MutexGuard<'_, Senders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.replies.senders().remove(&self.id);
    }
}
