//! The contents of commands: payloads, and requests among them.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{DecodeError, FieldSink, Fields, RequestCode, VERSION};

/// What a command carries: header fields and a body.
pub trait Payload: Sized {
    /// Hands the fields over, in the order of the wire.
    fn write<S: FieldSink>(&self, sink: &mut S);

    /// The body; empty when there is none.
    fn body(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&[])
    }

    /// Reads fields and body.
    ///
    /// # Errors
    /// When a field is missing or of another type, or the body does not follow its layout.
    fn read(fields: &Fields, body: &Bytes) -> Result<Self, DecodeError>;
}

/// A payload that asks for something.
pub trait Request: Payload {
    /// The request's code.
    const CODE: RequestCode;
    /// The protocol version that it declares.
    const VERSION: i32 = VERSION;
    /// What a successful answer carries.
    type Answer: Payload;
}
