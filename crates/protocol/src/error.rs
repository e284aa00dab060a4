//! What can be wrong with received bytes.

use std::fmt::{self, Display, Write};

/// Received bytes that do not follow the protocol.
///
/// A reader of a stream closes it on [`Frame`](DecodeError::Frame) and
/// [`Header`](DecodeError::Header) errors: the position in the stream is lost. The others concern
/// one command alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The length prefix or the header length is impossible.
    #[error("bad frame: {0}")]
    Frame(String),
    /// The header is not what its encoding byte says.
    #[error("bad header: {0}")]
    Header(String),
    /// A field that the request or answer cannot do without is missing.
    #[error("field `{0}` is missing")]
    MissingField(&'static str),
    /// A field's text does not have the type that it must have.
    #[error("field `{field}` has the value `{value}`, which is not {expected}")]
    BadField {
        /// Name of the field on the wire.
        field: &'static str,
        /// The text that was received, cut at 64 characters.
        value: String,
        /// What was expected, in words.
        expected: &'static str,
    },
    /// The body does not follow the layout that the code asks for.
    #[error("bad body: {0}")]
    Body(String),
}

/// How many bytes of a parser's reason are kept.
const MAX_REASON: usize = 200;

/// A parser's reason, cut: it may quote all that was received, and goes into logs.
pub(crate) fn reason(error: impl Display) -> String {
    let mut reason = Reason(String::new());
    // It fails when there is enough.
    let _ = write!(reason, "{error}");
    reason.0
}

struct Reason(String);

impl Write for Reason {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = MAX_REASON.saturating_sub(self.0.len());
        let fits = (0..=left.min(text.len())).rev().find_map(|end| text.get(..end));
        let fits = fits.unwrap_or_default();
        self.0.push_str(fits);
        if fits.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}
