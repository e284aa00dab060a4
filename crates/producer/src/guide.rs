//! What is behind the settings, a page per subject.

/// Counts, metrics, spans, message traces, interceptors.
#[doc = include_str!("../docs/observability.md")]
pub mod observability {}

/// Signatures, encryption, proxies.
#[cfg(feature = "tls")]
#[doc = include_str!("../docs/security.md")]
pub mod security {}
