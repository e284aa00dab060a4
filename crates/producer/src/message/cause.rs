//! What the system, or TLS, said when an attempt or a look-up failed.

use std::error::Error;
use std::io;
use std::sync::Arc;

/// An error of the system or of TLS, shared by all that failed by it.
#[derive(Debug, Clone)]
pub(crate) struct Cause(Arc<io::Error>);

impl Cause {
    pub(crate) fn io(&self) -> &io::Error {
        &self.0
    }

    /// The words of the error at the end of the chain.
    pub(crate) fn words(&self) -> String {
        let mut deepest: &dyn Error = &*self.0;
        while let Some(deeper) = deepest.source() {
            deepest = deeper;
        }
        deepest.to_string()
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        let error = tls::linked(error);
        Self(Arc::new(error))
    }
}

/// Errors that say the same are equal.
impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        let said = |cause: &Self| (cause.0.kind(), cause.words());
        Arc::ptr_eq(&self.0, &other.0) || said(self) == said(other)
    }
}

impl Eq for Cause {}

#[cfg(feature = "tls")]
mod tls {
    use std::error::Error;
    use std::{fmt, io};

    use tokio_rustls::rustls;

    /// Stands between the two: an `io::Error` passes over what is in it when it is asked for its
    /// source.
    #[derive(Debug)]
    struct Handshake(rustls::Error);

    impl fmt::Display for Handshake {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("TLS failed")
        }
    }

    impl Error for Handshake {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    /// The error with that of TLS as its source, if there is one in it.
    pub(super) fn linked(error: io::Error) -> io::Error {
        let kind = error.kind();
        match error.downcast::<rustls::Error>() {
            Ok(tls) => io::Error::new(kind, Handshake(tls)),
            Err(other) => other,
        }
    }
}
