//! Operations of the broker, for `cargo xtask counts`.

#![allow(clippy::expect_used, reason = "a bench may panic")]

#[path = "../../protocol/benches/counted/mod.rs"]
mod counted;

fn main() {
    counted::run(posthaste_broker::bench::ALL);
}
