//! The producer: hop 1 of a send.

mod builder;
mod checked;
pub(crate) mod delivery;
pub(crate) mod ready;
pub(crate) mod runtime;
mod start;
mod trace_sender;

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OnceCell;

pub use self::builder::ProducerBuilder;
use self::delivery::{Awaited, waker};
use crate::accepted::{Accepted, End, Mode};
use crate::client::Client;
use crate::config::{Config, LONGEST};
use crate::ledger::{Admission, Unadmitted};
use crate::message::content::Content;
use crate::observers::span::{SendSpan, send_span};
use crate::{
    Batch, BatchDelivery, CloseReport, Delivery, Message, NameServers, Receipt, SendError,
    StartError, Stats,
};

/// A member of a producer group that sends messages to a RocketMQ cluster.
///
/// Clones are handles of the same producer and cheap; every verb takes `&self`. When the last
/// handle is dropped without [`close`](Self::close), accepted messages still run to their ends in
/// the background, as long as the runtime lives.
#[derive(Clone)]
pub struct Producer {
    handle: Arc<HandleOfAll>,
    timeout: Duration,
}

/// Shared by all clones; dropped with the last.
struct HandleOfAll {
    client: Arc<Client>,
    closed: OnceCell<CloseReport>,
}

impl Drop for HandleOfAll {
    fn drop(&mut self) {
        if self.closed.initialized() {
            return;
        }
        // Every message has its own deadline, so this one need not be near.
        let (client, deadline) =
            (self.client.clone(), Instant::now() + Duration::from_secs(86_400));
        self.client.ledger.spawn(async move { drop(client.close(deadline).await) });
    }
}

impl Producer {
    pub(crate) fn launch(config: Config, runtime: &Handle) -> Self {
        let timeout = config.send_timeout;
        let client = start::start(config, runtime);
        Self { handle: Arc::new(HandleOfAll { client, closed: OnceCell::new() }), timeout }
    }

    /// Sends a message and awaits the broker's answer.
    ///
    /// The deadline of the send ([`send_timeout`](ProducerBuilder::send_timeout)) covers everything:
    /// room, route, connection, attempts.
    ///
    /// # Errors
    /// [`SendError`] says whether the message may have been stored, lists the attempts and gives
    /// the message back.
    ///
    /// # Order
    /// While there is room ([`max_pending`](ProducerBuilder::max_pending)), messages are accepted
    /// in the order in which their futures are first polled. Messages that have to wait for room
    /// may be accepted in another order: where order matters, await each [`enqueue`](Self::enqueue)
    /// before the next. Messages are stored in the order of acceptance only with
    /// [`Message::order_by`], [`Message::select_queue`], or [`Message::ordered`] in a given queue.
    ///
    /// # Cancellation
    /// Dropping the future before the message has left takes the message back: it will not be
    /// stored. Later, the message runs to its end. Dropping never leaves half a request on the
    /// wire.
    pub async fn send(&self, message: Message) -> Result<Receipt, SendError> {
        let span = |message: &Message| send_span!("send", self.client(), message, 1);
        let waker = Some(waker().await);
        let (admission, span) = self.accept(message.into(), Mode::Sync, waker, span)?;
        Awaited::new(admission, self.client(), span, End::receipt).await
    }

    /// Accepts a message, waiting for room if need be, and gives a handle of its delivery.
    ///
    /// # Errors
    /// When the message is not valid, there is no room by its deadline, or the producer is closed;
    /// it is not stored then.
    ///
    /// # Cancellation
    /// Dropping the future before it gives the handle means that the message was not accepted.
    /// Dropping the handle cancels nothing.
    pub async fn enqueue(&self, message: Message) -> Result<Delivery, SendError> {
        let span = |message: &Message| send_span!("enqueue", self.client(), message, 1);
        let (admission, span) = self.accept(message.into(), Mode::Async, None, span)?;
        let accepted = match admission {
            Admission::Accepted(accepted) => accepted,
            Admission::MustWait(unadmitted) => {
                Box::pin(self.wait_for_room(unadmitted, &span)).await?
            }
        };
        Ok(self.delivery(accepted, span))
    }

