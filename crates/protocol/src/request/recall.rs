//! Taking a timer message back before it is delivered: `RECALL_MESSAGE` (370, 5.x).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::{fields, request};
use crate::DecodeError;

fields! {
    /// Takes a timer message back.
    Recall {
        /// Producer group.
        group: Option<String> = "producerGroup",
        /// Topic of the message.
        topic: String = "topic",
        /// The [`RecallHandle`]'s text, from the answer to the send.
        handle: String = "recallHandle",
        /// The broker that is meant.
        broker_name: Option<String> = "bname",
    }
}
request!(Recall => RECALL_MESSAGE, RecallAnswer);

fields! {
    /// The message has been taken back.
    RecallAnswer {
        /// The unique id of the message.
        message_id: String = "msgId",
        /// Region of the broker.
        region: Option<String> = "MSG_REGION",
    }
}

/// What the handle of a timer message says (Java: `RecallMessageHandle.HandleV1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecallHandle {
    /// Topic of the message.
    pub topic: String,
    /// The broker that has it.
    pub broker: String,
    /// When it is to be delivered, in ms since 1970.
    pub deliver_at_ms: i64,
    /// The unique id of the message.
    pub unique_id: String,
}

const VERSION: &str = "v1";

/// URL-safe, padded when written, either way when read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl fmt::Display for RecallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, broker, deliver_at_ms, unique_id } = self;
        let text = format!("{VERSION} {topic} {broker} {deliver_at_ms} {unique_id}");
        f.write_str(&BASE64.encode(text))
    }
}

impl FromStr for RecallHandle {
    type Err = DecodeError;

    fn from_str(handle: &str) -> Result<Self, DecodeError> {
        let bad = || DecodeError::BadField {
            field: "recallHandle",
            value: handle.chars().take(64).collect(),
            expected: "the handle of a timer message",
        };
        let text = BASE64.decode(handle).ok().and_then(|text| String::from_utf8(text).ok());
        let text = text.ok_or_else(bad)?;
        // Later versions may have more parts.
        let mut parts = text.split(' ');
        let mut part = || parts.next().filter(|part| !part.is_empty()).ok_or_else(bad);
        if part()? != VERSION {
            return Err(bad());
        }
        Ok(Self {
            topic: part()?.to_owned(),
            broker: part()?.to_owned(),
            deliver_at_ms: part()?.parse().map_err(|_| bad())?,
            unique_id: part()?.to_owned(),
        })
    }
}
