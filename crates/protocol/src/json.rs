//! JSON as fastjson writes it.
//!
//! Java's servers write the keys of some maps without quotes (`{0:"10.0.0.1:10911"}`), and whole
//! objects as keys (`{{"topic":"t"}:5}`). [`normalize`] turns both into standard JSON.

mod lenient;

use serde::de::DeserializeOwned;

use self::lenient::Lenient;
use crate::DecodeError;
use crate::error::reason;

/// How deep objects may stand in each other.
const MAX_DEPTH: usize = 64;

/// Reads a JSON object, in standard form or fastjson's. Numbers, booleans and their texts are one
/// thing; null is nothing, 0, false or empty, as is expected.
///
/// # Errors
/// [`DecodeError::Body`] when the text is neither, or not a `T`.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, DecodeError> {
    if !is_object(text) {
        return Err(DecodeError::Body("not a JSON object".into()));
    }
    let standard = normalize(text)?;
    let bad = |error| DecodeError::Body(reason(error));
    let mut deserializer = serde_json::Deserializer::from_slice(&standard);
    let value = T::deserialize(Lenient(&mut deserializer)).map_err(bad)?;
    deserializer.end().map_err(bad)?;
    Ok(value)
}

/// Whether a JSON text is an object, if it is anything: the parser would take an array, too, for
/// the members of a struct in their order.
pub(crate) fn is_object(text: &[u8]) -> bool {
    text.trim_ascii_start().first() == Some(&b'{')
}

/// Quotes bare integer keys and turns object keys into strings; the rest is copied as it is.
///
/// # Errors
/// [`DecodeError::Body`] when objects stand deeper than 64 in each other, an object key has an
/// object key or is not UTF-8, or a string does not end.
pub fn normalize(text: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let out = Vec::with_capacity(text.len() + 16);
    let mut normalizer = Normalizer { rest: text, out, in_key: false };
    normalizer.value(0)?;
    normalizer.out.extend_from_slice(normalizer.rest);
    Ok(normalizer.out)
}

struct Normalizer<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
    /// Whether an object that is a key is being copied.
    in_key: bool,
}

impl Normalizer<'_> {
    /// Copies one value. What is not JSON is copied too: the parser behind this will say so.
    fn value(&mut self, depth: usize) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::Body("JSON nested too deeply".into()));
        }
        self.copy_while(|byte| byte.is_ascii_whitespace());
        match self.rest.first() {
            Some(b'{') => self.members(depth, b'}', Self::member),
            Some(b'[') => self.members(depth, b']', Self::value),
            Some(b'"') => self.string(),
            _ => {
                self.scalar();
                Ok(())
            }
        }
    }

    /// Copies the members of an object or an array, up to and with `close`.
    fn members(
        &mut self,
        depth: usize,
        close: u8,
        member: fn(&mut Self, usize) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.copy(1);
        loop {
            self.copy_while(|byte| byte.is_ascii_whitespace() || byte == b',');
            match self.rest.first() {
                None => return Ok(()),
                Some(&byte) if byte == close => {
                    self.copy(1);
                    return Ok(());
                }
                Some(_) => {
                    let before = self.rest.len();
                    member(self, depth + 1)?;
                    if self.rest.len() == before {
                        // A byte that opens nothing, such as a stray bracket.
                        self.copy(1);
                    }
                }
            }
        }
    }

    /// Copies a key, quoted if it was not, and its value.
    fn member(&mut self, depth: usize) -> Result<(), DecodeError> {
        match self.rest.first() {
            Some(b'{') => self.object_key(depth)?,
            Some(b'"') => self.string()?,
            _ => self.bare_key(),
        }
        self.copy_while(|byte| byte.is_ascii_whitespace());
        if self.rest.first() == Some(&b':') {
            self.copy(1);
            self.value(depth)?;
        }
        Ok(())
    }

    /// Copies a key without quotes, and gives it some if it is an integer.
    fn bare_key(&mut self) {
        let start = self.out.len();
        self.scalar();
        let key = self.out.get(start..).unwrap_or_default();
        let digits = key.strip_prefix(b"-").unwrap_or(key);
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            self.out.insert(start, b'"');
            self.out.push(b'"');
        }
    }

    /// Copies an object that is a key, as a string. It cannot have such a key itself: each level
    /// would double the backslashes of the ones within.
    fn object_key(&mut self, depth: usize) -> Result<(), DecodeError> {
        let bad = |why: &str| DecodeError::Body(format!("a JSON key that is an object {why}"));
        if std::mem::replace(&mut self.in_key, true) {
            return Err(bad("has one itself"));
        }
        let start = self.out.len();
        self.value(depth)?;
        self.in_key = false;
        let key = String::from_utf8(self.out.split_off(start)).map_err(|_| bad("is not UTF-8"))?;
        self.out.extend(serde_json::to_vec(&key).unwrap_or_default());
        Ok(())
    }

    fn string(&mut self) -> Result<(), DecodeError> {
        let mut length = 1;
        loop {
            match self.rest.get(length) {
                None => return Err(DecodeError::Body("a JSON string does not end".into())),
                Some(b'\\') => length += 2,
                Some(b'"') => break,
                Some(_) => length += 1,
            }
        }
        self.copy(length + 1);
        Ok(())
    }

    fn scalar(&mut self) {
        self.copy_while(|byte| {
            !byte.is_ascii_whitespace()
                && !matches!(byte, b',' | b':' | b'}' | b']' | b'{' | b'[' | b'"')
        });
    }

    fn copy_while(&mut self, wanted: impl Fn(u8) -> bool) {
        self.copy(self.rest.iter().position(|byte| !wanted(*byte)).unwrap_or(self.rest.len()));
    }

    fn copy(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.out.extend_from_slice(taken);
        self.rest = rest;
    }
}