    /// As [`enqueue`](Self::enqueue), but fails with [`ErrorKind::BufferFull`](crate::ErrorKind::BufferFull) instead of waiting.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue), at once.
    pub fn try_enqueue(&self, message: Message) -> Result<Delivery, SendError> {
        let span = |message: &Message| send_span!("try_enqueue", self.client(), message, 1);
        let (admission, span) = self.accept(message.into(), Mode::Async, None, span)?;
        match admission {
            Admission::Accepted(accepted) => Ok(self.delivery(accepted, span)),
            Admission::MustWait(unadmitted) => {
                let error = self.client().ledger.no_room(*unadmitted);
                span.record_failed(&error);
                Err(error)
            }
        }
    }

    /// Sends a message without asking for an answer; ends when it is written to the connection.
    ///
    /// It stays unknown whether it was stored. It leaves at the broker's pace, unless
    /// [`oneway_unlimited`](ProducerBuilder::oneway_unlimited) is set.
    ///
    /// # Errors
    /// When it was not written by its deadline, or not even accepted. See the
    /// [outcome](SendError::outcome): *unknown* means that it was in the connection's buffer
    /// already and may still be written; everything else is *not_stored*.
    ///
    /// # Cancellation
    /// As [`send`](Self::send).
    pub async fn send_oneway(&self, message: Message) -> Result<(), SendError> {
        let span = |message: &Message| send_span!("send_oneway", self.client(), message, 1);
        let waker = Some(waker().await);
        let (admission, span) = self.accept(message.into(), Mode::Oneway, waker, span)?;
        Awaited::new(admission, self.client(), span, End::written).await
    }

    /// Sends a batch and awaits the broker's answer: its messages are stored together, one after
    /// another in one queue, or not at all. Gives a receipt for each, in their order.
    ///
    /// Messages that wait for room share requests anyway ([`batching`](ProducerBuilder::batching));
    /// use this for messages that belong together. An empty batch sends nothing, and has no
    /// receipts.
    ///
    /// # Errors
    /// [`SendError`], as for [`send`](Self::send), gives all messages back
    /// ([`into_messages`](SendError::into_messages)). A batch whose messages differ in topic,
    /// destination or [`wait_stored`](Message::wait_stored), that has a message that goes alone
    /// (see [`Batch`]), or that is too large (see [`Batch::split`]), is refused before anything is
    /// sent.
    ///
    /// # Cancellation
    /// As [`send`](Self::send).
    pub async fn send_batch(&self, batch: impl Into<Batch>) -> Result<Vec<Receipt>, SendError> {
        let Some(content) = Content::of_batch(batch.into()) else { return Ok(Vec::new()) };
        let count = content.count();
        let span = |first: &Message| send_span!("send_batch", self.client(), first, count);
        let waker = Some(waker().await);
        let (admission, span) = self.accept(content, Mode::Sync, waker, span)?;
        Awaited::new(admission, self.client(), span, End::receipts).await
    }

    /// Accepts a batch, waiting for room if need be, and gives a handle of its delivery: as
    /// [`send_batch`](Self::send_batch), without waiting for the broker (Java: `send` of a
    /// collection with a `SendCallback`). An empty batch sends nothing; its handle gives no
    /// receipts.
    ///
    /// # Errors
    /// When the batch breaks a rule (see [`send_batch`](Self::send_batch)), there is no room by its
    /// deadline, or the producer is closed; nothing of it is stored then.
    ///
    /// # Cancellation
    /// Dropping the future before it gives the handle means that the batch was not accepted. Dropping
    /// the handle cancels nothing.
    pub async fn enqueue_batch(&self, batch: impl Into<Batch>) -> Result<BatchDelivery, SendError> {
        let Some(content) = Content::of_batch(batch.into()) else {
            return Ok(BatchDelivery::new(None));
        };
        let count = content.count();
        let span = |first: &Message| send_span!("enqueue_batch", self.client(), first, count);
        let (admission, span) = self.accept(content, Mode::Async, None, span)?;
        let accepted = match admission {
            Admission::Accepted(accepted) => accepted,
            Admission::MustWait(unadmitted) => {
                Box::pin(self.wait_for_room(unadmitted, &span)).await?
            }
        };
        Ok(BatchDelivery::new(Some(self.delivery(accepted, span))))
    }

