//! Fault rules of the embedded broker, as a producer meets them, on every way in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod answers;
mod batch;
mod busy;
mod cancel;
mod close;
mod dead;
mod delayed;
mod go_away;
mod health;
mod looked_up;
mod order;
#[path = "../pki/mod.rs"]
mod pki;
mod room;
mod routes;
mod sends;
mod servers;
#[path = "../support/mod.rs"]
mod support;
mod transaction;
mod way;
