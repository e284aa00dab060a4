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
//! - [`guide`] has a page per subject; those who know the Java client start with
//!   [`guide::coming_from_java`].
//! - The module `blocking`, a feature that is on by default, has the same verbs without `.await`.
//!
//! The path of one send is described in `ARCHITECTURE.md`: [`Producer`], `deliver`, `attempt`,
//! `outbox`, `connection/task`.

mod accepted;
mod address;
mod admin;
mod answer;
mod attempt;
#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "blocking")]
pub mod blocking;
mod callbacks;
mod cause;
mod client;
mod config;
mod connection;
mod content;
mod credentials;
mod delivery;
mod discovery;
mod error;
pub mod guide;
mod identity;
mod intake;
mod interceptor;
mod ledger;
mod message;
#[cfg_attr(not(feature = "metrics"), path = "meters/off.rs")]
mod meters;
mod name_server;
mod namespace;
mod observers;
mod order;
mod outbox;
mod packing;
mod padded;
mod pause;
mod producer;
mod queue;
mod reader;
mod ready;
mod recall;
mod receipt;
mod request;
mod route;
mod runtime;
mod seal;
#[cfg(feature = "serde")]
mod serialize;
mod socks5;
mod span;
mod stats;
mod success;
mod text;
mod timestamp;
#[cfg(feature = "tls")]
mod tls;
mod trace;
#[cfg(feature = "opentelemetry")]
mod trace_context;
mod transaction;
mod trusted;
mod unique_id;
mod validate;
mod window;

pub use admin::{Admin, AdminError, TopicOnBroker, TopicSettings, TopicType, TopicUpdate};
pub use config::{FaultAvoidance, TransactionState};
pub use credentials::{Credentials, CredentialsProvider};
pub use delivery::{BatchDelivery, Delivery};
pub use discovery::NameServers;
pub use error::{Attempt, ErrorKind, Outcome, SendError, StartError};
pub use interceptor::{Interceptor, SendAttempt, TransactionEnd};
pub use ledger::{CloseReport, Undelivered};
pub use message::{Batch, Delay, Message, MessageQueue, ReadMessage};
pub use posthaste_protocol::{Compression, ResponseCode};
pub use producer::{Producer, ProducerBuilder};
pub use reader::{ReadFrom, Reader, ReaderBuilder};
pub use ready::NotReady;
pub use receipt::{Receipt, SendStatus};
pub use request::RequestError;
pub use socks5::Socks5;
pub use stats::{BrokerStats, Stats};
pub use text::Text;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsVersion};
pub use transaction::{Transaction, TransactionError};
