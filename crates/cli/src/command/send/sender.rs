//! Who sends the messages of the loop: a producer. In tests, a script.

use std::future::Future;
use std::time::Duration;

use posthaste::{Message, Producer, Receipt, SendError};

/// Sends messages, and says how each ended.
pub(crate) trait Sender: Clone {
    /// What a message has that ended well.
    type Receipt: Send + 'static;
    /// Why a message failed.
    type Error: Send + 'static;

    /// Hands a message over; waits while there is no room for it. `ended` is called once: when the
    /// message has ended, which may be before this returns.
    fn send(
        &self,
        message: Message,
        ended: impl FnOnce(Result<Self::Receipt, Self::Error>) + Send + 'static,
    ) -> impl Future<Output = ()>;

    /// Ends all that is on its way, at once. Does not wait for it: each message says so by `ended`.
    fn abandon(&self);
}

/// A producer, and how it is to send.
#[derive(Clone)]
pub(crate) struct Producing {
    pub(crate) producer: Producer,
    pub(crate) oneway: bool,
}

impl Sender for Producing {
    /// A one-way message has none.
    type Receipt = Option<Receipt>;
    type Error = SendError;

    async fn send(
        &self,
        message: Message,
        ended: impl FnOnce(Result<Option<Receipt>, SendError>) + Send + 'static,
    ) {
        if self.oneway {
            let producer = self.producer.clone();
            tokio::spawn(async move { ended(producer.send_oneway(message).await.map(|()| None)) });
            return;
        }
        match self.producer.enqueue(message).await {
            Ok(delivery) => delivery.on_complete(move |result| ended(result.map(Some))),
            Err(error) => ended(Err(error)),
        }
    }

    fn abandon(&self) {
        let producer = self.producer.clone();
        tokio::spawn(async move { producer.close(Duration::ZERO).await });
    }
}
