//! `posthaste`: send messages to Apache RocketMQ, read them back, develop against a broker that
//! needs nothing installed.

mod access;
mod advice;
mod args;
mod blueprint;
mod cluster;
mod command;
mod confirm;
mod envelope;
mod exit;
mod http;
mod input;
mod interrupt;
mod latency;
mod output;
mod patience;
mod permissions;
mod settings;
mod stderr;
mod value;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command, Context, Format, Global};
use crate::exit::{Exit, Failure};
use crate::output::{ErrorLine, Stdout};
use crate::settings::Settings;
use crate::stderr::Stderr;

/// What the environment says of the log.
const LOG: &str = "POSTHASTE_LOG";

fn main() -> ExitCode {
    command::completions::answer();
    let args = Args::parse();
    let mut global = Global::to_speak(&args.flags);
    let run = settings(&args).and_then(|settings| {
        global = settings.global.clone();
        log_to_stderr(&settings.global)?;
        speak(&settings, &args.command);
        run(&args, &settings)
    });
    match run {
        Ok(exit) => exit.into(),
        Err(failure) => {
            report(&args, &global, &failure);
            failure.exit.into()
        }
    }
}

/// What the command goes by.
fn settings(args: &Args) -> Result<Settings, Failure> {
    let chosen = match &args.command {
        Command::Context(context) => context.chosen(),
        _ => None,
    };
    let is_shown = matches!(&args.command, Command::Context(Context::Show { .. }));
    match &args.command {
        command if is_shown || command.goes_to_the_cluster() => {}
        Command::Context(_) => return Settings::to_speak(&args.flags),
        _ => return Settings::of_flags(&args.flags),
    }
    let settings = Settings::of_everything(&args.flags, chosen)?;
    if !is_shown {
        settings.check_credentials()?;
    }
    Ok(settings)
}

/// Says what is worth knowing of the settings before they are used.
fn speak(settings: &Settings, command: &Command) {
    let stderr = Stderr::new(&settings.global);
    settings.warnings.iter().for_each(|warning| stderr.warning(warning));
    settings.notes.iter().for_each(|note| stderr.note(note));
    if let Some(context) = settings.context()
        && command.goes_to_the_cluster()
        && io::stderr().is_terminal()
    {
        stderr.note(&context.source.to_string());
    }
}

fn run(args: &Args, settings: &Settings) -> Result<Exit, Failure> {
    let runtime = start_runtime().map_err(|error| {
        Failure::new(Exit::Failed, "system", format!("cannot start: {error}"))
            .help("The limit of open files may be too low:  ulimit -n 1024")
    })?;
    let result = runtime.block_on(command::run(args, settings));
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

fn report(args: &Args, global: &Global, failure: &Failure) {
    Stderr::new(global).failure(failure);
    if global.output == Format::Json {
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
