//! The password that is asked for, by HTTP Basic.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use crate::error::ServeError;

/// Characters that a password has at least.
const LEAST: usize = 12;
/// Random bytes of a password that is made up: 24 characters.
const RANDOM: usize = 18;

/// A password of at least 12 characters.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// A password that was chosen.
    ///
    /// # Errors
    /// [`ServeError::ShortPassword`] when it has fewer than 12 characters.
    pub fn new(text: impl Into<String>) -> Result<Self, ServeError> {
        let text = text.into();
        match text.chars().count() {
            0..LEAST => Err(ServeError::ShortPassword { least: LEAST }),
            _ => Ok(Self(text)),
        }
    }

    /// A random password of 24 characters; [`text`](Self::text) says which.
    ///
    /// # Errors
    /// [`ServeError::NoRandom`].
    pub fn generate() -> Result<Self, ServeError> {
        let mut bytes = [0; RANDOM];
        SystemRandom::new().fill(&mut bytes).map_err(|_| ServeError::NoRandom)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The password itself.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether an `Authorization` header has this password, whatever the name in front of it.
    pub(crate) fn is_in(&self, authorization: &str) -> bool {
        let Some((scheme, coded)) = authorization.split_once(' ') else { return false };
        let decoded = STANDARD.decode(coded.trim()).unwrap_or_default();
        let mut parts = decoded.splitn(2, |byte| *byte == b':');
        let given = parts.nth(1).unwrap_or_default();
        // How long it takes does not say how much of it was right.
        scheme.eq_ignore_ascii_case("basic") && bool::from(given.ct_eq(self.0.as_bytes()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_is_taken() {
        let password = Password::new("sesame:sesame").expect("long enough");
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (authorization, is_right) in [
            (basic("me:sesame:sesame"), true),
            (basic(":sesame:sesame"), true),
            (basic("me:sesame:sesamE"), false),
            (basic("me:sesame"), false),
            (basic("me:"), false),
            (basic("sesame:sesame"), false),
            ("basic OnNlc2FtZTpzZXNhbWU=".to_owned(), true),
            ("Bearer OnNlc2FtZTpzZXNhbWU=".to_owned(), false),
            ("Basic %".to_owned(), false),
            ("Basic".to_owned(), false),
        ] {
            assert_eq!(password.is_in(&authorization), is_right, "{authorization}");
        }
    }

    #[test]
    fn a_short_one_is_refused_and_a_random_one_is_long() {
        assert!(matches!(
            Password::new("elevenelev!"),
            Err(ServeError::ShortPassword { least: 12 })
        ));
        let (one, other) = (Password::generate().expect("one"), Password::generate().expect("two"));
        assert_eq!(one.text().len(), 24);
        assert_ne!(one.text(), other.text());
        assert!(!format!("{one:?}").contains(one.text()));
    }
}
