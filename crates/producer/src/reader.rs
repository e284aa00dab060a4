//! Reading what landed in a topic.

mod builder;
mod puller;
mod queues;
mod supervisor;

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_core::Stream;
use posthaste_protocol::{DecodeError, StoredMessage};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

pub use builder::{ReadFrom, ReaderBuilder};

use crate::{Admin, AdminError, MessageQueue, ReadMessage};

/// Reads the messages stored in all queues of a topic, without a consumer group: no offset of a
/// group moves, and consumers get no fewer messages.
///
/// Messages of one queue come in their order, each once; messages of different queues come in no
/// order. When a broker is lost, reading goes on at the same place as soon as it is back, or its
/// queues are elsewhere. Queues that the topic gains are read too, within 30 s.
///
/// Memory is bounded: each queue is read ahead by one or two pulls, of 256 KiB or one message, and
/// no further until [`next`](Self::next) has taken them.
///
/// It keeps its producer alive. Dropping it ends the reading.
///
/// It is a [`Stream`] too, of what [`next`](Self::next) gives. The stream ends where `next` gives
/// `None`, and after [`AdminError::Closed`]; other errors do not end it.
#[derive(Debug)]
pub struct Reader {
    admin: Admin,
    pulled: mpsc::Receiver<Pulled>,
    /// What is being handed out.
    batch: PulledBatch,
    tags: Arc<HashSet<String>>,
    ended: bool,
    /// The stream has said that the producer is closed.
    closed: bool,
    _ends_the_tasks: DropGuard,
}

/// What the tasks in the background have to tell.
#[derive(Debug)]
enum Pulled {
    Batch(PulledBatch),
    Trouble(AdminError),
    /// Everything is read that was to be read.
    End,
}

/// What one pull brought, not yet decoded.
#[derive(Debug)]
struct PulledBatch {
    queue: MessageQueue,
    address: Arc<str>,
    records: Bytes,
    /// What is to be added to their offsets: records of a logical queue have the offsets of the
    /// queue that they lie in.
    delta: i64,
    /// The offset that was asked for.
    from: i64,
    /// The offset to end before.
    until: i64,
}

impl Reader {
    /// The next message, as soon as there is one; `None` once
    /// [`until_now`](ReaderBuilder::until_now) is reached.
    ///
    /// # Errors
    /// An error does not end the reader: call `next` again, and it goes on where it was.
    ///
    /// - [`AdminError::Denied`] and [`AdminError::Refused`]: a broker refuses to be read. It is
    ///   asked again every few seconds.
    /// - [`AdminError::Unreachable`], [`AdminError::Timeout`], [`AdminError::NoTopic`]: a queue
    ///   could not be read for as long as the reader's [`patience`](ReaderBuilder::patience).
    /// - [`AdminError::Protocol`]: a message cannot be decoded. The next ones follow.
    /// - [`AdminError::Closed`]: the producer was closed. This error is final.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<ReadMessage>, AdminError> {
        poll_fn(|context| self.poll_message(context)).await
    }

    fn poll_message(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<ReadMessage>, AdminError>> {
        loop {
            if let Some(message) = self.next_of_batch()? {
                return Poll::Ready(Ok(Some(message)));
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            match ready!(self.pulled.poll_recv(context)) {
                Some(Pulled::Batch(batch)) => self.batch = batch,
                Some(Pulled::Trouble(error)) => return Poll::Ready(Err(error)),
                Some(Pulled::End) => self.ended = true,
                None => return Poll::Ready(Err(AdminError::Closed)),
            }
        }
    }

    /// The admin that the reader came from.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    fn next_of_batch(&mut self) -> Result<Option<ReadMessage>, AdminError> {
        while self.batch.records.has_remaining() {
            let stored = self.batch.take().map_err(|error| AdminError::Protocol {
                address: self.batch.address.to_string(),
                reason: error.to_string(),
            })?;
            let in_range = (self.batch.from..self.batch.until).contains(&stored.queue_offset);
            let message = ReadMessage::new(self.batch.queue.clone(), stored);
            // Brokers compare hashes of tags, which different tags may share.
            let wanted =
                self.tags.is_empty() || message.tag().is_some_and(|tag| self.tags.contains(tag));
            if in_range && wanted {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }
}

impl Stream for Reader {
    type Item = Result<ReadMessage, AdminError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let read = ready!(self.poll_message(context));
        if matches!(read, Err(AdminError::Closed)) {
            // To a stream that is the last; to `next` it stays.
            return Poll::Ready(
                (!std::mem::replace(&mut self.closed, true)).then(|| Err(AdminError::Closed)),
            );
        }
        Poll::Ready(read.transpose())
    }
}

impl PulledBatch {
    /// Before anything was pulled.
    fn none() -> Self {
        Self {
            queue: MessageQueue::new("", "", 0),
            address: Arc::from(""),
            records: Bytes::new(),
            delta: 0,
            from: 0,
            until: 0,
        }
    }

    /// Takes one record off. A record that cannot be read is passed over. If it does not even say how
    /// long it is, the records behind it are passed over too.
    fn take(&mut self) -> Result<StoredMessage, DecodeError> {
        let before = self.records.len();
        let decoded = StoredMessage::decode(&mut self.records);
        if decoded.is_err() && self.records.len() == before {
            self.records.clear();
        }
        decoded.map(|stored| {
            let queue_offset = stored.queue_offset.saturating_add(self.delta);
            StoredMessage { queue_offset, ..stored }
        })
    }
}
