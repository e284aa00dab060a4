//! The ROCKETMQ binary header (Java: `RocketMQSerializable`).
//!
//! Requests are never written in it: 4.9.7 and 5.5.0 refuse a signed one.

use bytes::{Buf, BufMut, BytesMut};

use super::{Envelope, Parts};
use crate::DecodeError;
use crate::fields::Fields;
use crate::language::Language;

/// Whether code, version and the names of the fields fit into their two bytes.
pub(crate) fn can_carry(envelope: &Envelope<'_>, fields: &Fields) -> bool {
    let longest_name = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    i16::try_from(envelope.code).is_ok()
        && i16::try_from(envelope.version).is_ok()
        && i16::try_from(longest_name).is_ok()
}

/// Writes a header that it [can carry](can_carry).
pub(crate) fn write(out: &mut BytesMut, envelope: &Envelope<'_>, fields: &Fields) {
    out.put_i16(envelope.code as i16);
    out.put_u8(envelope.language.code());
    out.put_i16(envelope.version as i16);
    out.put_i32(envelope.opaque);
    out.put_i32(envelope.flag);
    let remark = envelope.remark.unwrap_or_default();
    out.put_i32(remark.len() as i32);
    out.put_slice(remark.as_bytes());
    let length: usize = fields.iter().map(|(name, value)| 6 + name.len() + value.len()).sum();
    out.put_i32(length as i32);
    for (name, value) in fields.iter() {
        out.put_i16(name.len() as i16);
        out.put_slice(name.as_bytes());
        out.put_i32(value.len() as i32);
        out.put_slice(value.as_bytes());
    }
}

/// Reads a header.
pub(crate) fn read(header: &[u8]) -> Result<Parts, DecodeError> {
    let mut fields = Fields::new();
    let head = read_head(header, |name, value| fields.push(name, value))?;
    Ok(Parts {
        code: head.code,
        language: head.language,
        version: head.version,
        opaque: head.opaque,
        flag: head.flag,
        remark: Some(head.remark).filter(|text| !text.is_empty()).map(str::to_owned),
        fields,
    })
}

/// What a header says beside its fields.
pub(crate) struct Head<'a> {
    pub(crate) code: i32,
    pub(crate) language: Language,
    pub(crate) version: i32,
    pub(crate) opaque: i32,
    pub(crate) flag: i32,
    pub(crate) remark: &'a str,
}

/// Reads a header and hands its fields over, in their order. After an error the fields that were handed
/// over count for nothing.
pub(crate) fn read_head<'a>(
    mut header: &'a [u8],
    mut field: impl FnMut(&'a str, &'a str),
) -> Result<Head<'a>, DecodeError> {
    let code = i32::from(header.try_get_i16().map_err(|_| cut_short())?);
    let language = Language::from_code(header.try_get_u8().map_err(|_| cut_short())?);
    let version = i32::from(header.try_get_i16().map_err(|_| cut_short())?);
    let opaque = header.try_get_i32().map_err(|_| cut_short())?;
    let flag = header.try_get_i32().map_err(|_| cut_short())?;
    let remark_length = header.try_get_i32().map_err(|_| cut_short())?;
    let remark = take_text(&mut header, remark_length)?;
    let fields_length = header.try_get_i32().map_err(|_| cut_short())?;
    let mut bytes = take(&mut header, fields_length)?;
    while !bytes.is_empty() {
        let name_length = bytes.try_get_i16().map_err(|_| cut_short())?;
        let name = take_text(&mut bytes, i32::from(name_length))?;
        let value_length = bytes.try_get_i32().map_err(|_| cut_short())?;
        field(name, take_text(&mut bytes, value_length)?);
    }
    Ok(Head { code, language, version, opaque, flag, remark })
}

fn take<'a>(bytes: &mut &'a [u8], length: i32) -> Result<&'a [u8], DecodeError> {
    let (taken, rest) = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.split_at_checked(length))
        .ok_or_else(cut_short)?;
    *bytes = rest;
    Ok(taken)
}

fn take_text<'a>(bytes: &mut &'a [u8], length: i32) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(take(bytes, length)?).map_err(|e| DecodeError::Header(e.to_string()))
}

fn cut_short() -> DecodeError {
    DecodeError::Header("a length points beyond the header's end".into())
}
