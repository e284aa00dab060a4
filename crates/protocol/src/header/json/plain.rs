//! A JSON header in the plain form that servers and clients write, read in one pass and in place.
//!
//! Plain means: no spaces, no escapes but in the fields' values, no values but text and whole
//! numbers, nothing twice. What is not plain is left to the general reader; the two never disagree.

use std::borrow::Cow;

use super::text::first_to_escape;

/// What a header says beside its fields.
#[derive(Debug, Default)]
pub(crate) struct Head<'a> {
    pub(crate) code: i32,
    pub(crate) flag: i32,
    pub(crate) language: &'a str,
    pub(crate) opaque: i32,
    pub(crate) remark: &'a str,
    pub(crate) version: i32,
}

/// Reads a header and hands its fields over, in their order; `field` may refuse one. `None`: the
/// header is not plain, or a field was refused, and what was handed over counts for nothing.
pub(crate) fn read<'a>(
    header: &'a [u8],
    mut field: impl FnMut(&'a str, Cow<'a, str>) -> Option<()>,
) -> Option<Head<'a>> {
    let mut text = Text { text: std::str::from_utf8(header).ok()?, at: 0 };
    let (mut head, mut seen) = (Head::default(), 0u8);
    text.skip(b'{')?;
    loop {
        let member = match text.key()? {
            "code" => Member::Number(1, &mut head.code),
            "flag" => Member::Number(2, &mut head.flag),
            "opaque" => Member::Number(4, &mut head.opaque),
            "version" => Member::Number(8, &mut head.version),
            "language" => Member::Text(16, &mut head.language),
            "remark" => Member::Text(32, &mut head.remark),
            "extFields" => Member::Fields(64),
            _ => Member::Unknown,
        };
        let bit = match member {
            Member::Number(bit, place) => {
                *place = text.number()?;
                bit
            }
            Member::Text(bit, place) => {
                *place = text.string()?;
                bit
            }
            Member::Fields(bit) => {
                text.fields(&mut field)?;
                bit
            }
            Member::Unknown => {
                match text.next()? {
                    b'"' => drop(text.string()?),
                    _ => drop(text.number()?),
                }
                0
            }
        };
        if seen & bit != 0 {
            return None;
        }
        seen |= bit;
        if !text.goes_on()? {
            break;
        }
    }
    // Without the number by which a request is found there is nothing to do.
    (text.rest().is_empty() && seen & 4 != 0).then_some(head)
}

/// A whole number at the beginning of a text, and its length.
pub(crate) fn number(text: &[u8]) -> Option<(i32, usize)> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (mut number, mut count) = (0i32, 0);
    while let Some(digit) = digits.get(count).filter(|byte| byte.is_ascii_digit()) {
        // Negative, since there is one negative number more than positive ones.
        number = number.checked_mul(10)?.checked_sub(i32::from(digit - b'0'))?;
        count += 1;
    }
    let sign = text.len() - digits.len();
    if sign == 0 {
        number = number.checked_neg()?;
    }
    // As JSON writes it: no plus, no zeros in front, and no minus before zero.
    let padded = digits.first() == Some(&b'0') && sign + count > 1;
    (count > 0 && !padded).then_some((number, sign + count))
}

/// The text of a string at the beginning of a text, without its quotes: up to the closing one, and its
/// length as it stands there.
#[inline]
pub(crate) fn value(text: &str) -> Option<(Cow<'_, str>, usize)> {
    let mut text = Text { text, at: 0 };
    let value = text.value()?;
    Some((value, text.at))
}

/// A member of the header: the bit by which a second one is noticed, and where its value goes.
enum Member<'m, 'a> {
    Number(u8, &'m mut i32),
    Text(u8, &'m mut &'a str),
    Fields(u8),
    Unknown,
}

/// Bytes for a value with escapes: enough for most properties, whose escapes come at every turn.
const ROOM: usize = 256;

/// A text, and how far it has been read.
struct Text<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip(&mut self, byte: u8) -> Option<()> {
        let is_next = self.next() == Some(byte);
        is_next.then(|| self.at += 1)
    }

    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.skip(b'"')?;
        let string = self.run()?;
        // A backslash or a control character ends it otherwise.
        self.skip(b'"')?;
        Some(string)
    }

    /// What comes before the next quote, backslash or control character.
    #[inline]
    fn run(&mut self) -> Option<&'a str> {
        let end = self.at + first_to_escape(self.rest())?;
        let run = self.text.get(self.at..end)?;
        self.at = end;
        Some(run)
    }

    /// What is between the quotes of a string that may have escapes.
    #[inline]
    fn value(&mut self) -> Option<Cow<'a, str>> {
        let start = self.run()?;
        match self.next() {
            Some(b'"') => Some(Cow::Borrowed(start)),
            _ => self.value_with_escapes(start).map(Cow::Owned),
        }
    }

    fn value_with_escapes(&mut self, start: &str) -> Option<String> {
        let mut value = String::with_capacity(ROOM.max(2 * start.len()));
        value.push_str(start);
        while self.next() != Some(b'"') {
            value.push(self.escape()?);
            value.push_str(self.run()?);
        }
        Some(value)
    }

    /// An escape. The halves of a pair that stands for one character are not plain.
    fn escape(&mut self) -> Option<char> {
        self.skip(b'\\')?;
        let kind = self.next()?;
        self.at += 1;
        Some(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let digits = self.rest().first_chunk::<4>()?;
                self.at += digits.len();
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let code = digits.iter().try_fold(0, |code, byte| Some(code * 16 + digit(byte)?));
                char::from_u32(code?)?
            }
            _ => return None,
        })
    }

    #[inline]
    fn key(&mut self) -> Option<&'a str> {
        let key = self.string()?;
        self.skip(b':')?;
        Some(key)
    }

    fn number(&mut self) -> Option<i32> {
        let (number, length) = number(self.rest())?;
        self.at += length;
        Some(number)
    }

    fn fields(&mut self, mut field: impl FnMut(&'a str, Cow<'a, str>) -> Option<()>) -> Option<()> {
        self.skip(b'{')?;
        if self.next() == Some(b'}') {
            return self.skip(b'}');
        }
        loop {
            let name = self.key()?;
            self.skip(b'"')?;
            let value = self.value()?;
            self.skip(b'"')?;
            field(name, value)?;
            if !self.goes_on()? {
                return Some(());
            }
        }
    }

    /// Whether another member follows; otherwise the object has ended.
    #[inline]
    fn goes_on(&mut self) -> Option<bool> {
        let goes_on = self.next() == Some(b',');
        self.skip(if goes_on { b',' } else { b'}' })?;
        Some(goes_on)
    }
}
