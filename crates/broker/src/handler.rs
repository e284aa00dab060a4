//! What each request does. One file per concern; all are methods of [`Engine`](crate::engine::Engine).

mod client;
mod group;
mod offset;
mod pull;
mod query;
mod recall;
mod reply;
mod route;
mod send;
mod send_back;
mod topic;
mod transaction;
