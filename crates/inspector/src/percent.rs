//! Percent-encoding in what is asked.

/// Whether what stands behind the `?` of an address decodes to text. What does not would be read as
/// another text, that nothing is called by.
pub(crate) fn is_text(query: &str) -> bool {
    let mut bytes = query.bytes();
    let mut decoded = Vec::with_capacity(query.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return false };
        decoded.push((high * 16 + low) as u8);
    }
    std::str::from_utf8(&decoded).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decodes_to_utf_8_is_text() {
        for (query, is) in [
            ("", true),
            ("topic=a+b&key=caf%C3%A9", true),
            ("key=%00", true),
            ("key=%c3%a9%25", true),
            ("key=%ff", false),
            ("key=%C3", false),
            ("key=%", false),
            ("key=%4", false),
            ("key=%zz", false),
            ("key=%+1", false),
        ] {
            assert_eq!(is_text(query), is, "{query}");
        }
    }
}
