//! What becomes of sends when brokers, name servers, connections and callers misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fake/mod.rs"]
mod fake;

mod answers;
mod batch;
mod cancel;
mod close;
mod dead;
mod go_away;
mod kinds;
mod linger;
mod nobodys;
mod oneway;
mod order;
mod outcomes;
mod request;
mod room;
mod routes;
mod shrunk;
mod sources;
mod transaction;