    /// Accepts a message or a batch, if there is room, in the span that is made of its first message.
    #[inline]
    fn accept(
        &self,
        content: Content,
        mode: Mode,
        waker: Option<Waker>,
        span: impl FnOnce(&Message) -> SendSpan,
    ) -> Result<(Admission, SendSpan), SendError> {
        let span = span(&content.first);
        match span.in_scope(|| self.client().ledger.accept(content, mode, waker, self.timeout)) {
            Ok(admission) => Ok((admission, span)),
            Err(error) => {
                span.record_failed(&error);
                Err(error)
            }
        }
    }

    async fn wait_for_room(
        &self,
        unadmitted: Box<Unadmitted>,
        span: &SendSpan,
    ) -> Result<Arc<Accepted>, SendError> {
        let accepted = span.instrument(self.client().ledger.wait_for_room(unadmitted)).await;
        accepted.inspect_err(|error| span.record_failed(error))
    }

    #[inline]
    fn delivery(&self, accepted: Arc<Accepted>, span: SendSpan) -> Delivery {
        span.in_scope(|| self.client().deliver(accepted.clone()));
        Delivery::new(accepted, self.client().clone(), span)
    }

    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.handle.client
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A handle of the same producer whose sends have this deadline.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { handle: self.handle.clone(), timeout: timeout.min(LONGEST) }
    }

    /// From now on the producer asks these name servers only. Topics that wait for a route are
    /// looked up there at once, and so is every topic with a route; connections to name servers
    /// that are not in the list any more end when no call waits for their answers. With an [address
    /// server](NameServers::address_server) the old ones are asked until it has answered.
    ///
    /// Sends do not stop: they use the known routes until there are newer ones.
    ///
    /// # Errors
    /// [`StartError::NameServers`] if it is not a valid list; then the name servers stay as they
    /// were.
    pub fn set_name_servers(&self, name_servers: impl Into<NameServers>) -> Result<(), StartError> {
        let client = &self.handle.client;
        let unit = client.ledger.config().identity.unit_name.as_deref();
        let discovery = name_servers.into().checked(unit)?;
        if let Some(observers) = client.ledger.observers() {
            observers.discover(discovery.clone());
        }
        client.discover(discovery);
        Ok(())
    }

    /// Awaits the end of every message that was accepted before, however it ends; each message
    /// reports its own outcome. Messages that [linger](ProducerBuilder::linger) leave at once. New
    /// messages are accepted and not waited for.
    ///
    /// No message lives beyond its deadline, so this ends by the last deadline. Flushes take turns:
    /// a flush that has to wait for another also awaits the messages accepted until its turn.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing for the messages.
    pub async fn flush(&self) {
        self.handle.client.flush().await;
    }

    /// What the producer has counted.
    pub fn stats(&self) -> Stats {
        self.handle.client.stats()
    }

    /// Stops accepting messages, waits at most `time` for the accepted ones to end, then ends the
    /// rest and leaves the producer group, all within `time` and a tenth of a second. If one-way
    /// messages were written, it waits up to half a second of that until the broker has read them.
    /// A larger `time` extends no send: each still ends by its own deadline.
    ///
    /// Callers that wait for room, and later calls, end with [`ErrorKind::Closed`](crate::ErrorKind::Closed) at once. A second
    /// `close` awaits the first and gives the same report.
    ///
    /// # Cancellation
    /// Dropping the future leaves the producer closed to new messages; accepted messages go on.
    /// Another `close` continues from there.
    pub async fn close(&self, time: Duration) -> CloseReport {
        let deadline = Instant::now() + time.min(LONGEST);
        self.handle.closed.get_or_init(|| self.handle.client.close(deadline)).await.clone()
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("client", &self.handle.client).finish_non_exhaustive()
    }
}
