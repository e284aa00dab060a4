//! How a producer finds the name servers of its cluster, and what it does when they change.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fake/mod.rs"]
mod fake;

mod address_server;
mod replaced;
