//! `posthaste send`: messages from the command line, from stdin, or from files.

mod in_flight_limit;
mod listener;
mod pace;
mod pipeline;
mod report;
mod sender;
mod tally;
mod undelivered;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use posthaste::{Compression, Message, Producer, ProducerBuilder};
use serde::Serialize;

use self::pipeline::{Outcome, Pipeline, Settings};
use self::report::Report;
use self::sender::Producing;
use crate::args::{self, Format, Global, OnError, When};
use crate::blueprint::Blueprint;
use crate::cluster;
use crate::envelope::{Content, VERSION};
use crate::exit::{Exit, Failure, check_topic_to_send};
use crate::input::{BadRecord, Input, Item, Source, is_stdin};
use crate::interrupt::Interrupt;
use crate::output::{Stdout, printable};
use crate::stderr::{Stderr, counted, thousands};

/// Bytes of messages on their way: the producer's own default.
const PENDING_BYTES: usize = 32 << 20;

/// Runs the command.
pub(crate) async fn run(global: &Global, args: &args::Send) -> Result<Exit, Failure> {
    check_topic_to_send(&args.topic)?;
    let mut stderr = Stderr::new(global);
    let interactive = reads_stdin(args) && io::stdin().is_terminal();
    let (source, unit) = source(args)?;
    if interactive {
        stderr.note("reading messages from the terminal, one a line; Ctrl-D ends");
    }
    let start_input = || {
        Input::start(source, Blueprint::new(args)).map_err(|error| {
            Failure::new(Exit::Failed, "system", format!("cannot start a thread: {error}"))
        })
    };
    if args.dry_run {
        return dry_run(global, args, &stderr, unit, start_input()?).await;
    }
    // No line is drawn where the user types, or where bodies land that may have no line ends.
    let in_the_way = interactive || (args.tee && Stdout::is_terminal());
    stderr.start_progress(if in_the_way { When::Never } else { args.progress });
    let report = Report::new(global, args, stderr, unit)?;
    let producer = start_producer(global, args).await?;
    // The first ends the reading, the second what is on its way.
    let mut interrupt = Interrupt::listen(2)?;
    let mut input = start_input()?;
    let sender = Producing { producer: producer.clone(), oneway: args.oneway };
    let pipeline = Pipeline::new(sender, settings(global, args), report);
    let mut outcome = pipeline.run(&mut input, &mut interrupt).await;
    outcome.listener.tally.busy = producer.stats().busy;
    let parted = !outcome.abandoned && outcome.listener.tally.went() > 0;
    let exit = conclude(global, args, outcome, input.blank_lines());
    if !parted {
        return Ok(exit);
    }
    // Every message has ended; this sees to it that one-way messages leave the socket, and says
    // good-bye to the brokers.
    tokio::select! {
        _ = producer.close(global.timeout) => Ok(exit),
        () = interrupt.next() => Ok(Exit::Interrupted),
    }
}

fn reads_stdin(args: &args::Send) -> bool {
    args.bodies.is_empty() && args.files.is_empty() && args.lines.is_none()
}

/// Where messages come from, and what their numbers count.
fn source(args: &args::Send) -> Result<(Source, &'static str), Failure> {
    if !args.bodies.is_empty() {
        let rounds = args.count.unwrap_or(1);
        // A lone body needs no number.
        let unit = if args.bodies.len() == 1 && rounds == 1 { "" } else { "body" };
        return Ok((Source::Bodies { bodies: args.bodies.clone(), rounds }, unit));
    }
    if !args.files.is_empty() {
        if args.files.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(Failure::usage("-F - stands for stdin, which can be read only once"));
        }
        if args.on_error == OnError::Stop {
            check_files(&args.files)?;
        }
        return Ok((Source::Files(args.files.clone()), "file"));
    }
    let delimiter = args.delim.clone();
    let unit = if delimiter == b"\n" { "line" } else { "record" };
    let (reader, name): (Box<dyn io::Read + Send>, _) = match &args.lines {
        None => (Box::new(io::stdin()), "stdin".to_owned()),
        Some(path) => {
            let file = File::open(path)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            (Box::new(file), path.display().to_string())
        }
    };
    Ok((Source::Stream { reader, name, delimiter }, unit))
}

/// Finds a file that is missing before another one is sent.
fn check_files(paths: &[PathBuf]) -> Result<(), Failure> {
    for path in paths.iter().filter(|path| !is_stdin(path)) {
        let checked = path.metadata().and_then(|found| match found.file_type() {
            kind if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            kind if kind.is_file() => File::open(path).map(drop),
            // A pipe may be opened only once: its writer ends when it is closed.
            _ => Ok(()),
        });
        checked.map_err(|error| {
            Failure::usage(format!("{}: {error}", path.display())).help("Nothing was sent.")
        })?;
    }
    Ok(())
}

