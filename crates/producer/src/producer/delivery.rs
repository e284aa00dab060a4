//! A message on its way, as its caller has it: a handle, or the future of a send.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use crate::accepted::{Accepted, Callback, End};
use crate::client::Client;
use crate::ledger::Admission;
use crate::observers::span::SendSpan;
use crate::{Receipt, SendError};

/// A message that was accepted by [`enqueue`](crate::Producer::enqueue) and is on its way.
///
/// Await it for the receipt, or hand it a callback. Dropping it cancels nothing: the message runs
/// to its end, and counts in [`Stats`](crate::Stats).
#[must_use = "dropping a Delivery loses the information whether the message was stored"]
pub struct Delivery {
    accepted: Arc<Accepted>,
    client: Arc<Client>,
    /// Ends with the handle.
    span: SendSpan,
}

impl Delivery {
    pub(crate) fn new(accepted: Arc<Accepted>, client: Arc<Client>, span: SendSpan) -> Self {
        Self { accepted, client, span }
    }

    /// The message's unique id, known before it is stored.
    pub fn message_id(&self) -> String {
        self.accepted.id.to_string()
    }

    /// Runs `callback` with the result, exactly once.
    ///
    /// Callbacks run one after another on a separate thread: one that blocks delays other
    /// callbacks, but no send. One that panics ends alone. They run elsewhere with a
    /// [`callback_executor`](crate::ProducerBuilder::callback_executor).
    pub fn on_complete(self, callback: impl FnOnce(Result<Receipt, SendError>) + Send + 'static) {
        self.on_end(End::receipt, callback);
    }

    fn on_end<T>(
        self,
        result: ResultOf<T>,
        callback: impl FnOnce(Result<T, SendError>) + Send + 'static,
    ) where
        T: 'static,
    {
        let Self { accepted, client, span } = self;
        let tell = move |end| {
            if let Some(result) = result(end) {
                callback(result);
            }
        };
        let callback: Callback = match span.is_none() {
            true => Box::new(tell),
            false => {
                let client = client.clone();
                Box::new(move |end| {
                    span.record(&end, &|queue| client.address_of(queue));
                    span.in_scope(|| tell(end));
                })
            }
        };
        client.ledger.wake(accepted.on_end(callback));
    }

    fn poll_result<T>(
        &self,
        context: &mut Context<'_>,
        result: ResultOf<T>,
    ) -> Poll<Result<T, SendError>> {
        let end = ready!(self.accepted.poll_end(context));
        self.span.record(&end, &|queue| self.client.address_of(queue));
        result(end).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Future for Delivery {
    type Output = Result<Receipt, SendError>;

    /// # Cancellation
    /// Dropping the future cancels nothing; see [`Delivery`].
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Neither one-way sends nor batches have a Delivery.
        self.poll_result(context, End::receipt)
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Delivery").field(&self.accepted).finish()
    }
}

/// A batch that was accepted by [`enqueue_batch`](crate::Producer::enqueue_batch) and is on its way.
///
/// Await it for the receipts, or hand it a callback. Dropping it cancels nothing: the batch runs to
/// its end, and counts in [`Stats`](crate::Stats).
#[must_use = "dropping a BatchDelivery loses the information whether the batch was stored"]
#[derive(Debug)]
pub struct BatchDelivery {
    /// `None` of a batch without messages, until its end has been reported.
    delivery: Option<Delivery>,
}

impl BatchDelivery {
    pub(crate) fn new(delivery: Option<Delivery>) -> Self {
        Self { delivery }
    }

    /// The unique id of each message, in their order, known before they are stored.
    pub fn message_ids(&self) -> Vec<String> {
        let ids = self.delivery.iter().flat_map(|one| one.accepted.ids());
        ids.map(|id| id.to_string()).collect()
    }

    /// Runs `callback` with the result, exactly once: a receipt for each message, in their order.
    /// Where it runs: see [`Delivery::on_complete`].
    pub fn on_complete(
        self,
        callback: impl FnOnce(Result<Vec<Receipt>, SendError>) + Send + 'static,
    ) {
        match self.delivery {
            Some(delivery) => delivery.on_end(End::receipts, callback),
            None => callback(Ok(Vec::new())),
        }
    }
}

impl Future for BatchDelivery {
    type Output = Result<Vec<Receipt>, SendError>;

    /// # Cancellation
    /// Dropping the future cancels nothing; see [`BatchDelivery`].
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &self.delivery {
            Some(delivery) => delivery.poll_result(context, End::receipts),
            None => Poll::Ready(Ok(Vec::new())),
        }
    }
}

/// A `send`, a `send_batch` or a one-way send, from its acceptance to its end; dropped before that, it
/// takes back what has not left.
///
/// Not an `async fn`: there may be thousands of them, and the future of an `async fn` is several times as large.
pub(crate) struct Awaited<'a, T> {
    stage: Stage<'a>,
    client: &'a Arc<Client>,
    span: SendSpan,
    result: ResultOf<T>,
}

enum Stage<'a> {
    /// There was no room for it at once.
    WaitsForRoom(Pin<Box<dyn Future<Output = Result<Arc<Accepted>, SendError>> + Send + 'a>>),
    Taken {
        accepted: Arc<Accepted>,
        has_set_out: bool,
    },
    Ended,
}

/// What wakes the task that awaits this.
pub(crate) async fn waker() -> Waker {
    poll_fn(|context| Poll::Ready(context.waker().clone())).await
}

/// What an end is to the caller. `None`, which is awaited for ever: it is none that can come.
pub(crate) type ResultOf<T> = fn(End) -> Option<Result<T, SendError>>;

impl<'a, T> Awaited<'a, T> {
    pub(crate) fn new(
        admission: Admission,
        client: &'a Arc<Client>,
        span: SendSpan,
        result: ResultOf<T>,
    ) -> Self {
        let stage = match admission {
            Admission::Accepted(accepted) => Stage::Taken { accepted, has_set_out: false },
            Admission::MustWait(unadmitted) => {
                Stage::WaitsForRoom(Box::pin(client.ledger.wait_for_room(unadmitted)))
            }
        };
        Self { stage, client, span, result }
    }
}

impl<T> Future for Awaited<'_, T> {
    type Output = Result<T, SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { stage, client, span, result } = &mut *self;
        if let Stage::WaitsForRoom(room) = stage {
            match ready!(span.in_scope(|| room.as_mut().poll(context))) {
                Ok(accepted) => {
                    accepted.wake_at_end(context);
                    *stage = Stage::Taken { accepted, has_set_out: false };
                }
                Err(error) => {
                    *stage = Stage::Ended;
                    span.record_failed(&error);
                    return Poll::Ready(Err(error));
                }
            }
        }
        let Stage::Taken { accepted, has_set_out } = stage else { return Poll::Pending };
        if !std::mem::replace(has_set_out, true) {
            // Should that end it, it wakes.
            span.in_scope(|| client.deliver(accepted.clone()));
            return Poll::Pending;
        }
        let end = ready!(span.in_scope(|| accepted.poll_end(context)));
        *stage = Stage::Ended;
        span.record(&end, &|queue| client.address_of(queue));
        result(end).map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Drop for Awaited<'_, T> {
    fn drop(&mut self) {
        if let Stage::Taken { accepted, .. } = &self.stage {
            self.client.withdraw(accepted);
        }
    }
}
