//! The token in the forms of the pages: a client that sends one back has read a page of this server.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use crate::error::ServeError;

/// Random bytes of a token.
const RANDOM: usize = 18;

/// The token of one run of the server.
pub(crate) struct Token(String);

impl Token {
    /// A random token.
    pub(crate) fn generate() -> Result<Self, ServeError> {
        let mut bytes = [0; RANDOM];
        SystemRandom::new().fill(&mut bytes).map_err(|_| ServeError::NoRandom)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Whether a form has this token. How long the answer takes does not say how much of it was right.
    pub(crate) fn is(&self, given: &str) -> bool {
        bool::from(given.as_bytes().ct_eq(self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_taken() {
        let (token, other) = (Token::generate().expect("one"), Token::generate().expect("two"));
        assert!(token.is(token.text()));
        assert!(!token.is(other.text()) && !token.is("") && !token.is(&token.text()[1..]));
        assert!(!format!("{token:?}").contains(token.text()));
    }
}
