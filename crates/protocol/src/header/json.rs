//! The JSON header, the encoding of every request.

pub(crate) mod plain;
pub(crate) mod template;
mod text;

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use serde::Deserialize;

use super::{Envelope, Parts};
use crate::DecodeError;
use crate::error::reason;
use crate::fields::{FieldSink, Fields};
use crate::json::is_object;
use crate::language::Language;
pub(crate) use text::put_escaped;
use text::put_text;

/// Writes a header; `fields` hands over the fields, straight into the buffer.
pub(crate) fn write(
    out: &mut BytesMut,
    envelope: &Envelope<'_>,
    fields: impl FnOnce(&mut FieldWriter<'_>),
) {
    write_with(out, envelope, fields, put_number);
}

/// The text between the values that [`write`] would write and a template leaves out: flag and number, and
/// before them the values whose places `fields` notes.
pub(crate) fn pieces<const PIECES: usize>(
    envelope: &Envelope<'_>,
    fields: impl FnOnce(&mut FieldWriter<'_>, &mut Vec<usize>),
) -> Pieces<PIECES> {
    let (mut text, mut cuts, mut own) = (BytesMut::new(), Vec::new(), Vec::new());
    let noted = |writer: &mut FieldWriter<'_>| fields(writer, &mut cuts);
    write_with(&mut text, envelope, noted, |out, _| own.push(out.len()));
    let mut ends = cuts.into_iter().chain(own).chain([text.len()]);
    let ends = std::array::from_fn(|_| ends.next().unwrap_or(text.len()));
    Pieces { text: text.as_ref().into(), ends }
}

/// The text between the values that a template leaves out. It is one piece of memory: of a thousand topics
/// each has its template, and none stays in the processor's cache.
#[derive(Debug)]
pub(crate) struct Pieces<const PIECES: usize> {
    text: Box<[u8]>,
    ends: [usize; PIECES],
}

impl<const PIECES: usize> Pieces<PIECES> {
    #[inline]
    pub(crate) fn all(&self) -> [&[u8]; PIECES] {
        let mut from = 0;
        self.ends.map(|end| {
            let piece = self.text.get(from..end).unwrap_or_default();
            from = end;
            piece
        })
    }
}

/// `put_own` writes what is each command's own: flag, then number.
fn write_with(
    out: &mut BytesMut,
    envelope: &Envelope<'_>,
    fields: impl FnOnce(&mut FieldWriter<'_>),
    mut put_own: impl FnMut(&mut BytesMut, i64),
) {
    out.put_slice(b"{\"code\":");
    put_number(out, i64::from(envelope.code));
    out.put_slice(b",\"extFields\":{");
    fields(&mut FieldWriter { out, first: true });
    out.put_slice(b"},\"flag\":");
    put_own(out, i64::from(envelope.flag));
    out.put_slice(b",\"language\":");
    put_text(out, envelope.language.name());
    out.put_slice(b",\"opaque\":");
    put_own(out, i64::from(envelope.opaque));
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
        if !std::mem::take(&mut self.first) {
            self.out.put_u8(b',');
        }
        put_text(self.out, name);
        self.out.put_u8(b':');
        put_text(self.out, value);
    }

    /// A field with zeros for a value; says where in the buffer they begin.
    pub(crate) fn leave_free(&mut self, name: &'static str, length: usize) -> usize {
        self.open(name);
        let place = self.out.len();
        self.out.put_bytes(b'0', length);
        self.out.put_u8(b'"');
        place
    }

    /// A field whose value stands before and behind something that is left out; says where in the
    /// buffer these begin.
    pub(crate) fn put_around(&mut self, name: &'static str, value: [&str; 2]) -> [usize; 2] {
        self.open(name);
        let places = value.map(|part| {
            let place = self.out.len();
            put_escaped(self.out, part);
            place
        });
        self.out.put_u8(b'"');
        places
    }

    /// A name that needs no escape, up to the quote that opens its value.
    #[inline]
    fn open(&mut self, name: &'static str) {
        let quote: &[u8] = if std::mem::take(&mut self.first) { b"\"" } else { b",\"" };
        self.out.put_slice(quote);
        self.out.put_slice(name.as_bytes());
        self.out.put_slice(b"\":\"");
    }
}

impl FieldSink for FieldWriter<'_> {
    #[inline]
    fn text(&mut self, name: &'static str, value: &str) {
        self.open(name);
        put_escaped(self.out, value);
        self.out.put_u8(b'"');
    }

    /// Quoted: the Go client drops a frame with a bare number among its fields.
    #[inline]
    fn number(&mut self, name: &'static str, value: i64) {
        self.open(name);
        put_number(self.out, value);
        self.out.put_u8(b'"');
    }
}

pub(crate) fn put_number(out: &mut BytesMut, value: i64) {
    // Most fields of a send are zero, or nearly so.
    if let Ok(digit @ 0..10) = u8::try_from(value) {
        return out.put_u8(b'0' + digit);
    }
    out.put_slice(itoa::Buffer::new().format(value).as_bytes());
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
pub(crate) fn read(header: &[u8]) -> Result<Parts, DecodeError> {
    if !is_object(header) {
        return Err(DecodeError::Header("not a JSON object".into()));
    }
    let header: Header<'_> =
        serde_json::from_slice(header).map_err(|e| DecodeError::Header(reason(e)))?;
    Ok(Parts {
        code: header.code,
        language: header.language.map_or(Language::Other, |name| Language::from_name(&name)),
        version: header.version,
        opaque: header.opaque,
        flag: header.flag,
        remark: header.remark.map(Cow::into_owned).filter(|remark| !remark.is_empty()),
        fields: header.fields.unwrap_or_default(),
    })
}
