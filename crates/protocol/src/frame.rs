//! Cutting a byte stream into frames.
//!
//! A frame is `length` (4 bytes, not counting itself), one word with the header's encoding in its
//! high byte and the header's length in the other three, the header, and the body
//! (Java: `RemotingCommand`, `NettyDecoder`).

use bytes::{Buf, Bytes, BytesMut};

use crate::DecodeError;

/// The longest frame that any peer accepts, its four length bytes included (16 MiB).
pub const MAX_FRAME: usize = 16 * 1024 * 1024;

/// The longest header that is read. Properties may have 32 KiB, and JSON makes six bytes of each that
/// it escapes.
pub const MAX_HEADER: usize = 256 * 1024;

/// Bytes of the prefix: the frame's length and the header word.
pub const PREFIX: usize = 8;

/// How a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeaderEncoding {
    /// A JSON object; what every peer understands.
    Json,
    /// The ROCKETMQ binary layout; read, since 4.9.7 answers with it when asked in it.
    Binary,
}

/// One frame: its header's bytes, not yet read, and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// How `header` is written.
    pub encoding: HeaderEncoding,
    /// The header's bytes.
    pub header: Bytes,
    /// The body's bytes; empty when there is none.
    pub body: Bytes,
}

/// A frame that is read where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameView<'a> {
    /// How `header` is written.
    pub encoding: HeaderEncoding,
    /// The header's bytes.
    pub header: &'a [u8],
    /// Bytes of the frame, its prefix among them.
    pub length: usize,
}

impl<'a> FrameView<'a> {
    /// The frame at the front of `buffer`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// As [`Frame::take`].
    #[inline]
    pub fn of_first(buffer: &'a [u8], limit: usize) -> Result<Option<Self>, DecodeError> {
        Ok(Layout::read(buffer, limit)?.and_then(|Layout { encoding, header_length, length }| {
            let header = buffer.get(..length)?.get(PREFIX..PREFIX + header_length)?;
            Some(Self { encoding, header, length })
        }))
    }

    /// The frame at the front of `buffer` whose header is there; its body need not be whole yet.
    /// `None` when the header is not.
    ///
    /// # Errors
    /// As [`Frame::take`].
    pub fn of_begun(buffer: &'a [u8], limit: usize) -> Result<Option<Self>, DecodeError> {
        Ok(Layout::read(buffer, limit)?.and_then(|Layout { encoding, header_length, length }| {
            let header = buffer.get(PREFIX..PREFIX + header_length)?;
            Some(Self { encoding, header, length })
        }))
    }
}

impl Frame {
    /// The same, to be looked at.
    pub fn view(&self) -> FrameView<'_> {
        let length = PREFIX + self.header.len() + self.body.len();
        FrameView { encoding: self.encoding, header: &self.header, length }
    }

    /// Takes the next frame off the front of `buffer`.
    ///
    /// `Ok(None)` means that more bytes are needed; nothing was taken then. The frame's parts share
    /// the buffer's memory. Nothing is reserved for a declared length before its bytes are there.
    ///
    /// # Errors
    /// [`DecodeError::Frame`] when the prefix is impossible, announces a frame longer than `limit` or
    /// [`MAX_FRAME`] or a header longer than [`MAX_HEADER`]; the stream cannot be read on.
    pub fn take(buffer: &mut BytesMut, limit: usize) -> Result<Option<Self>, DecodeError> {
        Ok(Layout::read(buffer, limit)?
            .filter(|layout| layout.length <= buffer.len())
            .map(|layout| layout.cut(buffer.split_to(layout.length).freeze())))
    }

    /// Takes the next frame off the front of `run`, as [`take`](Self::take) does. For a caller
    /// that [counts](whole_frames) frames in one part and reads them in another.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn take_of_run(run: &mut Bytes, limit: usize) -> Result<Option<Self>, DecodeError> {
        Ok(Layout::read(run, limit)?
            .filter(|layout| layout.length <= run.len())
            .map(|layout| layout.cut(run.split_to(layout.length))))
    }
}

/// How many bytes at the front of `bytes` are whole frames.
///
/// # Errors
/// [`DecodeError::Frame`] when the prefix of a frame is impossible or announces more than `limit`,
/// [`MAX_FRAME`] or [`MAX_HEADER`], also of one that is not whole yet.
pub fn whole_frames(bytes: &[u8], limit: usize) -> Result<usize, DecodeError> {
    let mut whole = 0;
    while let Some(rest) = bytes.get(whole..)
        && let Some(layout) = Layout::read(rest, limit)?
        && layout.length <= rest.len()
    {
        whole += layout.length;
    }
    Ok(whole)
}

