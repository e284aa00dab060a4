//! Compressed bodies: which of them are, and how (Java: `MessageSysFlag`, `CompressionType`).

use std::io::{Read, Write};

use bytes::Bytes;

use crate::DecodeError;
use crate::stored::sys_flag;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// A zlib stream (RFC 1950). Every client reads it.
    Zlib,
    /// LZ4 frames. Clients read them from 5.0 on.
    #[cfg(feature = "lz4")]
    Lz4,
    /// Zstandard frames. Clients read them from 5.0 on.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// Bits of the type in `sys_flag`; 0 is zlib too, as 4.x writes it.
const LZ4: i32 = 0x100;
const ZSTD: i32 = 0x200;
const ZLIB: i32 = 0x300;

impl Compression {
    /// The bits of `sys_flag` for a body that is compressed in this way.
    pub fn sys_flag(self) -> i32 {
        let kind = match self {
            Self::Zlib => ZLIB,
            #[cfg(feature = "lz4")]
            Self::Lz4 => LZ4,
            #[cfg(feature = "zstd")]
            Self::Zstd => ZSTD,
        };
        sys_flag::COMPRESSED | kind
    }

    /// Compresses a body. `None` when that does not make it smaller.
    ///
    /// `level` is from 1, fast, to 9, small, with zlib, where 0 is not at all and more counts as 9;
    /// from 1 to 22 with zstd, where 0 is its own default, 3. LZ4 has none.
    pub fn compress(self, body: &[u8], level: u32) -> Option<Bytes> {
        self.compress_anyway(body, level).filter(|packed| packed.len() < body.len())
    }

    /// As [`compress`](Self::compress), also when that makes the body larger. `None` of a level that
    /// the library refuses.
    pub fn compress_anyway(self, body: &[u8], level: u32) -> Option<Bytes> {
        let packed = match self {
            Self::Zlib => zlib(body, level),
            #[cfg(feature = "lz4")]
            Self::Lz4 => lz4(body),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::bulk::compress(body, i32::try_from(level).unwrap_or(i32::MAX)),
        };
        // Writing to memory does not fail; a level that the library refuses does.
        packed.ok().map(Bytes::from)
    }
}

/// The body that `sys_flag` says is compressed, as it was; any other as it is.
///
/// # Errors
/// [`DecodeError::Body`] when it is not what `sys_flag` says, when it would be longer than `most`
/// bytes, which is found before they are there, and when this build does not know the type.
pub fn decompress(flags: i32, body: &Bytes, most: usize) -> Result<Bytes, DecodeError> {
    if flags & sys_flag::COMPRESSED == 0 {
        return Ok(body.clone());
    }
    match flags & sys_flag::COMPRESSION {
        0 | ZLIB => read_all(flate2::read::ZlibDecoder::new(&**body), most),
        #[cfg(feature = "lz4")]
        LZ4 => read_all(lz4_flex::frame::FrameDecoder::new(&**body), most),
        #[cfg(feature = "zstd")]
        ZSTD => read_all(zstd::stream::read::Decoder::with_buffer(&**body).map_err(bad)?, most),
        #[cfg(not(feature = "lz4"))]
        LZ4 => Err(DecodeError::Body("the body is compressed with LZ4: feature `lz4`".into())),
        #[cfg(not(feature = "zstd"))]
        ZSTD => Err(DecodeError::Body("the body is compressed with zstd: feature `zstd`".into())),
        other => Err(DecodeError::Body(format!("compression type {:#x} is not known", other))),
    }
}

fn zlib(body: &[u8], level: u32) -> std::io::Result<Vec<u8>> {
    let level = flate2::Compression::new(level.min(9));
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(feature = "lz4")]
fn lz4(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(body)?;
    Ok(encoder.finish()?)
}

/// A small body may stand for a very large one: no more is read than is allowed.
fn read_all(reader: impl Read, most: usize) -> Result<Bytes, DecodeError> {
    let mut body = Vec::new();
    reader.take(most as u64 + 1).read_to_end(&mut body).map_err(bad)?;
    if body.len() > most {
        return Err(DecodeError::Body(format!("the body has more than {most} bytes")));
    }
    Ok(body.into())
}

fn bad(error: std::io::Error) -> DecodeError {
    DecodeError::Body(format!("the compressed body cannot be read: {error}"))
}
