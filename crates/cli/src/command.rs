//! One module for each command.

pub(crate) mod bench;
pub(crate) mod completions;
mod demo;
mod dev;
mod fault;
mod man;
mod send;
mod tail;
mod topic;

use crate::args::{Args, Command};
use crate::exit::{Exit, Failure};

/// Runs the command that was asked for.
pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Dev(dev) => dev::run(&args.global, dev).await,
        Command::Send(send) => Box::pin(send::run(&args.global, send)).await,
        Command::Tail(tail) => tail::run(&args.global, tail).await,
        Command::Topic(topic) => topic::run(&args.global, topic).await,
        Command::Fault(fault) => fault::run(&args.global, fault).await,
        Command::Bench(bench) => Box::pin(bench::run(&args.global, bench)).await,
        Command::Demo => demo::run(&args.global).await,
        Command::Completions { shell } => completions::run(*shell),
        Command::Man { folder } => man::run(folder),
    }
}
