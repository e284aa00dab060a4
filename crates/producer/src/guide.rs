//! What is behind the settings, a page per subject.

/// Every class and setting of the Java client, and what it is here.
#[doc = include_str!("../docs/coming_from_java.md")]
pub mod coming_from_java {}

/// Counts, metrics, spans, message traces, interceptors.
#[doc = include_str!("../docs/observability.md")]
pub mod observability {}

/// Signatures, encryption, proxies.
#[cfg(feature = "tls")]
#[doc = include_str!("../docs/security.md")]
pub mod security {}
