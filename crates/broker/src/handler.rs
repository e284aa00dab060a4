//! What each request does. One file per concern; all are methods of [`Engine`](crate::engine::Engine).

mod admin;
mod client;
mod cluster;
mod group;
mod offset;
mod online;
mod pull;
mod query;
mod recall;
mod reply;
mod reset;
mod route;
mod send;
mod send_back;
mod stats;
mod topic;
mod transaction;
