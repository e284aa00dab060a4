//! Chores of this repository, run as `cargo xtask <chore>`.

mod campaign;
mod counts;
mod flood;
mod half;
mod interop;
mod release;
mod steady;
mod suites;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of this repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Proves Posthaste against real Apache RocketMQ servers and clients.
    Interop(interop::Selection),
    /// Runs suites of others against the embedded broker: Apache's tests, and its command line tool.
    Suites(suites::Selection),
    /// Counts allocations and instructions of each operation, and compares with COUNTS.md.
    Counts(counts::Selection),
    /// Plays rounds of random faults against the producer, and compares what it says with what was stored.
    Campaign(campaign::Campaign),
    /// Runs the tests again and again on a machine that is kept busy, and names the tests that fail.
    Steady(steady::Selection),
    /// Makes what people install: archives, a Debian package, an image, checksums.
    Release,
    /// Checks the file map, the floors of the crates, and the compiler version.
    Tidy(tidy::Wish),
    /// Keeps a core busy until the standard input ends; part of `steady`.
    #[command(hide = true)]
    Busy,
    /// Begins a transaction and waits to be killed; part of the interop suite.
    #[command(hide = true)]
    Half(half::Half),
    /// Sends as fast as a producer can; part of the interop suite.
    #[command(hide = true)]
    Flood(flood::Flood),
}

fn main() -> ExitCode {
    match Arguments::parse().chore {
        Chore::Interop(selection) => interop::run(selection),
        Chore::Suites(selection) => suites::run(&selection),
        Chore::Counts(selection) => counts::run(&selection),
        Chore::Campaign(campaign) => campaign::run(&campaign),
        Chore::Steady(selection) => steady::run(&selection),
        Chore::Busy => steady::keep_busy(),
        Chore::Release => release::run(),
        Chore::Tidy(wish) => tidy::run(&wish),
        Chore::Half(half) => half::run(&half),
        Chore::Flood(flood) => flood::run(&flood),
    }
}
