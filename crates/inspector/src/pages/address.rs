//! Addresses of pages, with what they name escaped.

/// The address of a topic's page.
pub(super) fn topic(name: &str) -> String {
    format!("/topics/{}", escaped(name))
}

/// The address of a message's page.
pub(super) fn message(topic: &str, queue: u16, offset: u64) -> String {
    format!("/topics/{}/{queue}/{offset}", escaped(topic))
}

/// An address with values behind it; the empty ones are left out.
pub(super) fn with(path: &str, values: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    let mut mark = '?';
    for (name, value) in values.iter().filter(|(_, value)| !value.is_empty()) {
        address.push_str(&format!("{mark}{name}={}", escaped(value)));
        mark = '&';
    }
    address
}

/// A text as a part of an address.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_escaped_and_empty_values_left_out() {
        assert_eq!(message("%RETRY%a", 3, 17), "/topics/%25RETRY%25a/3/17");
        let values = [("key", "a b&c"), ("tag", ""), ("from", "é")];
        assert_eq!(with(&topic("t"), &values), "/topics/t?key=a%20b%26c&from=%C3%A9");
        assert_eq!(with("/x", &[("a", "")]), "/x");
    }
}
