//! The JSON header of a send, read in one pass, its texts left where they are.
//!
//! Most of what a broker receives are sends, and their headers cost more than anything else about
//! them when each field is copied twice. What is unusual in any way is left to the general reader.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::command::ONEWAY;
use crate::json::is_object;
use crate::request::SendMessage;
use crate::{Frame, HeaderEncoding, RequestCode};

/// A send as it was received. Its texts lie in the frame's header, but for those with escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSend<'a> {
    /// Number by which the answer finds the request.
    pub opaque: i32,
    /// Whether no answer is wanted.
    pub oneway: bool,
    /// What is to be stored.
    pub message: SendMessage<'a>,
}

impl<'a> ReceivedSend<'a> {
    /// Reads a frame that is a `SEND_MESSAGE_V2` or a `SEND_BATCH_MESSAGE` with a body and the
    /// fields that every client writes, each of them text. `None` of anything else, also of what
    /// is wrong: [`Command::decode`](crate::Command::decode) and
    /// [`Incoming::read`](crate::Incoming::read) read that or say what it is.
    pub fn read(frame: &'a Frame) -> Option<Self> {
        let is_like_one = frame.encoding == HeaderEncoding::Json
            && !frame.body.is_empty()
            && is_object(&frame.header);
        if !is_like_one {
            return None;
        }
        let header: Header<'a> = serde_json::from_slice(&frame.header).ok()?;
        let is_send = [RequestCode::SEND_MESSAGE_V2, RequestCode::SEND_BATCH_MESSAGE]
            .contains(&RequestCode(header.code));
        let is_request = header.flag & !ONEWAY == 0;
        (is_send && is_request).then(|| Self {
            opaque: header.opaque,
            oneway: header.flag & ONEWAY != 0,
            message: header.fields.message(frame.body.clone()),
        })
    }
}

#[derive(Deserialize)]
struct Header<'a> {
    code: i32,
    flag: i32,
    // Nobody asks for these three; what is wrong with them is the general reader's to say.
    #[serde(borrow, rename = "language")]
    _language: Text<'a>,
    opaque: i32,
    #[serde(borrow, rename = "remark")]
    _remark: Option<Text<'a>>,
    #[serde(rename = "version")]
    _version: i32,
    #[serde(borrow, rename = "extFields")]
    fields: SendFields<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendFields<'a> {
    #[serde(borrow)]
    a: Text<'a>,
    #[serde(borrow)]
    b: Text<'a>,
    #[serde(borrow)]
    c: Text<'a>,
    d: Number<i32>,
    e: Number<i32>,
    f: Number<i32>,
    g: Number<i64>,
    h: Number<i32>,
    #[serde(borrow)]
    i: Text<'a>,
    j: Number<i32>,
    k: Flag,
    l: Option<Number<i32>>,
    m: Option<Flag>,
    #[serde(borrow, default, deserialize_with = "present")]
    n: Option<Text<'a>>,
}

impl<'a> SendFields<'a> {
    fn message(self, body: Bytes) -> SendMessage<'a> {
        SendMessage {
            group: self.a.0,
            topic: self.b.0,
            default_topic: self.c.0,
            default_topic_queues: self.d.0,
            queue_id: self.e.0,
            sys_flag: self.f.0,
            born_at_ms: self.g.0,
            flag: self.h.0,
            properties: self.i.0,
            reconsume_times: self.j.0,
            unit_mode: self.k.0,
            max_reconsume_times: self.l.map(|number| number.0),
            batch: self.m.is_some_and(|flag| flag.0),
            broker_name: self.n.map(|text| text.0),
            body,
        }
    }
}

/// A text, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

/// A number within quotes. Without them it is left to the general reader, as is an empty one.
struct Number<T>(T);

/// A text that is there. The general reader takes a null for an empty one.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(text: D) -> Result<Option<Text<'a>>, D::Error> {
    Text::deserialize(text).map(Some)
}

/// `true` or `false` within quotes.
struct Flag(bool);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }

        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| Error::custom("not a number"))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match <&str>::deserialize(deserializer)? {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(Error::custom("not a boolean")),
        }
    }
}
