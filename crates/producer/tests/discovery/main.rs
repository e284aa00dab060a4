//! How a producer finds its cluster and the queues of a topic there, and who it is to them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fake/mod.rs"]
mod fake;
#[path = "../scripted/mod.rs"]
mod scripted;

mod address_server;
mod clusters;
mod default_topic;
mod identity;
mod namespace;
mod ready;
mod replaced;
mod static_topics;
mod upkeep;
mod zones;
