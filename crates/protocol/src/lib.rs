//! The RocketMQ remoting protocol as plain data: frames, commands, requests and their answers,
//! the stored-message record, ids and properties.
//!
//! No sockets, no clock, no randomness: bytes in, values out, and back. One struct per request
//! serves both sides, so a client and a server cannot disagree about a field's name.
//!
//! The way down: [`frame`] cuts a byte stream into frames, [`Command`] is a frame's header and
//! body, [`Request`] and [`Payload`] give a command's fields their types, and [`Incoming`] is what
//! a receiver of requests matches on.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod answer;
pub mod batch;
pub mod code;
pub mod command;
pub mod compression;
pub mod error;
pub mod fields;
pub mod frame;
mod header;
pub mod id;
pub mod java;
pub mod json;
mod language;
mod payload;
pub mod properties;
mod received;
pub mod request;
pub mod sign;
pub mod stored;
mod version;

pub use code::{RequestCode, ResponseCode};
pub use command::Command;
pub use compression::Compression;
pub use error::DecodeError;
pub use fields::{FieldSink, Fields};
pub use frame::{Frame, FrameView, HeaderEncoding};
pub use language::Language;
pub use payload::{Payload, Request};
pub use properties::Properties;
pub use received::{ReceivedSend, SendReader};
pub use request::Incoming;
pub use stored::StoredMessage;
pub use version::VERSION;
