//! The same verbs without `.await`, for programs without an asynchronous runtime.
//!
//! ```no_run
//! use std::time::Duration;
//! use posthaste::{Message, blocking::Producer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::builder("order-service", "127.0.0.1:9876").start()?;
//! let receipt = producer.send(Message::new("orders", "created"))?;
//! println!("stored in {} at {}", receipt.queue(), receipt.queue_offset());
//! let delivery = producer.enqueue(Message::new("orders", "later"))?;
//! delivery.wait()?;
//! assert!(producer.close(Duration::from_secs(10)).is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! Each type mirrors the type of the same name in the crate's root; what that says of deadlines, order
//! and errors holds here too. One thread of the producer does the work; calls only park their
//! thread until it is done.
//!
//! A call from asynchronous code works, but stops its thread, and every task on it, for as long:
//! use the asynchronous [`Producer`](crate::Producer) there.

mod admin;
mod builder;
mod delivery;
mod reader;
mod runtime;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

pub use admin::Admin;
pub use builder::ProducerBuilder;
pub use delivery::{BatchDelivery, Delivery};
pub use reader::{Reader, ReaderBuilder};
pub use transaction::Transaction;

use crate::{
    AdminError, Batch, CloseReport, Message, NameServers, NotReady, ReadMessage, Receipt,
    RequestError, SendError, StartError, Stats, Text, TransactionError, TransactionState,
};
use runtime::Runtime;

/// As the asynchronous [`Producer`](crate::Producer), with calls that wait.
///
/// Clones are handles of the same producer and cheap; every verb takes `&self`, from any thread.
/// When the last handle is dropped without [`close`](Self::close), what was accepted still runs to
/// its end in the background, as long as the process lives. Dropping never waits.
#[derive(Clone, Debug)]
pub struct Producer {
    producer: crate::Producer,
    runtime: Arc<Runtime>,
}

impl Producer {
    /// Settings of a producer of `group`, for the cluster of these name servers: a list,
    /// `host:port;host:port`, or another way to find them ([`NameServers`]). What a group may be
    /// called: see [`builder`](crate::Producer::builder) of the asynchronous producer.
    pub fn builder(
        group: impl Into<Text>,
        name_servers: impl Into<NameServers>,
    ) -> ProducerBuilder {
        ProducerBuilder::new(crate::Producer::builder(group, name_servers))
    }

    /// Sends a message and waits for the broker's answer, at most until the deadline of the send
    /// ([`send_timeout`](ProducerBuilder::send_timeout), 3 s by default).
    ///
    /// # Errors
    /// [`SendError`] says whether the message may have been stored, lists the attempts and gives
    /// the message back.
    pub fn send(&self, message: Message) -> Result<Receipt, SendError> {
        self.runtime.wait(self.producer.send(message))
    }

    /// Sends a batch and waits for the broker's answer: its messages are stored together, one after
    /// another in one queue, or not at all. Gives a receipt for each, in their order.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`SendError::into_messages`] gives all messages back. A batch that
    /// breaks a rule (see [`Batch`]) is refused before anything is sent.
    pub fn send_batch(&self, batch: impl Into<Batch>) -> Result<Vec<Receipt>, SendError> {
        self.runtime.wait(self.producer.send_batch(batch))
    }

    /// Accepts a message, waiting for room if need be, and gives a handle of its delivery.
    ///
    /// # Errors
    /// When the message is not valid, there is no room by its deadline, or the producer is closed;
    /// it is not stored then.
    pub fn enqueue(&self, message: Message) -> Result<Delivery, SendError> {
        let accepted = self.runtime.wait(self.producer.enqueue(message))?;
        Ok(Delivery::new(accepted, self.runtime.clone()))
    }

    /// Accepts a batch, waiting for room if need be, and gives a handle of its delivery.
    ///
    /// # Errors
    /// When the batch breaks a rule (see [`Batch`]), there is no room by its deadline, or the
    /// producer is closed; nothing of it is stored then.
    pub fn enqueue_batch(&self, batch: impl Into<Batch>) -> Result<BatchDelivery, SendError> {
        let accepted = self.runtime.wait(self.producer.enqueue_batch(batch))?;
        Ok(BatchDelivery::new(accepted, self.runtime.clone()))
    }

