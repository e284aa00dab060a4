//! Who may send what to whom, and who can read it: signatures, TLS, proxies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fake/mod.rs"]
mod fake;
#[path = "../pki/mod.rs"]
mod pki;
#[path = "../scripted/mod.rs"]
mod scripted;

mod bad_peers;
mod client_certificates;
mod encrypted;
mod proxied;
mod signed;
mod trusted;
mod vip;
