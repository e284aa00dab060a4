//! The text between the quotes of a JSON string.

use bytes::{BufMut, BytesMut};

pub(crate) fn put_text(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    put_escaped(out, text);
    out.put_u8(b'"');
}

/// Writes what stands between the quotes of a JSON string; what needs no escape is copied in runs.
pub(crate) fn put_escaped(out: &mut BytesMut, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let hex = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut rest = text.as_bytes();
    while let Some(at) = first_to_escape(rest) {
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
}

/// Place of the first byte that cannot stand in a JSON string as it is: looked for in eight bytes
/// at a time.
pub(crate) fn first_to_escape(bytes: &[u8]) -> Option<usize> {
    /// A byte in each place.
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (number, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        // A byte below `n` borrows into its highest bit, as a zero does where it was equal. What
        // lies above the first hit may be wrong, and is not looked at.
        let below = |word: u64, n: u8| word.wrapping_sub(each(n)) & !word;
        let hits = below(word, 0x20) | below(word ^ each(b'"'), 1) | below(word ^ each(b'\\'), 1);
        let hits = hits & each(0x80);
        if hits != 0 {
            return Some(number * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    let must_escape = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    rest.iter().position(must_escape).map(|at| bytes.len() - rest.len() + at)
}
