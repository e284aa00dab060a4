//! The handle of a message that is on its way.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::runtime::Runtime;
use crate::{Receipt, SendError};

/// Waits for a handle's end for at most `time`; gives the handle back when it has not come.
fn wait_timeout<F: Future + Unpin>(
    runtime: &Runtime,
    mut handle: F,
    time: Duration,
) -> Result<F::Output, F> {
    // A time beyond what there is is no bound.
    let deadline = Instant::now().checked_add(time);
    runtime.wait_until(&mut handle, deadline).ok_or(handle)
}

/// As the asynchronous [`Delivery`](crate::Delivery): a message that was accepted by
/// [`enqueue`](super::Producer::enqueue) and is on its way.
///
/// Wait for the receipt, or hand it a callback. Dropping it cancels nothing: the message runs to
/// its end, and counts in [`Stats`](crate::Stats).
#[must_use = "dropping a Delivery loses the information whether the message was stored"]
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
    pub fn wait_timeout(self, time: Duration) -> Result<Result<Receipt, SendError>, Self> {
        let Self { delivery, runtime } = self;
        let waited = wait_timeout(&runtime, delivery, time);
        waited.map_err(|delivery| Self { delivery, runtime })
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

/// As the asynchronous [`BatchDelivery`](crate::BatchDelivery): a batch that was accepted by
/// [`enqueue_batch`](super::Producer::enqueue_batch) and is on its way.
///
/// Wait for the receipts, or hand it a callback. Dropping it cancels nothing: the batch runs to its
/// end, and counts in [`Stats`](crate::Stats).
#[must_use = "dropping a BatchDelivery loses the information whether the batch was stored"]
pub struct BatchDelivery {
    delivery: crate::BatchDelivery,
    runtime: Arc<Runtime>,
}

impl BatchDelivery {
    pub(super) fn new(delivery: crate::BatchDelivery, runtime: Arc<Runtime>) -> Self {
        Self { delivery, runtime }
    }

    /// The unique id of each message, in their order, known before they are stored.
    pub fn message_ids(&self) -> Vec<String> {
        self.delivery.message_ids()
    }

    /// Waits for the receipts, one for each message in their order; not beyond the batch's deadline.
    ///
    /// # Errors
    /// As [`send_batch`](super::Producer::send_batch).
    pub fn wait(self) -> Result<Vec<Receipt>, SendError> {
        self.runtime.wait(self.delivery)
    }

    /// Waits for the end of the batch for at most `time`; that it is not there by then cancels
    /// nothing.
    ///
    /// # Errors
    /// The handle itself, to wait again, when the batch is still on its way.
    pub fn wait_timeout(self, time: Duration) -> Result<Result<Vec<Receipt>, SendError>, Self> {
        let Self { delivery, runtime } = self;
        let waited = wait_timeout(&runtime, delivery, time);
        waited.map_err(|delivery| Self { delivery, runtime })
    }

    /// Has `callback` run with the result, exactly once: see
    /// [`on_complete`](crate::BatchDelivery::on_complete) of the asynchronous handle.
    pub fn on_complete(
        self,
        callback: impl FnOnce(Result<Vec<Receipt>, SendError>) + Send + 'static,
    ) {
        self.delivery.on_complete(callback);
    }
}

impl fmt::Debug for BatchDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.delivery.fmt(f)
    }
}
