//! A message as a broker stores it and hands it to consumers (Java: `MessageDecoder`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::DecodeError;
use crate::properties::{self, Properties};

/// Bytes of a record with IPv4 hosts beside body, topic and properties.
pub const RECORD_OVERHEAD: usize = 91;

/// Marks a record whose topic has a length of one byte.
const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Marks a record whose topic has a length of two bytes (5.x, topics longer than 127).
const MAGIC_V2: u32 = 0xDAA3_20AB;

/// Bits of `sys_flag`.
pub mod sys_flag {
    /// The body is compressed.
    pub const COMPRESSED: i32 = 0x1;
    /// Mask of the transaction's state: 0 none, 4 prepared, 8 committed, 12 rolled back.
    pub const TRANSACTION: i32 = 0xC;
    /// A half message.
    pub const PREPARED: i32 = 0x4;
    /// The born host is an IPv6 address.
    pub const BORN_HOST_V6: i32 = 0x10;
    /// The store host is an IPv6 address.
    pub const STORE_HOST_V6: i32 = 0x20;
    /// Mask of the compression's type: 0 and 0x300 zlib, 0x100 LZ4, 0x200 zstd.
    pub const COMPRESSION: i32 = 0x700;
}

/// The longest topic of a record of the first kind: Java reads its length as a signed byte.
const MAX_SHORT_TOPIC: usize = i8::MAX as usize;
/// The longest topic of all.
const MAX_TOPIC: usize = i16::MAX as usize;

/// One stored message.
///
/// The record's size, CRC and the two IPv6 bits of `sys_flag` follow from the rest and are written
/// accordingly. Properties and topics have room for 32,767 bytes; a broker refuses longer ones, and
/// bytes beyond that are not written: the record stays whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Topic.
    pub topic: String,
    /// Queue of the topic.
    pub queue_id: i32,
    /// Place in the queue.
    pub queue_offset: i64,
    /// Place in the broker's commit log.
    pub physical_offset: i64,
    /// The application's flag.
    pub flag: i32,
    /// Bits of [`sys_flag`].
    pub sys_flag: i32,
    /// When the producer made the message, in ms since 1970.
    pub born_at_ms: i64,
    /// Where the producer was connected from.
    pub born_host: SocketAddr,
    /// When the broker stored the message, in ms since 1970.
    pub stored_at_ms: i64,
    /// The broker's address.
    pub store_host: SocketAddr,
    /// How often the message has been redelivered.
    pub reconsume_times: i32,
    /// Place of the half message that this one came from; 0 for none.
    pub prepared_offset: i64,
    /// Body, as the producer sent it (compressed when `sys_flag` says so).
    pub body: Bytes,
    /// The properties' text of the wire.
    pub properties: String,
}

impl StoredMessage {
    /// Length of the record in bytes.
    pub fn record_length(&self) -> usize {
        let wide = |host: &SocketAddr| if host.is_ipv6() { 12 } else { 0 };
        let topic = self.topic_that_fits().len();
        RECORD_OVERHEAD
            + wide(&self.born_host)
            + wide(&self.store_host)
            + usize::from(topic > MAX_SHORT_TOPIC)
            + self.body.len()
            + topic
            + properties::that_fit(&self.properties).len()
    }

