//! What is behind the settings, a page per subject.

/// Signatures, encryption, proxies.
#[cfg(feature = "tls")]
#[doc = include_str!("../docs/security.md")]
pub mod security {}
