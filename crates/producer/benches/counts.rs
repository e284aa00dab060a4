//! Operations of the protocol and of the producer, for `cargo xtask counts`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench may panic")]

#[path = "../../protocol/benches/counted/mod.rs"]
mod counted;
#[path = "../../protocol/benches/operations/mod.rs"]
mod operations;
mod sends;

fn main() {
    counted::run(operations::ALL.iter().chain(sends::ALL));
}
