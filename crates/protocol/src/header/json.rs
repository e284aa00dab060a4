//! The JSON header, the encoding of every request.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;

use crate::command::{Command, Language};
use crate::error::reason;
use crate::fields::{FieldSink, Fields};
use crate::json::is_object;
use crate::{DecodeError, HeaderEncoding};

/// What a header says beside its fields; everything is known before the first field is written.
pub(crate) struct Envelope<'a> {
    pub(crate) code: i32,
    pub(crate) flag: i32,
    pub(crate) language: Language,
    pub(crate) opaque: i32,
    pub(crate) remark: Option<&'a str>,
    pub(crate) version: i32,
}

/// Writes a header; `fields` hands over the fields, straight into the buffer.
pub(crate) fn write(
    out: &mut BytesMut,
    envelope: &Envelope<'_>,
    fields: impl FnOnce(&mut FieldWriter<'_>),
) {
    out.put_slice(b"{\"code\":");
    put_number(out, i64::from(envelope.code));
    out.put_slice(b",\"extFields\":{");
    fields(&mut FieldWriter { out, first: true });
    out.put_slice(b"},\"flag\":");
    put_number(out, i64::from(envelope.flag));
    out.put_slice(b",\"language\":");
    put_text(out, envelope.language.name());
    out.put_slice(b",\"opaque\":");
    put_number(out, i64::from(envelope.opaque));
    if let Some(remark) = envelope.remark {
        out.put_slice(b",\"remark\":");
        put_text(out, remark);
    }
    out.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    put_number(out, i64::from(envelope.version));
    out.put_u8(b'}');
}

/// Writes fields into the JSON object that is under way.
pub(crate) struct FieldWriter<'a> {
    out: &'a mut BytesMut,
    first: bool,
}

impl FieldWriter<'_> {
    pub(crate) fn put(&mut self, name: &str, value: &str) {
        self.name(name);
        put_text(self.out, value);
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.put_u8(b',');
        }
        put_text(self.out, name);
        self.out.put_u8(b':');
    }
}

impl FieldSink for FieldWriter<'_> {
    fn text(&mut self, name: &'static str, value: &str) {
        self.put(name, value);
    }

    /// Quoted: the Go client drops a frame with a bare number among its fields.
    fn number(&mut self, name: &'static str, value: i64) {
        self.name(name);
        self.out.put_u8(b'"');
        put_number(self.out, value);
        self.out.put_u8(b'"');
    }
}

fn put_number(out: &mut BytesMut, value: i64) {
    // Writing to a growing buffer cannot fail.
    let _ = write!(out, "{value}");
}

/// Writes a JSON string; what needs no escape is copied in runs.
fn put_text(out: &mut BytesMut, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let hex = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
    out.put_u8(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\') {
        let (run, tail) = rest.split_at(at);
        out.put_slice(run);
        if let Some((&byte, tail)) = tail.split_first() {
            match byte {
                b'"' | b'\\' => out.put_slice(&[b'\\', byte]),
                _ => out.put_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]),
            }
            rest = tail;
        }
    }
    out.put_slice(rest);
    out.put_u8(b'"');
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(default)]
    code: i32,
    #[serde(default)]
    flag: i32,
    #[serde(default, borrow)]
    language: Option<Cow<'a, str>>,
    opaque: i32,
    #[serde(default, borrow)]
    remark: Option<Cow<'a, str>>,
    #[serde(default)]
    version: i32,
    #[serde(default, rename = "extFields")]
    fields: Option<Fields>,
}

/// Reads a header. Keys that are not known are passed over, numbers that are missing read as 0;
/// only `opaque` must be there, since nothing could be matched or answered without it.
pub(crate) fn read(header: &[u8], body: Bytes) -> Result<Command, DecodeError> {
    if !is_object(header) {
        return Err(DecodeError::Header("not a JSON object".into()));
    }
    let header: Header<'_> =
        serde_json::from_slice(header).map_err(|e| DecodeError::Header(reason(e)))?;
    Ok(Command {
        code: header.code,
        language: header.language.map_or(Language::Other, |name| Language::from_name(&name)),
        version: header.version,
        opaque: header.opaque,
        flag: header.flag,
        remark: header.remark.map(Cow::into_owned).filter(|remark| !remark.is_empty()),
        fields: header.fields.unwrap_or_default(),
        body,
        encoding: HeaderEncoding::Json,
    })
}
