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
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (number, chunk) in chunks.iter().enumerate() {
        let hits = to_escape(*chunk);
        if hits != 0 {
            return Some(number * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    // The last eight bytes, some of them for the second time: mostly nothing is found.
    if bytes.last_chunk().is_some_and(|chunk| to_escape(*chunk) == 0) {
        return None;
    }
    let must_escape = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    rest.iter().position(must_escape).map(|at| bytes.len() - rest.len() + at)
}

/// The highest bit of each byte that cannot stand as it is. Above the lowest such bit others may be
/// set without reason.
fn to_escape(chunk: [u8; 8]) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let word = u64::from_le_bytes(chunk);
    // A byte below `n` borrows into its highest bit, as a zero does where two were equal.
    let control = word.wrapping_sub(each(0x20));
    let quote = (word ^ each(b'"')).wrapping_sub(each(1));
    let backslash = (word ^ each(b'\\')).wrapping_sub(each(1));
    (control | quote | backslash) & !word & each(0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte in every place of a text of every short length, before and behind others.
    #[test]
    fn every_byte_in_every_place() {
        let must_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        for (length, other) in (0..20).flat_map(|length| [(length, b'a'), (length, 0xff)]) {
            assert_eq!(first_to_escape(&vec![other; length]), None);
            for (at, byte) in (0..length).flat_map(|at| (0..=u8::MAX).map(move |b| (at, b))) {
                let mut text = vec![other; length];
                text[at] = byte;
                let expected = must_escape(byte).then_some(at);
                assert_eq!(first_to_escape(&text), expected, "{byte} at {at} of {length}");
                text[length - 1] = 0;
                let expected = expected.unwrap_or(length - 1);
                assert_eq!(first_to_escape(&text), Some(expected), "{byte} at {at} of {length}");
            }
        }
    }
}
