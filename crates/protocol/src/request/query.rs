//! Finding messages by key or by unique id: `QUERY_MESSAGE` (12).

use std::borrow::Cow;

use bytes::Bytes;

use super::{Payload, fields, request};
use crate::fields::FieldValue;
use crate::{DecodeError, FieldSink, Fields};

fields! {
    /// Asks a broker for messages of a topic.
    QueryMessages {
        /// Topic.
        topic: String = "topic",
        /// The key, or the unique id.
        key: String = "key",
        /// The most messages to give.
        max_count: i32 = "maxNum",
        /// The earliest store time, in ms since 1970.
        begin_ms: i64 = "beginTimestamp",
        /// The latest store time, in ms since 1970.
        end_ms: i64 = "endTimestamp",
        /// What `key` is (5.5).
        index_type: Option<IndexType> = "indexType",
        /// Whether `key` is a unique id. Brokers before 5.5 know only this.
        by_unique_id: Option<bool> = "_UNIQUE_KEY_QUERY",
    }
}
// An older version than all others: to a newer one 5.x servers would expect the last field to be
// signed, which 4.x servers never do.
request!(QueryMessages => QUERY_MESSAGE, QueryAnswer, version 399);

/// What a query looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexType {
    /// `K`: one of the keys.
    Key,
    /// `U`: the unique id.
    UniqueId,
    /// `T`: the tag.
    Tag,
}

impl FieldValue for IndexType {
    fn write<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
        sink.text(
            name,
            match self {
                Self::Key => "K",
                Self::UniqueId => "U",
                Self::Tag => "T",
            },
        );
    }

    fn parse(text: Option<&str>, name: &'static str) -> Result<Self, DecodeError> {
        match text.ok_or(DecodeError::MissingField(name))? {
            "K" => Ok(Self::Key),
            "U" => Ok(Self::UniqueId),
            "T" => Ok(Self::Tag),
            other => Err(DecodeError::BadField {
                field: name,
                value: other.chars().take(64).collect(),
                expected: "K, U or T",
            }),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryAnswer {
    /// When the index was written last, in ms since 1970.
    pub index_updated_at_ms: Option<i64>,
    /// How far in the commit log the index reaches.
    pub index_physical_offset: Option<i64>,
    /// Stored messages back to back.
    pub messages: Bytes,
}

const UPDATED_AT: &str = "indexLastUpdateTimestamp";
const PHYSICAL_OFFSET: &str = "indexLastUpdatePhyoffset";

impl Payload for QueryAnswer {
    fn write<S: FieldSink>(&self, sink: &mut S) {
        self.index_updated_at_ms.write(UPDATED_AT, sink);
        self.index_physical_offset.write(PHYSICAL_OFFSET, sink);
    }

    fn body(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.messages)
    }

    fn read(fields: &Fields, body: &Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            index_updated_at_ms: fields.read(UPDATED_AT)?,
            index_physical_offset: fields.read(PHYSICAL_OFFSET)?,
            messages: body.clone(),
        })
    }
}
