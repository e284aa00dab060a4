//! A request as it arrived.

use posthaste_protocol::{Command, DecodeError, Frame, Incoming};

/// The longest header. Properties may be 32 KiB, and JSON escapes can make them six times as long.
const MAX_HEADER: usize = 256 * 1024;
/// The most fields that a header has.
const MAX_FIELDS: usize = 256;

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Request {
    /// Number by which the answer finds it.
    pub(crate) opaque: i32,
    /// Whether no answer is wanted.
    pub(crate) oneway: bool,
    /// What is asked, or what is wrong with the question.
    pub(crate) incoming: Result<Incoming, DecodeError>,
}

impl Request {
    /// Reads a frame. `None` of an answer: nothing that a client is told wants one.
    ///
    /// # Errors
    /// When the frame's header cannot be read; nothing more of its connection can be trusted then.
    pub(crate) fn read(frame: Frame) -> Result<Option<Self>, DecodeError> {
        let command = decode(frame)?;
        Ok((!command.is_answer()).then(|| Self {
            opaque: command.opaque,
            oneway: command.is_oneway(),
            incoming: Incoming::read(&command),
        }))
    }
}

/// Reads a header that is not too long.
///
/// # Errors
/// When it cannot be read; nothing more of its connection can be trusted then.
pub(crate) fn decode(frame: Frame) -> Result<Command, DecodeError> {
    if frame.header.len() > MAX_HEADER {
        return Err(DecodeError::Header(format!("{} bytes", frame.header.len())));
    }
    let command = Command::decode(frame)?;
    match command.fields.len() > MAX_FIELDS {
        true => Err(DecodeError::Header(format!("{} fields", command.fields.len()))),
        false => Ok(command),
    }
}
