//! A successful answer to a send, read where it lies.
//!
//! It says what [`SendAnswer`](crate::request::SendAnswer) says, without allocating: a producer
//! reads one for each request, and of the answer to a batch only the list of ids is long.

mod reader;

use std::borrow::Cow;

use crate::fields::FieldValue;
use crate::header::{binary, json::plain};
use crate::{Command, DecodeError, FrameView, HeaderEncoding, ResponseCode, command};

pub use self::reader::StoredReader;

/// Where a message, or a batch of them, was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored<'a> {
    /// The request's number.
    pub opaque: i32,
    /// How firmly it is stored: 0, 10, 11 or 12.
    pub code: ResponseCode,
    /// Offset message id; for a batch one per message, separated by commas.
    pub offset_message_ids: &'a str,
    /// The queue that was written.
    pub queue_id: i32,
    /// Place in the queue; for a batch that of the first message.
    pub queue_offset: i64,
    /// The unique id of the message (5.x).
    pub transaction_id: Option<&'a str>,
    /// Handle by which a timer message can be taken back (5.x).
    pub recall_handle: Option<&'a str>,
    /// Region of the broker.
    pub region: Option<&'a str>,
    /// Whether the broker wants message traces.
    pub trace_on: Option<bool>,
}

impl<'a> Stored<'a> {
    /// Reads an answer without building a [`Command`].
    ///
    /// `None` says nothing about the frame, but that [`Command::decode`] has to read it: it may be
    /// a request, an error, something else than a send's answer, written in an unusual way, or no
    /// header at all. What is `Some` is what [`of`](Self::of) makes of the decoded command.
    pub fn peek(frame: FrameView<'a>) -> Option<Self> {
        let mut fields = Wanted::default();
        let (code, opaque, flag) = match frame.encoding {
            HeaderEncoding::Json => {
                let head = plain::read(frame.header, |name, value| {
                    // With escapes it would need an allocation.
                    let Cow::Borrowed(value) = value else { return None };
                    fields.note(name, value);
                    Some(())
                })?;
                (head.code, head.opaque, head.flag)
            }
            HeaderEncoding::Binary => {
                let head =
                    binary::read_head(frame.header, |n, value| fields.note(n, value)).ok()?;
                (head.code, head.opaque, head.flag)
            }
        };
        let code = ResponseCode(code);
        if !command::is_answer(flag) || !code.means_stored() {
            return None;
        }
        fields.stored(code, opaque).ok()
    }

    /// The same of a command: `Ok(None)` when its code does not say that anything was stored.
    ///
    /// # Errors
    /// When a field is missing or of another type.
    pub fn of(answer: &'a Command) -> Result<Option<Self>, DecodeError> {
        if !answer.is_answer() || !answer.response_code().means_stored() {
            return Ok(None);
        }
        let mut fields = Wanted::default();
        answer.fields.iter().for_each(|(name, value)| fields.note(name, value));
        fields.stored(answer.response_code(), answer.opaque).map(Some)
    }

    /// The offset message ids one by one, in the order of the batch.
    pub fn offset_message_ids(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.offset_message_ids.split(',')
    }
}

/// The fields that are of use, as text; of two with one name the last one counts.
#[derive(Default)]
struct Wanted<'a> {
    offset_message_ids: Option<&'a str>,
    queue_id: Option<&'a str>,
    queue_offset: Option<&'a str>,
    transaction_id: Option<&'a str>,
    recall_handle: Option<&'a str>,
    region: Option<&'a str>,
    trace_on: Option<&'a str>,
}

/// A field that is of use.
#[derive(Debug, Clone, Copy)]
enum Field {
    OffsetMessageIds,
    QueueId,
    QueueOffset,
    TransactionId,
    RecallHandle,
    Region,
    TraceOn,
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "msgId" => Self::OffsetMessageIds,
            "queueId" => Self::QueueId,
            "queueOffset" => Self::QueueOffset,
            "transactionId" => Self::TransactionId,
            "recallHandle" => Self::RecallHandle,
            "MSG_REGION" => Self::Region,
            "TRACE_ON" => Self::TraceOn,
            _ => return None,
        })
    }
}

impl<'a> Wanted<'a> {
    fn note(&mut self, name: &str, value: &'a str) {
        if let Some(field) = Field::named(name) {
            *self.place(field) = Some(value);
        }
    }

    fn place(&mut self, field: Field) -> &mut Option<&'a str> {
        match field {
            Field::OffsetMessageIds => &mut self.offset_message_ids,
            Field::QueueId => &mut self.queue_id,
            Field::QueueOffset => &mut self.queue_offset,
            Field::TransactionId => &mut self.transaction_id,
            Field::RecallHandle => &mut self.recall_handle,
            Field::Region => &mut self.region,
            Field::TraceOn => &mut self.trace_on,
        }
    }

    fn stored(self, code: ResponseCode, opaque: i32) -> Result<Stored<'a>, DecodeError> {
        let missing = DecodeError::MissingField;
        let not_empty = |text: &&str| !text.is_empty();
        Ok(Stored {
            opaque,
            code,
            offset_message_ids: self.offset_message_ids.ok_or(missing("msgId"))?,
            queue_id: FieldValue::parse(self.queue_id, "queueId")?,
            queue_offset: FieldValue::parse(self.queue_offset, "queueOffset")?,
            transaction_id: self.transaction_id.filter(not_empty),
            recall_handle: self.recall_handle.filter(not_empty),
            region: self.region.filter(not_empty),
            trace_on: FieldValue::parse(self.trace_on, "TRACE_ON")?,
        })
    }
}
