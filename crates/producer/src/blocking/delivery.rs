//! The handle of a message that is on its way.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::runtime::Runtime;
use crate::{Receipt, SendError};

/// As the asynchronous [`Delivery`](crate::Delivery): a message that was accepted by
/// [`enqueue`](super::Producer::enqueue) and is on its way.
///
/// Wait for the receipt, or hand it a callback. Dropping it cancels nothing: the message runs to
/// its end, and counts in [`Stats`](crate::Stats).
#[must_use = "a dropped Delivery tells nobody whether the message was stored"]
pub struct Delivery {
    delivery: crate::Delivery,
    runtime: Arc<Runtime>,
}

impl Delivery {
    pub(super) fn new(delivery: crate::Delivery, runtime: Arc<Runtime>) -> Self {
        Self { delivery, runtime }
    }

    /// The message's unique id, known before it is stored.
    pub fn message_id(&self) -> String {
        self.delivery.message_id()
    }

    /// Waits for the receipt; not beyond the message's own deadline.
    ///
    /// # Errors
    /// As [`send`](super::Producer::send).
    pub fn wait(self) -> Result<Receipt, SendError> {
        self.runtime.wait(self.delivery)
    }

    /// Waits for the end of the message for at most `time`; that it is not there by then cancels
    /// nothing.
    ///
    /// # Errors
    /// The handle itself, to wait again, when the message is still on its way.
    pub fn wait_timeout(mut self, time: Duration) -> Result<Result<Receipt, SendError>, Self> {
        // A time beyond what there is is no bound.
        let deadline = Instant::now().checked_add(time);
        match self.runtime.wait_until(&mut self.delivery, deadline) {
            Some(end) => Ok(end),
            None => Err(self),
        }
    }

    /// Has `callback` run with the result, exactly once, on the thread of all callbacks: see
    /// [`on_complete`](crate::Delivery::on_complete) of the asynchronous handle. It may call the
    /// producer, also to wait.
    pub fn on_complete(self, callback: impl FnOnce(Result<Receipt, SendError>) + Send + 'static) {
        self.delivery.on_complete(callback);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.delivery.fmt(f)
    }
}