/// What is wrong with four bytes that are no length: mostly they begin another protocol.
fn no_length(bytes: [u8; 4]) -> String {
    match &bytes {
        b"HTTP" | b"GET " | b"POST" | b"HEAD" | b"PUT " | b"DELE" | b"OPTI" => {
            "the other side speaks HTTP, not the RocketMQ protocol".to_owned()
        }
        // A handshake or an alert of TLS 1.x.
        [0x15 | 0x16, 3, ..] => {
            "the other side speaks TLS, and this connection is not encrypted".to_owned()
        }
        b"SSH-" => "the other side speaks SSH, not the RocketMQ protocol".to_owned(),
        _ => format!("a length of {} bytes", i32::from_be_bytes(bytes)),
    }
}

/// What a frame's prefix says.
#[derive(Clone, Copy)]
struct Layout {
    encoding: HeaderEncoding,
    header_length: usize,
    /// Bytes of the frame, its prefix among them.
    length: usize,
}

impl Layout {
    /// Reads a prefix; `None` when it is not there yet.
    fn read(bytes: &[u8], limit: usize) -> Result<Option<Self>, DecodeError> {
        let Some(&[l0, l1, l2, l3]) = bytes.get(..4) else {
            return Ok(None);
        };
        let length = i32::from_be_bytes([l0, l1, l2, l3]);
        let longest = limit.min(MAX_FRAME).saturating_sub(4);
        let payload = usize::try_from(length)
            .ok()
            .filter(|n| (4..=longest).contains(n))
            .ok_or_else(|| DecodeError::Frame(no_length([l0, l1, l2, l3])))?;
        let Some(&[marker, h0, h1, h2]) = bytes.get(4..PREFIX) else {
            return Ok(None);
        };
        let encoding = match marker {
            0 => HeaderEncoding::Json,
            1 => HeaderEncoding::Binary,
            other => return Err(DecodeError::Frame(format!("header encoding {other}"))),
        };
        let header_length = u32::from_be_bytes([0, h0, h1, h2]) as usize;
        if header_length > payload - 4 {
            return Err(DecodeError::Frame(format!(
                "a header of {header_length} bytes in a frame of {payload}"
            )));
        }
        if header_length > MAX_HEADER {
            return Err(DecodeError::Frame(format!("a header of {header_length} bytes")));
        }
        Ok(Some(Self { encoding, header_length, length: payload + 4 }))
    }

    /// The parts of the frame that has this layout.
    fn cut(self, mut frame: Bytes) -> Frame {
        frame.advance(PREFIX);
        let header = frame.split_to(self.header_length);
        Frame { encoding: self.encoding, header, body: frame }
    }
}

/// Makes the frame that begins at `start` of `out` declare this many more bytes: for a part of the body
/// that the writer sends without copying it here.
///
/// A length above 32 bits is written as [`u32::MAX`]: every peer refuses it.
pub fn lengthen(out: &mut BytesMut, start: usize, by: usize) {
    let length = out.get_mut(start..).and_then(|frame| frame.first_chunk_mut::<4>());
    if let Some(length) = length {
        let longer = u64::from(u32::from_be_bytes(*length)) + by as u64;
        *length = u32::try_from(longer).unwrap_or(u32::MAX).to_be_bytes();
    }
}

/// Appends a frame to `out`: `write_header` writes the header, then `write_body` the body. Their
/// lengths are filled in at the end.
///
/// A header too long for its 24 bits makes a frame above [`MAX_FRAME`], and a length above 32 bits
/// is written as one that is negative when read: every peer refuses both by the first four bytes.
pub(crate) fn put(
    out: &mut BytesMut,
    encoding: HeaderEncoding,
    write_header: impl FnOnce(&mut BytesMut),
    write_body: impl FnOnce(&mut BytesMut),
) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    write_header(out);
    let header_length = out.len() - start - PREFIX;
    write_body(out);
    let length = out.len() - start - 4;
    let marker = match encoding {
        HeaderEncoding::Json => 0u32,
        HeaderEncoding::Binary => 1,
    };
    let word = (marker << 24) | (header_length as u32 & 0x00FF_FFFF);
    if let Some(prefix) = out.get_mut(start..start + PREFIX) {
        let (first, second) = prefix.split_at_mut(4);
        first.copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        second.copy_from_slice(&word.to_be_bytes());
    }
}
