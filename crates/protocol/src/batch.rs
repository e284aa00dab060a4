//! The body of a batch: messages back to back (Java: `MessageDecoder.encodeMessages`).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{DecodeError, properties};

/// Bytes of an entry beside its body and properties.
pub const ENTRY_OVERHEAD: usize = 22;

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchEntry {
    /// The application's flag.
    pub flag: i32,
    /// The body.
    pub body: Bytes,
    /// The properties' text of the wire, at most 32,767 bytes.
    pub properties: String,
}

impl BatchEntry {
    /// Appends the entry to `out`. Size is written; magic and CRC are 0, as every client leaves them.
    pub fn encode(&self, out: &mut BytesMut) {
        put_entry(out, self.flag, &self.body, &self.properties);
    }
}

/// Bytes that an entry takes in a batch's body. Its properties have at most
/// [`MAX_LENGTH`](properties::MAX_LENGTH) bytes.
pub fn entry_length(body_length: usize, properties_length: usize) -> usize {
    ENTRY_OVERHEAD + body_length + properties_length
}

/// Appends one entry to a batch's body.
///
/// Properties have room for 32,767 bytes; senders refuse longer ones, and bytes beyond that are not
/// written: they would be read as the next message.
#[inline]
pub fn put_entry(out: &mut BytesMut, flag: i32, body: &[u8], properties: &str) {
    let properties = properties::that_fit(properties);
    out.reserve(entry_length(body.len(), properties.len()));
    put_entry_head(out, flag, body.len(), properties);
    out.put_slice(body);
    put_entry_end(out, properties);
}

/// As [`put_entry`], without the body, which belongs at the place that it gives: so the caller can
/// write it there without a copy.
pub fn put_entry_around(
    out: &mut BytesMut,
    flag: i32,
    body_length: usize,
    properties: &str,
) -> usize {
    let properties = properties::that_fit(properties);
    put_entry_head(out, flag, body_length, properties);
    let place = out.len();
    put_entry_end(out, properties);
    place
}

#[inline]
fn put_entry_head(out: &mut BytesMut, flag: i32, body_length: usize, properties: &str) {
    let size = entry_length(body_length, properties.len());
    // Size, magic, CRC, flag and length in one piece: each piece asks the buffer for room.
    let head = [size as i32, 0, 0, flag, body_length as i32].map(i32::to_be_bytes);
    out.put_slice(head.as_flattened());
}

#[inline]
fn put_entry_end(out: &mut BytesMut, properties: &str) {
    out.put_i16(properties.len() as i16);
    out.put_slice(properties.as_bytes());
}

/// One message of a batch as it lies in the batch's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView<'a> {
    /// The application's flag.
    pub flag: i32,
    /// The body.
    pub body: &'a [u8],
    /// The properties' text of the wire, at most 32,767 bytes.
    pub properties: &'a str,
}

/// Reads a batch's body. As real brokers do, it ignores the size, magic and CRC of an entry.
///
/// # Errors
/// [`DecodeError::Body`] when a length points beyond the end or properties are not UTF-8.
pub fn decode(body: Bytes) -> Result<Vec<BatchEntry>, DecodeError> {
    let owned = |entry: EntryView<'_>| BatchEntry {
        flag: entry.flag,
        body: body.slice_ref(entry.body),
        properties: entry.properties.to_owned(),
    };
    entries(&body).map(|entry| entry.map(owned)).collect()
}

/// The entries of a batch's body one by one, where they lie; it ends after the first error.
///
/// The errors are those of [`decode`].
pub fn entries(body: &[u8]) -> impl Iterator<Item = Result<EntryView<'_>, DecodeError>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = next_entry(&mut rest);
        if entry.is_err() {
            rest = &[];
        }
        Some(entry)
    })
}

fn next_entry<'a>(rest: &mut &'a [u8]) -> Result<EntryView<'a>, DecodeError> {
    let cut_short = |_| DecodeError::Body("a batch entry is cut short".into());
    for _ in ["size", "magic", "crc"] {
        rest.try_get_i32().map_err(cut_short)?;
    }
    let flag = rest.try_get_i32().map_err(cut_short)?;
    let body_length = rest.try_get_i32().map_err(cut_short)?;
    let body = take(rest, i64::from(body_length))?;
    let properties_length = rest.try_get_i16().map_err(cut_short)?;
    let properties = take(rest, i64::from(properties_length))?;
    let properties = std::str::from_utf8(properties)
        .map_err(|_| DecodeError::Body("properties of a batch entry are not UTF-8".into()))?;
    Ok(EntryView { flag, body, properties })
}

fn take<'a>(rest: &mut &'a [u8], length: i64) -> Result<&'a [u8], DecodeError> {
    let (taken, after) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or_else(|| {
            DecodeError::Body(format!("a batch entry declares {length} bytes that are not there"))
        })?;
    *rest = after;
    Ok(taken)
}
