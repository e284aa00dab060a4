//! A producer for Apache RocketMQ.
//!
//! ```no_run
//! use std::time::Duration;
//! use posthaste::{Message, Producer};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::builder("order-service", "127.0.0.1:9876").start().await?;
//! let receipt = producer.send(Message::new("orders", "created").tag("new").key("o-1")).await?;
//! println!("stored in {} at {}", receipt.queue(), receipt.queue_offset());
//! let report = producer.close(Duration::from_secs(10)).await;
//! assert!(report.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! - [`Producer::send`] awaits the broker's answer, [`Producer::enqueue`] gives a [`Delivery`] to
//!   await later or to hand a callback, [`Producer::send_oneway`] asks for no answer.
//! - [`Producer::send_batch`] stores messages together or not at all. Without it, messages that
//!   have to wait under load share requests anyway ([`ProducerBuilder::batching`]).
//! - Where a message goes belongs to the [`Message`]: any queue, a given one, or by ordering key.
//! - Every send ends exactly once, by its deadline: stored, with a [`Receipt`]; or with a
//!   [`SendError`] whose [`Outcome`] says whether it may have been stored nevertheless.
//! - [`Producer::admin`] creates topics, asks for offsets, finds messages by id and key, and reads
//!   back what landed ([`Reader`]).
//! - [`Producer::stats`] counts; metrics, spans, message traces and interceptors are described in
//!   [`guide::observability`].
//! - [`guide`] has a page per subject; users of the Java client start with
//!   [`guide::coming_from_java`].
//! - The module `blocking`, a feature that is on by default, has the same verbs without `.await`.
//!
//! The path of one send is described in `ARCHITECTURE.md`: [`Producer`], `ledger/acceptance`,
//! `client/deliver`, `connection/outbox`, `connection/task`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accepted;
mod admin;
#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
mod config;
mod connection;
pub mod guide;
mod ledger;
mod message;
mod net;
mod observers;
mod producer;
mod reader;
mod request;
mod route;
mod transaction;

pub use admin::{Admin, AdminError, TopicOnBroker, TopicSettings, TopicType, TopicUpdate};
pub use config::credentials::{Credentials, CredentialsProvider};
pub use config::discovery::NameServers;
pub use config::interceptor::{Interceptor, SendAttempt, TransactionEnd};
pub use config::{FaultAvoidance, TransactionState};
pub use ledger::{CloseReport, Undelivered};
pub use message::error::{Attempt, ErrorKind, Outcome, SendError, StartError};
pub use message::receipt::{Receipt, SendStatus};
pub use message::text::Text;
pub use message::{Batch, Delay, Message, MessageQueue, ReadMessage};
pub use net::socks5::Socks5;
#[cfg(feature = "tls")]
pub use net::tls::{Tls, TlsVersion};
pub use observers::counts::{BrokerStats, Stats};
pub use posthaste_protocol::{Compression, ResponseCode};
pub use producer::delivery::{BatchDelivery, Delivery};
pub use producer::ready::NotReady;
pub use producer::{Producer, ProducerBuilder};
pub use reader::{ReadFrom, Reader, ReaderBuilder};
pub use request::RequestError;
pub use transaction::{Transaction, TransactionError};
