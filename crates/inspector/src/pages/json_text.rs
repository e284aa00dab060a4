//! A JSON text with one value on each line: its numbers and texts stay as they are written.

use serde::de::IgnoredAny;

/// The text over several lines; `None` when it is no JSON object or list.
pub(super) fn lines(text: &str) -> Option<String> {
    let is_whole = text.trim_start().starts_with(['{', '[']);
    if !is_whole || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return None;
    }
    let mut lines = Lines { out: String::with_capacity(text.len() * 2), depth: 0 };
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                lines.out.push(c);
                let mut is_escaped = false;
                for c in rest.by_ref() {
                    lines.out.push(c);
                    if c == '"' && !is_escaped {
                        break;
                    }
                    is_escaped = c == '\\' && !is_escaped;
                }
            }
            '{' | '[' => {
                lines.out.push(c);
                while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                if let Some(end) = rest.next_if(|c| matches!(c, '}' | ']')) {
                    lines.out.push(end);
                } else {
                    lines.depth += 1;
                    lines.begin();
                }
            }
            '}' | ']' => {
                lines.depth = lines.depth.saturating_sub(1);
                lines.begin();
                lines.out.push(c);
            }
            ',' => {
                lines.out.push(c);
                lines.begin();
            }
            ':' => lines.out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => lines.out.push(c),
        }
    }
    Some(lines.out)
}

struct Lines {
    out: String,
    depth: usize,
}

impl Lines {
    fn begin(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_are_written() {
        let text = "{\"b\":1.10,\"a\":[ ],\"c\":[1e3 ,{}, \"x, {\\\"y\\\": 1} \\\\\"],\"z\":\n12345678901234567890123}";
        let expected = "{\n  \"b\": 1.10,\n  \"a\": [],\n  \"c\": [\n    1e3,\n    {},\n    \"x, {\\\"y\\\": 1} \\\\\"\n  ],\n  \"z\": 12345678901234567890123\n}";
        assert_eq!(lines(text).as_deref(), Some(expected));
        assert_eq!(lines("[]").as_deref(), Some("[]"));
    }

    #[test]
    fn what_is_no_object_or_list_has_no_lines() {
        for text in ["", "hello", "12", "\"text\"", "{", "{}x", "[1,]", "null"] {
            assert_eq!(lines(text), None, "{text:?}");
        }
    }
}
