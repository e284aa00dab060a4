//! `name=value` pairs in a text; values with spaces are quoted.

use std::borrow::Cow;

use super::Pair;
use crate::fault::FaultError;

/// Cuts a text into pairs.
pub(super) fn split(text: &str) -> Result<Vec<Pair<'_>>, FaultError> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let Some(behind) = behind.strip_prefix('=') else {
            let error = format!("{name:?} has no value; write {name}=...");
            return Err(FaultError::Senseless(error));
        };
        let (value, behind) = value(name, behind)?;
        pairs.push((Cow::Borrowed(name), value));
        rest = behind.trim_start();
    }
    Ok(pairs)
}

/// A value, and what comes behind it.
fn value<'a>(name: &str, text: &'a str) -> Result<(Cow<'a, str>, &'a str), FaultError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        return Ok((Cow::Borrowed(value), behind));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((place, char)) = chars.next() {
        match char {
            '"' => {
                let behind = quoted.get(place + 1..).unwrap_or_default();
                if behind.starts_with(|next: char| !next.is_whitespace()) {
                    break;
                }
                return Ok((Cow::Owned(value), behind));
            }
            '\\' => value.extend(chars.next().map(|(_, char)| char)),
            char => value.push(char),
        }
    }
    let error =
        format!("the quotes of {name} do not end; write {name}=\"...\", and a space behind");
    Err(FaultError::Senseless(error))
}

/// A value as it is written.
pub(super) fn quoted(value: &str) -> Cow<'_, str> {
    let is_plain =
        !value.is_empty() && !value.starts_with('"') && !value.contains(char::is_whitespace);
    match is_plain {
        true => Cow::Borrowed(value),
        false => {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            Cow::Owned(format!("\"{escaped}\""))
        }
    }
}
