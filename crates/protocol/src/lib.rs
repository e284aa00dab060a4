//! The RocketMQ remoting protocol as plain data: frames, commands, requests and their answers,
//! the stored-message record, ids and properties.
//!
//! No sockets, no clock, no randomness: bytes in, values out, and back. One struct per request
//! serves both sides, so a client and a server cannot disagree about a field's name.
//!
//! The way down: [`frame`] cuts a byte stream into frames, [`Command`] is a frame's header and
//! body, [`Request`] and [`Payload`] give a command's fields their types, and
//! [`Incoming`] is what whoever receives requests matches on.

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
pub mod properties;
mod received;
pub mod request;
pub mod sign;
pub mod stored;

pub use code::{RequestCode, ResponseCode};
pub use command::{Command, Language};
pub use compression::Compression;
pub use error::DecodeError;
pub use fields::{FieldSink, Fields};
pub use frame::{Frame, FrameView, HeaderEncoding};
pub use properties::Properties;
pub use received::{ReceivedSend, SendReader};
pub use request::{Incoming, Payload, Request};
pub use stored::StoredMessage;

/// The protocol version that every request declares: `V5_5_0` (`MQVersion` ordinal).
///
/// Newer than 475 it makes a 5.x server announce its shutdown with GO_AWAY, and from 401 on
/// name servers answer routes in standard JSON.
pub const VERSION: i32 = 513;