    /// As [`enqueue`](Self::enqueue), but fails with
    /// [`ErrorKind::BufferFull`](crate::ErrorKind::BufferFull) instead of waiting.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue), at once.
    pub fn try_enqueue(&self, message: Message) -> Result<Delivery, SendError> {
        Ok(Delivery::new(self.producer.try_enqueue(message)?, self.runtime.clone()))
    }

    /// Sends a message without asking for an answer; returns when it is written to the connection.
    ///
    /// # Errors
    /// When it was not written by its deadline, or not even accepted. See the
    /// [outcome](SendError::outcome): *unknown* means that it was in the connection's buffer
    /// already and may still be written; everything else is *not_stored*.
    pub fn send_oneway(&self, message: Message) -> Result<(), SendError> {
        self.runtime.wait(self.producer.send_oneway(message))
    }

    /// Begins a transaction: stores a half message, which consumers do not see yet.
    ///
    /// # Errors
    /// See [`begin`](crate::Producer::begin) of the asynchronous producer.
    pub fn begin(&self, message: Message) -> Result<Transaction, SendError> {
        let transaction = self.runtime.wait(self.producer.begin(message))?;
        Ok(Transaction::new(transaction, self.runtime.clone()))
    }

    /// Begins a transaction, runs `local`, and ends it as that says; gives what was said.
    ///
    /// # Errors
    /// See [`send_in_transaction`](crate::Producer::send_in_transaction) of the asynchronous
    /// producer.
    pub fn send_in_transaction(
        &self,
        message: Message,
        local: impl FnOnce(&crate::Transaction) -> TransactionState,
    ) -> Result<TransactionState, TransactionError> {
        let local = |half: &crate::Transaction| std::future::ready(local(half));
        self.runtime.wait(self.producer.send_in_transaction(message, local))
    }

    /// Sends a message and waits for the reply of the consumer that gets it, at most until the
    /// deadline of the send.
    ///
    /// # Errors
    /// [`RequestError`]: the message could not be sent, or no reply came in time.
    pub fn request(&self, message: Message) -> Result<ReadMessage, RequestError> {
        self.runtime.wait(self.producer.request(message))
    }

    /// Takes a message back before it is delivered, by the handle in its receipt; gives its id.
    ///
    /// # Errors
    /// See [`recall`](crate::Producer::recall) of the asynchronous producer.
    pub fn recall(&self, handle: &str) -> Result<String, AdminError> {
        self.runtime.wait(self.producer.recall(handle))
    }

    /// Whether the cluster can be reached, waiting for it for at most `timeout`: see
    /// [`ready`](crate::Producer::ready) of the asynchronous producer.
    ///
    /// # Errors
    /// [`NotReady`] lists what is missing.
    pub fn ready(&self, timeout: Duration) -> Result<(), NotReady> {
        self.runtime.wait(self.producer.ready(timeout))
    }

    /// A handle of the same producer whose sends have this deadline.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { producer: self.producer.with_timeout(timeout), runtime: self.runtime.clone() }
    }

    /// From now on asks these name servers, and no others.
    ///
    /// # Errors
    /// See [`set_name_servers`](crate::Producer::set_name_servers) of the asynchronous producer.
    pub fn set_name_servers(&self, name_servers: impl Into<NameServers>) -> Result<(), StartError> {
        self.producer.set_name_servers(name_servers)
    }

    /// Waits for the end of every message that was accepted before, however it ends. Messages that
    /// [linger](ProducerBuilder::linger) leave at once meanwhile.
    pub fn flush(&self) {
        self.runtime.wait(self.producer.flush());
    }

    /// What the producer has counted.
    pub fn stats(&self) -> Stats {
        self.producer.stats()
    }

    /// Topics and offsets of the cluster.
    pub fn admin(&self) -> Admin {
        Admin::new(self.producer.admin(), self.runtime.clone())
    }

    /// Stops accepting messages, waits at most `time` for the accepted ones to end, then ends the
    /// rest and leaves the producer group, all within `time` and a tenth of a second. If one-way
    /// messages were written, it waits up to half a second of that until the broker has read them.
    /// A larger `time` extends no send: each still ends by its own deadline.
    ///
    /// Threads that wait for room, and later calls, end with
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) at once. A second `close` waits for the
    /// first and gives the same report.
    pub fn close(&self, time: Duration) -> CloseReport {
        self.runtime.wait(self.producer.close(time))
    }
}
