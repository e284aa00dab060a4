//! Fault rules of the embedded broker, as a producer meets them, on every way in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod delayed;
#[path = "../pki/mod.rs"]
mod pki;
mod routes;
mod sends;
mod way;
