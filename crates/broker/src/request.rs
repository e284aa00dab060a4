//! What a client says: a request as it arrived, or the answer to one of the broker's.

use bytes::Bytes;
use posthaste_protocol::{Command, DecodeError, Frame, Incoming, Language, ResponseCode};

/// The most fields that a header has.
const MAX_FIELDS: usize = 256;

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Request {
    /// Number by which the answer finds it.
    pub(crate) opaque: i32,
    /// Whether no answer is wanted.
    pub(crate) oneway: bool,
    /// The client's language.
    pub(crate) language: Language,
    /// The client's version.
    pub(crate) version: i32,
    /// What is asked, or what is wrong with the question.
    pub(crate) incoming: Result<Incoming, DecodeError>,
}

/// The answer of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Number of the request.
    pub(crate) opaque: i32,
    /// How it ended.
    pub(crate) code: ResponseCode,
    /// Why.
    pub(crate) remark: Option<String>,
    /// What it says.
    pub(crate) body: Bytes,
}

/// Reads a frame.
///
/// # Errors
/// When the frame's header cannot be read; nothing more of its connection can be trusted then.
pub(crate) fn read(frame: Frame) -> Result<Command, DecodeError> {
    let command = Command::decode(frame)?;
    match command.fields.len() {
        0..=MAX_FIELDS => Ok(command),
        fields => Err(DecodeError::Header(format!("{fields} fields"))),
    }
}

impl Request {
    /// What a command asks for that is no answer.
    pub(crate) fn of(command: &Command) -> Self {
        Self {
            opaque: command.opaque,
            oneway: command.is_oneway(),
            language: command.language,
            version: command.version,
            incoming: Incoming::read(command),
        }
    }
}

impl Answer {
    /// What a command says that is one.
    pub(crate) fn of(command: &Command) -> Self {
        Self {
            opaque: command.opaque,
            code: command.response_code(),
            remark: command.remark.clone(),
            body: command.body.clone(),
        }
    }
}
