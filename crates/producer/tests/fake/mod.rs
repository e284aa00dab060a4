//! A name server and brokers that do what a script says, to see what a producer makes of it.
//!
//! They speak the real protocol on loopback sockets. A broker records each send in the order of
//! arrival, asks its script what to do with it, and keeps a list of what it "stored": the truth
//! that the producer's outcomes are held against. Of a batch each message is recorded, and the
//! script is asked once, with the first or with all.

#![allow(dead_code, unused_imports, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod action;
mod black_hole;
mod broker;
mod frames;
mod name_server;
mod producer;
mod seen;
#[path = "../support/mod.rs"]
mod support;

pub use action::Action;
pub use black_hole::{BlackHole, refusing};
pub use broker::Broker;
pub use frames::{answer, frame_of, request, request_of, stored_answer};
pub use name_server::{NameServer, Say, broker_data, queue_data, route};
pub use producer::{one_broker, producer, two_brokers};
pub use seen::{Seen, first_copies, ids};
pub use support::{
    DEADLINE, HANG, HOUR, assert_all_ended, assert_nothing_left, enqueue_numbered, lock, poll_once,
    settled, soon, until,
};
