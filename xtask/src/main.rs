//! Chores of this repository, run as `cargo xtask <chore>`.

mod interop;

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
}

fn main() -> ExitCode {
    match Arguments::parse().chore {
        Chore::Interop(selection) => interop::run(selection),
    }
}
