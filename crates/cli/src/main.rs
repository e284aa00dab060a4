//! `posthaste`: send messages to Apache RocketMQ, read them back, develop against a broker that
//! needs nothing installed.

mod access;
mod advice;
mod args;
mod blueprint;
mod cluster;
mod command;
mod envelope;
mod exit;
mod http;
mod input;
mod interrupt;
mod latency;
mod output;
mod patience;
mod stderr;
mod value;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Format, Global};
use crate::exit::{Exit, Failure};
use crate::output::{ErrorLine, Stdout};
use crate::stderr::Stderr;

/// What the environment says of the log.
const LOG: &str = "POSTHASTE_LOG";

fn main() -> ExitCode {
    command::completions::answer();
    let args = Args::parse();
    match log_to_stderr(&args.global).and_then(|()| run(&args)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            report(&args, &failure);
            failure.exit.into()
        }
    }
}

fn run(args: &Args) -> Result<Exit, Failure> {
    let runtime = start_runtime().map_err(|error| {
        Failure::new(Exit::Failed, "system", format!("cannot start: {error}"))
            .help("The limit of open files may be too low:  ulimit -n 1024")
    })?;
    let result = runtime.block_on(command::run(args));
    // Tasks that still run in the background have nothing to say any more.
    runtime.shutdown_background();
    result
}

fn start_runtime() -> io::Result<Runtime> {
    // Where no files can be opened, the runtime panics when it sets up its signals, and does not
    // say so. So it is seen before whether there is room for the few that it opens.
    let room: Vec<_> = (0..4).map(|_| socket_pair()).collect::<io::Result<_>>()?;
    drop(room);
    Builder::new_multi_thread().enable_all().build()
}

#[cfg(unix)]
fn socket_pair() -> io::Result<impl Sized> {
    std::os::unix::net::UnixStream::pair()
}

#[cfg(not(unix))]
fn socket_pair() -> io::Result<impl Sized> {
    Ok(())
}

fn report(args: &Args, failure: &Failure) {
    Stderr::new(&args.global).failure(failure);
    if args.global.output == Format::Json {
        let mut stdout = Stdout::new();
        stdout.json(&ErrorLine::of(args.command.name(), failure));
        stdout.flush();
    }
}

/// The library returns its errors, and the command reports them: the log is for users who ask for
/// it.
fn log_to_stderr(global: &Global) -> Result<(), Failure> {
    let filter = match std::env::var(LOG) {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter).map_err(|error| {
            Failure::usage(format!("{LOG}={filter}: {error}"))
                .help(format!("Write it as {LOG}=warn or {LOG}=posthaste=debug."))
        })?,
        _ => EnvFilter::new(match global.verbose {
            0 => "error",
            1 => "warn",
            2 => "info,posthaste=debug,posthaste_broker=debug",
            _ => "trace",
        }),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(Stderr::has_colour(global.color))
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
