//! A body, as a page shows it: as text, as JSON, byte by byte.

use std::fmt::Write;

use crate::pages::{json_text, moment};

/// How much of a body is shown as text, as JSON, and byte by byte. The whole of it can be downloaded.
const TEXT: usize = 64 * 1024;
const JSON: usize = 256 * 1024;
const BYTES: usize = 4 * 1024;
/// Bytes of a line.
const LINE: usize = 16;

/// A body, as a page shows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) size: String,
    /// The text, and where it stops if it is longer.
    pub(super) text: Option<(String, Option<String>)>,
    /// JSON, each value on a line.
    pub(super) json: Option<String>,
    /// Lines of bytes, and where they stop if there are more.
    pub(super) hex: String,
    pub(super) hex_stop: Option<String>,
}

impl Shown {
    pub(super) fn of(body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).ok();
        Self {
            size: moment::bytes(body.len()),
            text: text.map(beginning),
            json: text.filter(|text| text.len() <= JSON).and_then(json_text::lines),
            hex: hex(body.get(..BYTES).unwrap_or(body)),
            hex_stop: (body.len() > BYTES).then(|| moment::bytes(BYTES)),
        }
    }
}

/// The beginning of a text, up to a whole character.
fn beginning(text: &str) -> (String, Option<String>) {
    let end = (0..=TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    let shown = text.get(..end.unwrap_or_default()).unwrap_or_default();
    (shown.to_owned(), (shown.len() < text.len()).then(|| moment::bytes(shown.len())))
}

/// Lines of an offset, 16 bytes, and their characters.
fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 5);
    for (line, bytes) in bytes.chunks(LINE).enumerate() {
        // A String takes everything.
        let _ = write!(out, "{:08x} ", line * LINE);
        for place in 0..LINE {
            let _ = match bytes.get(place) {
                Some(byte) => write!(out, " {byte:02x}"),
                None => write!(out, "   "),
            };
        }
        out.push_str("  ");
        out.extend(bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_lines() {
        let shown = Shown::of(b"0123456789abcdef\xff\n");
        let lines = "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n\
            00000010  ff 0a                                            ..\n";
        assert_eq!((shown.text, shown.json, shown.hex.as_str()), (None, None, lines));
    }

    #[test]
    fn a_long_body_is_shown_in_part_and_says_so() {
        let shown = Shown::of("é".repeat(40_000).as_bytes());
        let (text, stop) = shown.text.expect("text");
        assert_eq!((text.len(), stop.as_deref()), (TEXT, Some("64.0 KiB")));
        assert_eq!(shown.hex.lines().count(), 256);
        assert_eq!(shown.hex_stop.as_deref(), Some("4.0 KiB"));
        let cut = Shown::of(format!("a{}", "é".repeat(40_000)).as_bytes());
        assert_eq!(cut.text.map(|(text, _)| text.len()), Some(TEXT - 1));
        let short = Shown::of(b"[1]");
        assert_eq!(short.text, Some(("[1]".to_owned(), None)));
        assert_eq!((short.json.as_deref(), short.hex_stop), (Some("[\n  1\n]"), None));
    }
}
