//! The words of an expression.

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name, or a word that is none: `AND`, `IN`. Which of both, the parser knows.
    Word(Box<str>),
    /// A text between quotes.
    Text(Box<str>),
    /// A whole number.
    Whole(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// `=`, `<>`, `(` and the like.
    Sign(&'static str),
}

/// Signs; of two that begin alike the longer one first.
const SIGNS: [&str; 11] = ["<>", "<=", ">=", "<", ">", "=", "(", ")", ",", "-", "+"];

/// Cuts an expression into words.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let (mut rest, mut found) = (text, Vec::new());
    while let Some(next) = skip(rest)? {
        let (token, after) = token(next)?;
        found.push(token);
        rest = after;
    }
    Ok(found)
}

/// What follows space and comments; `None` at the end.
fn skip(text: &str) -> Result<Option<&str>, String> {
    let mut rest = text.trim_ascii_start();
    loop {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once(['\n', '\r']).map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let ended = comment.split_once("*/").ok_or("a comment does not end")?;
            rest = ended.1;
        } else {
            return Ok(Some(rest).filter(|rest| !rest.is_empty()));
        }
        rest = rest.trim_ascii_start();
    }
}

fn token(text: &str) -> Result<(Token, &str), String> {
    let begins = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$');
    match text.as_bytes() {
        [b'\'', ..] => quoted(text),
        [first, ..] if begins(*first) => {
            let (word, rest) = run(text, |byte| begins(byte) || byte.is_ascii_digit());
            Ok((Token::Word(word.into()), rest))
        }
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => number(text),
        _ => {
            let sign = SIGNS.into_iter().find(|sign| text.starts_with(sign));
            let unknown = || format!("{:?} has no meaning", text.chars().next().unwrap_or(' '));
            let sign = sign.ok_or_else(unknown)?;
            Ok((Token::Sign(sign), text.get(sign.len()..).unwrap_or_default()))
        }
    }
}

/// The bytes at the start that are of a kind, and the rest.
fn run(text: &str, kind: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !kind(byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// A text between quotes; a quote in it stands twice.
fn quoted(text: &str) -> Result<(Token, &str), String> {
    let (mut content, mut rest) = (String::new(), text.get(1..).unwrap_or_default());
    loop {
        let (part, after) = rest.split_once('\'').ok_or("a text does not end")?;
        content.push_str(part);
        match after.strip_prefix('\'') {
            Some(after) => {
                content.push('\'');
                rest = after;
            }
            None => return Ok((Token::Text(content.into()), after)),
        }
    }
}

fn number(text: &str) -> Result<(Token, &str), String> {
    let digits = |text| run(text, |byte: u8| byte.is_ascii_digit());
    let (_, mut rest) = digits(text);
    let mut is_whole = true;
    if let Some(after) = rest.strip_prefix('.') {
        (is_whole, rest) = (false, digits(after).1);
    }
    if let Some(after) = rest.strip_prefix(['e', 'E']) {
        let exponent = after.strip_prefix(['+', '-']).unwrap_or(after);
        if let (1.., after) = (digits(exponent).0.len(), digits(exponent).1) {
            (is_whole, rest) = (false, after);
        }
    }
    let number = text.strip_suffix(rest).unwrap_or(text);
    if !is_whole {
        let value: f64 = number.parse().map_err(|_| format!("{number} is no number"))?;
        // As Java has it: zero is below the least number that it knows.
        return match value.is_finite() && value >= f64::from_bits(1) {
            true => Ok((Token::Float(value), rest)),
            false => Err(format!("{number} is too large or too small")),
        };
    }
    if number.len() > 1 && number.starts_with('0') {
        return Err(format!("{number} begins with 0"));
    }
    let value = number.parse().map_err(|_| format!("{number} is too large"))?;
    Ok((Token::Whole(value), rest.strip_prefix(['l', 'L']).unwrap_or(rest)))
}
