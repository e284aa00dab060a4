//! Who a producer is, to servers that ask (ACL 1.0 of 4.x, ACL 2.0 of 5.x).

use std::fmt;
use std::sync::Arc;

use posthaste_protocol::sign::Signer;

/// An access key and its secret, and the token of temporary ones.
///
/// Cheap to clone. `Debug` shows the access key and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(Arc<Secrets>);

#[derive(Clone, PartialEq, Eq)]
struct Secrets {
    access_key: String,
    secret_key: String,
    security_token: Option<String>,
}

impl Credentials {
    /// Credentials of an account: its access key (of 5.x the user's name) and its secret key (the
    /// user's password). Requests are signed with the secret; it never travels itself.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        let (access_key, secret_key) = (access_key.into(), secret_key.into());
        Self(Arc::new(Secrets { access_key, secret_key, security_token: None }))
    }

    /// With the security token that some services hand out with temporary keys. It travels with
    /// every request. Default: none.
    #[must_use]
    pub fn security_token(mut self, token: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).security_token = Some(token.into());
        self
    }

    pub(crate) fn signer(&self) -> Signer<'_> {
        Signer {
            access_key: &self.0.access_key,
            secret_key: &self.0.secret_key,
            security_token: self.0.security_token.as_deref(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Secrets { access_key, .. } = &*self.0;
        f.debug_struct("Credentials").field("access_key", access_key).finish_non_exhaustive()
    }
}

/// Gives the current credentials, so that they can change while a producer runs.
///
/// [`Credentials`] give themselves, and a closure without arguments will do:
///
/// ```
/// # use std::sync::{Arc, RwLock};
/// # use posthaste::{Credentials, Producer};
/// let current = Arc::new(RwLock::new(Credentials::new("orders", "first secret")));
/// let shared = current.clone();
/// let builder = Producer::builder("order-service", "127.0.0.1:9876")
///     .credentials(move || shared.read().unwrap().clone());
/// // Later, when they are renewed:
/// *current.write().unwrap() = Credentials::new("orders", "second secret");
/// # drop(builder);
/// ```
pub trait CredentialsProvider: Send + Sync + 'static {
    /// The credentials to sign the next request with.
    ///
    /// It is called for every request, where the request is written: it must answer at once and not
    /// wait, or everything on that connection waits with it. Renew credentials elsewhere, in good
    /// time before they expire. If it panics, the request goes unsigned, and servers that require
    /// signatures refuse it.
    fn credentials(&self) -> Credentials;
}

impl CredentialsProvider for Credentials {
    fn credentials(&self) -> Credentials {
        self.clone()
    }
}

impl<F: Fn() -> Credentials + Send + Sync + 'static> CredentialsProvider for F {
    fn credentials(&self) -> Credentials {
        self()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let credentials = Credentials::new("orders", "hush-1").security_token("hush-2");
        let shown = format!("{credentials:?}");
        assert!(shown.contains("orders") && !shown.contains("hush"), "{shown}");
        assert_eq!(credentials.signer().security_token, Some("hush-2"));
    }
}
