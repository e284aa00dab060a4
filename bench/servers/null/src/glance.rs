//! What decides the answer to a request, found without parsing its header.

use memchr::memmem;

/// What a JSON header says at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glance {
    pub(crate) code: i32,
    pub(crate) opaque: i32,
    pub(crate) is_oneway: bool,
    pub(crate) is_batch: bool,
}

const SEND_BATCH_MESSAGE: i32 = 320;

impl Glance {
    /// Looks at a header. Quotes in texts are escaped, so a name in quotes is never found in one.
    pub(crate) fn at(header: &[u8]) -> Option<Self> {
        let code = number(header, memmem::find(header, b"\"code\":")? + 7)?;
        let opaque = number(header, memmem::rfind(header, b"\"opaque\":")? + 9)?;
        // A send with full names has a field `flag` too, but its value is in quotes.
        let flag = memmem::find_iter(header, b"\"flag\":").find_map(|at| number(header, at + 7));
        let is_batch = code == SEND_BATCH_MESSAGE
            || memmem::find(header, b"\"m\":\"true\"").is_some()
            || memmem::find(header, b"\"batch\":\"true\"").is_some();
        Some(Self { code, opaque, is_oneway: flag.is_some_and(|flag| flag & 2 != 0), is_batch })
    }
}

fn number(header: &[u8], at: usize) -> Option<i32> {
    let digits = header.get(at..)?;
    let digits = digits.trim_ascii_start();
    let (negative, digits) = match digits.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    if !digits.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(1 << 32));
    i32::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(header: &str) -> Option<Glance> {
        Glance::at(header.as_bytes())
    }

    #[test]
    fn a_send_as_java_writes_it() {
        let header = r#"{"code":310,"extFields":{"a":"g","b":"T","m":"false"},"flag":0,"language":"JAVA","opaque":7,"version":513}"#;
        let expected = Glance { code: 310, opaque: 7, is_oneway: false, is_batch: false };
        assert_eq!(glance(header), Some(expected));
    }

    #[test]
    fn a_one_way_batch_with_full_names() {
        let header = r#"{"code":10,"flag":2,"opaque":-5,"extFields":{"flag":"0","batch":"true"}}"#;
        let expected = Glance { code: 10, opaque: -5, is_oneway: true, is_batch: true };
        assert_eq!(glance(header), Some(expected));
    }

    #[test]
    fn texts_do_not_mislead() {
        let header =
            r#"{"code":310,"opaque":3,"flag":0,"extFields":{"i":"\"opaque\":9 \"code\":1"}}"#;
        let expected = Glance { code: 310, opaque: 3, is_oneway: false, is_batch: false };
        assert_eq!(glance(header), Some(expected));
    }

    #[test]
    fn what_is_no_header_is_none() {
        assert_eq!(glance("{}"), None);
        assert_eq!(glance(r#"{"code":"x","opaque":1}"#), None);
    }
}