async fn start_producer(global: &Global, args: &args::Send) -> Result<Producer, Failure> {
    let in_flight = args.in_flight as usize;
    let builder = compressing(cluster::producer(global)?, args.compression)
        .retries(args.retries)
        .async_retries(args.retries)
        .max_pending(in_flight.max(10_000), PENDING_BYTES);
    cluster::start(builder).await
}

fn compressing(builder: ProducerBuilder, how: args::Compression) -> ProducerBuilder {
    match how {
        args::Compression::None => builder.compress_from(usize::MAX),
        args::Compression::Zlib => builder.compression(Compression::Zlib),
        args::Compression::Lz4 => builder.compression(Compression::Lz4),
        args::Compression::Zstd => builder.compression(Compression::Zstd),
    }
}

fn settings(global: &Global, args: &args::Send) -> Settings {
    Settings {
        in_flight: args.in_flight as usize,
        stop_on_error: args.on_error == OnError::Stop,
        // Of bodies on the command line it says how often they are sent, which the source does.
        count: args.count.filter(|_| args.bodies.is_empty()),
        rate: args.rate,
        timeout: global.timeout,
    }
}

/// Says what the run came to.
fn conclude(global: &Global, args: &args::Send, outcome: Outcome<Report>, blank: u64) -> Exit {
    let Outcome { listener: mut report, elapsed, stopped_after, .. } = outcome;
    report.finish();
    let Report { tally, stderr, unit, .. } = &report;
    let exit = tally.exit(args.strict);
    if blank > 0 {
        stderr.note(&format!("{} passed over", counted(blank, "empty line")));
    }
    if tally.weaker > 0 {
        stderr.warning(&format!(
            "stored with less than the broker's full guarantee: {}",
            counted(tally.weaker, "message")
        ));
    }
    if tally.ended() == 0 && exit == Exit::Done {
        stderr.note("nothing to send");
    } else if matches!(exit, Exit::Partial | Exit::Interrupted)
        || (tally.ended() > 1 && !global.quiet)
    {
        stderr.say(&tally.summary(elapsed));
    }
    // Nothing follows a lone body, and nothing came before an input that cannot be read.
    if let Some(last) = stopped_after.filter(|last| !unit.is_empty() && *last > 0) {
        stderr
            .say(&format!("stopped after {unit} {}; nothing behind it was sent", thousands(last)));
    }
    if let Some(summary) = report.undelivered() {
        stderr.note(&summary);
    }
    exit
}

/// Shows what would be sent.
async fn dry_run(
    global: &Global,
    args: &args::Send,
    stderr: &Stderr,
    unit: &str,
    mut input: Input,
) -> Result<Exit, Failure> {
    let mut stdout = Stdout::new();
    let (mut shown, mut exit) = (0, Exit::Done);
    loop {
        let Some(item) = input.take() else {
            // The rest of the input is checked even if the reader of stdout is gone.
            stdout.flush();
            if input.wait().await {
                continue;
            }
            break;
        };
        match item {
            Item::Message { message, .. } => {
                show(&mut stdout, global.output, &message);
                shown += 1;
            }
            Item::Bad { number, bad: BadRecord { why, .. } } => {
                stderr.error(&format!("{unit} {number}: {why}"));
                exit = Exit::Usage;
            }
            Item::Remark(_) if global.quiet => {}
            Item::Remark(text) => stderr.warning(&text),
            Item::Unreadable(why) => {
                stderr.error(&why);
                exit = Exit::Usage;
            }
        }
        if (exit != Exit::Done && args.on_error == OnError::Stop)
            || (args.bodies.is_empty() && args.count == Some(shown))
        {
            break;
        }
    }
    stdout.finish()?;
    stderr.note(&format!("{} would be sent; nothing was", thousands(shown)));
    Ok(exit)
}

fn show(stdout: &mut Stdout, format: Format, message: &Message) {
    let content = Content::of(message);
    match format {
        Format::Json => {
            stdout.json(&DryLine { _cmd: "send", _v: VERSION, topic: message.topic(), content })
        }
        Format::Text => stdout.line(format_args!(
            "would send  {}  keys={:?} tag={:?}  {}",
            message.topic(),
            content.keys,
            content.tag.unwrap_or_default(),
            printable(message.body()),
        )),
    }
}

#[derive(Serialize)]
struct DryLine<'a> {
    _cmd: &'static str,
    _v: u32,
    topic: &'a str,
    #[serde(flatten)]
    content: Content<'a>,
}
