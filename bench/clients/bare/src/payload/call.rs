//! A call: a caller that waits with its message.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::Payload;

pub(crate) struct Call<P: Payload> {
    pub(crate) message: P::Message,
    state: Mutex<State<P>>,
}

/// What became of it, once that is known, and whom that wakes.
struct State<P: Payload>(Option<P::Receipt>, Option<Waker>);

impl<P: Payload> Call<P> {
    pub(crate) fn new(message: P::Message) -> Self {
        Self { message, state: Mutex::new(State(None, None)) }
    }

    pub(crate) fn end(&self, receipt: P::Receipt) -> Option<Waker> {
        let mut state = lock(&self.state);
        state.0 = Some(receipt);
        state.1.take()
    }

    /// Waits until it is known what became of the message.
    pub(crate) async fn receipt(&self) -> P::Receipt {
        poll_fn(|context| {
            let mut state = lock(&self.state);
            if let Some(receipt) = state.0.take() {
                return Poll::Ready(receipt);
            }
            state.1 = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