    /// Appends the record to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        let topic = self.topic_that_fits();
        let properties = properties::that_fit(&self.properties);
        let long_topic = topic.len() > MAX_SHORT_TOPIC;
        out.reserve(self.record_length());
        out.put_i32(self.record_length() as i32);
        out.put_u32(if long_topic { MAGIC_V2 } else { MAGIC_V1 });
        out.put_u32(body_crc(&self.body));
        out.put_i32(self.queue_id);
        out.put_i32(self.flag);
        out.put_i64(self.queue_offset);
        out.put_i64(self.physical_offset);
        out.put_i32(self.wire_sys_flag());
        out.put_i64(self.born_at_ms);
        put_host(out, self.born_host);
        out.put_i64(self.stored_at_ms);
        put_host(out, self.store_host);
        out.put_i32(self.reconsume_times);
        out.put_i64(self.prepared_offset);
        out.put_i32(self.body.len() as i32);
        out.put_slice(&self.body);
        if long_topic {
            out.put_i16(topic.len() as i16);
        } else {
            out.put_i8(topic.len() as i8);
        }
        out.put_slice(topic.as_bytes());
        out.put_i16(properties.len() as i16);
        out.put_slice(properties.as_bytes());
    }

    /// Takes one record off the front of `bytes`; body and text share its memory where they can.
    ///
    /// # Errors
    /// [`DecodeError::Body`] when the record is cut short, of an unknown kind, or not UTF-8.
    pub fn decode(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        let size = i64::from(bytes.get(..4).map_or(0, |mut size| size.get_i32()));
        let mut record = take(bytes, size)?;
        record.advance(4.min(record.len()));
        Self::decode_rest(&mut record).map_err(|error| match error {
            RecordError::CutShort => DecodeError::Body("a stored message is cut short".into()),
            RecordError::Decode(error) => error,
        })
    }

    /// Takes all records of a pull's body.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_all(mut bytes: Bytes) -> Result<Vec<Self>, DecodeError> {
        let mut messages = Vec::new();
        while bytes.has_remaining() {
            messages.push(Self::decode(&mut bytes)?);
        }
        Ok(messages)
    }

    fn decode_rest(record: &mut Bytes) -> Result<Self, RecordError> {
        let long_topic = match record.try_get_u32()? {
            MAGIC_V1 => false,
            MAGIC_V2 => true,
            other => {
                let text = format!("a stored message of the unknown kind {other:08x}");
                return Err(RecordError::Decode(DecodeError::Body(text)));
            }
        };
        let _crc = record.try_get_u32()?;
        let queue_id = record.try_get_i32()?;
        let flag = record.try_get_i32()?;
        let queue_offset = record.try_get_i64()?;
        let physical_offset = record.try_get_i64()?;
        let sys_flag = record.try_get_i32()?;
        let born_at_ms = record.try_get_i64()?;
        let born_host = get_host(record, sys_flag & sys_flag::BORN_HOST_V6 != 0)?;
        let stored_at_ms = record.try_get_i64()?;
        let store_host = get_host(record, sys_flag & sys_flag::STORE_HOST_V6 != 0)?;
        let reconsume_times = record.try_get_i32()?;
        let prepared_offset = record.try_get_i64()?;
        let body_length = record.try_get_i32()?;
        let body = take(record, i64::from(body_length))?;
        let topic_length = match long_topic {
            true => i64::from(record.try_get_i16()?),
            false => i64::from(record.try_get_i8()?),
        };
        let topic = text(take(record, topic_length)?)?;
        let properties_length = record.try_get_i16()?;
        let properties = text(take(record, i64::from(properties_length))?)?;
        Ok(Self {
            topic,
            queue_id,
            queue_offset,
            physical_offset,
            flag,
            sys_flag,
            born_at_ms,
            born_host,
            stored_at_ms,
            store_host,
            reconsume_times,
            prepared_offset,
            body,
            properties,
        })
    }

    /// The properties, read.
    pub fn properties(&self) -> Properties {
        Properties::decode(&self.properties)
    }

    /// The value of one property.
    pub fn property(&self, name: &str) -> Option<&str> {
        properties::find(&self.properties, name)
    }

    fn topic_that_fits(&self) -> &str {
        let longest = self.topic.len().min(MAX_TOPIC);
        (0..=longest).rev().find_map(|end| self.topic.get(..end)).unwrap_or_default()
    }

    fn wire_sys_flag(&self) -> i32 {
        let bit = |host: SocketAddr, bit: i32| if host.is_ipv6() { bit } else { 0 };
        let hosts = sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6;
        (self.sys_flag & !hosts)
            | bit(self.born_host, sys_flag::BORN_HOST_V6)
            | bit(self.store_host, sys_flag::STORE_HOST_V6)
    }
}

/// The checksum of a stored body: CRC-32 without its highest bit.
pub fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7FFF_FFFF
}

enum RecordError {
    CutShort,
    Decode(DecodeError),
}

impl From<bytes::TryGetError> for RecordError {
    fn from(_: bytes::TryGetError) -> Self {
        Self::CutShort
    }
}

impl From<DecodeError> for RecordError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

fn take(bytes: &mut Bytes, length: i64) -> Result<Bytes, DecodeError> {
    match usize::try_from(length) {
        Ok(length) if length <= bytes.len() => Ok(bytes.split_to(length)),
        _ => Err(DecodeError::Body(format!(
            "a stored message declares {length} bytes where there are {}",
            bytes.len()
        ))),
    }
}

fn text(bytes: Bytes) -> Result<String, DecodeError> {
    String::from_utf8(bytes.into())
        .map_err(|_| DecodeError::Body("text of a stored message is not UTF-8".into()))
}

fn put_host(out: &mut BytesMut, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.put_u32(ip.into()),
        IpAddr::V6(ip) => out.put_u128(ip.into()),
    }
    out.put_i32(i32::from(host.port()));
}

fn get_host(record: &mut Bytes, v6: bool) -> Result<SocketAddr, RecordError> {
    let ip = match v6 {
        true => IpAddr::V6(Ipv6Addr::from(record.try_get_u128()?)),
        false => IpAddr::V4(Ipv4Addr::from(record.try_get_u32()?)),
    };
    let port = record.try_get_i32()?;
    let port = u16::try_from(port)
        .map_err(|_| DecodeError::Body(format!("a stored message with the port {port}")))?;
    Ok(SocketAddr::new(ip, port))
}
