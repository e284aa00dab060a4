//! One module for each command.

pub(crate) mod bench;
pub(crate) mod completions;
mod context;
mod demo;
mod dev;
mod doctor;
mod fault;
mod man;
mod msg;
mod recall;
mod send;
mod tail;
mod topic;

use crate::args::{Args, Command};
use crate::exit::{Exit, Failure};
use crate::settings::Settings;

/// Runs the command that was asked for.
pub(crate) async fn run(args: &Args, settings: &Settings) -> Result<Exit, Failure> {
    let global = &settings.global;
    match &args.command {
        Command::Dev(dev) => dev::run(global, dev).await,
        Command::Send(send) => Box::pin(send::run(global, send)).await,
        Command::Tail(tail) => tail::run(global, tail).await,
        Command::Msg(msg) => msg::run(global, msg).await,
        Command::Recall(recall) => recall::run(global, recall).await,
        Command::Topic(topic) => topic::run(global, topic).await,
        Command::Doctor(doctor) => Box::pin(doctor::run(args, global, doctor)).await,
        Command::Fault(fault) => fault::run(global, fault).await,
        Command::Bench(bench) => Box::pin(bench::run(global, bench)).await,
        Command::Context(context) => context::run(&args.flags, settings, context).await,
        Command::Demo => demo::run(global).await,
        Command::Completions { shell } => completions::run(*shell),
        Command::Man { folder } => man::run(folder),
    }
}
