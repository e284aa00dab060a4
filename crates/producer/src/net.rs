//! Reaching servers: addresses, proxies, encryption, and whom to trust.

pub(crate) mod address;
pub(crate) mod backoff;
pub(crate) mod reach;
pub(crate) mod socks5;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod trusted;
