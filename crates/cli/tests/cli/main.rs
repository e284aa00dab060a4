//! The real binary against the embedded broker, the way a shell uses it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

mod bench;
mod completions;
mod contexts;
mod demo;
mod dev;
mod doctor;
mod documented;
mod exit_codes;
mod fault;
mod inspector;
mod interrupt;
mod json_in;
mod msg;
#[path = "../../../producer/tests/pki/mod.rs"]
mod pki;
mod recall;
mod scripted;
mod secured;
mod send;
mod shell;
mod stdout;
mod stream;
mod tail;
mod topic;
mod ways;
mod words;
