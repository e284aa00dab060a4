//! What can be wrong with received bytes.

/// Received bytes that do not follow the protocol.
///
/// Whoever reads a stream closes it on [`Frame`](DecodeError::Frame) and
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
