//! `posthaste bench`: how fast a cluster takes messages, and how long each takes.

mod chart;
mod condition;
mod distribution;
mod load;
mod measure;
mod page;
mod report;
mod run;
mod schedule;
mod settings;
mod summary;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use askama::Template;
use posthaste::Producer;
use tokio::task::JoinSet;

use self::load::Pattern;
use self::page::Page;
use self::report::Report;
use self::run::{Results, Run};
use self::settings::Settings;
use crate::advice;
use crate::args::{Bench, Format, Global, Load};
use crate::cluster;
use crate::exit::{Exit, Failure, check_topic_to_send, reason};
use crate::interrupt::Interrupt;
use crate::output::Stdout;
use crate::stderr::{Stderr, counted};

/// Bytes of messages on their way: the producer's own default.
const PENDING_BYTES: usize = 32 << 20;
/// Bytes that a message may have beside its body: topic, tag, key.
const BESIDE_BODY: usize = 1 << 10;

/// Runs the command.
pub(crate) async fn run(global: &Global, args: &Bench) -> Result<Exit, Failure> {
    let load = args.load();
    check_topic_to_send(&load.topic)?;
    let settings = Settings::new(global, args)?;
    let stderr = Stderr::new(global);
    // Before anything is sent: a benchmark should not end with nowhere to write what it found.
    let files = Files::open(load)?;
    let producers = start_producers(global, &settings).await?;
    let mut interrupt = Interrupt::listen(1)?;
    tokio::select! {
        connected = connect(&producers, &settings) => connected?,
        () = interrupt.next() => {
            stderr.note("interrupted before anything was measured");
            return Ok(Exit::Interrupted);
        }
    }
    let shows_laps = stderr.wants_progress(load.progress);
    let results = Run::start(&producers, &settings)?
        .watch(
            &mut interrupt,
            |lap| {
                if shows_laps {
                    stderr.say(&summary::lap_line(lap, &settings))
                }
            },
            || {
                stderr.note(
                    "interrupted: waiting for messages in flight; interrupt again to end at \
                          once",
                )
            },
        )
        .await;
    let failed = load.fail_if.iter().filter_map(|condition| condition.when_true(&results));
    let exit = conclude(global, &stderr, &settings, &results, &failed.collect::<Vec<_>>(), files);
    close(producers, global).await;
    Ok(exit)
}

async fn start_producers(global: &Global, settings: &Settings) -> Result<Vec<Producer>, Failure> {
    let in_flight = settings.in_flight_each();
    let bytes = in_flight.saturating_mul(settings.size + BESIDE_BODY);
    let mut producers = Vec::with_capacity(settings.producers as usize);
    for number in 1..=settings.producers {
        let builder = cluster::producer(global)?
            .instance_name(format!("{}-{number}", std::process::id()))
            .batching(settings.batching)
            // Bodies of one pattern would shrink to nothing.
            .compress_from(usize::MAX)
            .max_pending(in_flight.max(10_000), bytes.max(PENDING_BYTES));
        producers.push(cluster::start(builder).await?);
    }
    Ok(producers)
}

/// Has each producer send one message, which finds the route, connects, and creates the topic: none
/// of this is what a benchmark measures. And what cannot work fails here, as it does in `send`.
async fn connect(producers: &[Producer], settings: &Settings) -> Result<(), Failure> {
    let pattern = Pattern::new(settings);
    let mut sends = JoinSet::new();
    for (producer, number) in producers.iter().cloned().zip(0..) {
        let message = pattern.message(number);
        sends.spawn(async move { producer.send(message).await });
    }
    for sent in sends.join_all().await {
        sent.map_err(|error| Failure::of_send(&error))?;
    }
    Ok(())
}

/// Every message has ended: this says good-bye to the brokers, and sees to it that one-way messages
/// leave the socket.
async fn close(producers: Vec<Producer>, global: &Global) {
    let mut closing = JoinSet::new();
    for producer in producers {
        let time = global.timeout;
        closing.spawn(async move { producer.close(time).await });
    }
    closing.join_all().await;
}

/// Says what the run came to, and writes it down.
fn conclude(
    global: &Global,
    stderr: &Stderr,
    settings: &Settings,
    results: &Results,
    failed: &[String],
    mut files: Files,
) -> Exit {
    let hdr = files.hdr.as_ref().map(|file| file.path.display().to_string());
    let tell = match results.exit() {
        // A user who has to look after messages needs the counts, with -q too.
        Exit::Partial | Exit::Interrupted => Stderr::say,
        _ => Stderr::note,
    };
    summary::lines(results, settings, hdr).iter().for_each(|line| tell(stderr, line));
    warn(stderr, results);
    failed.iter().for_each(|condition| stderr.error(&format!("--fail-if {condition}")));
    let mut written = files.write(stderr, settings, results, failed);
    if global.output == Format::Json {
        written &= write_json(stderr, &Report::new(settings, results, failed));
    }
    match results.exit() {
        Exit::Interrupted => Exit::Interrupted,
        _ if !failed.is_empty() => Exit::Failed,
        Exit::Done if !written => Exit::Failed,
        exit => exit,
    }
}

/// Says what puts the figures in doubt.
fn warn(stderr: &Stderr, results: &Results) {
    if let Some(error) = &results.total.first {
        stderr.error(&format!("the first message that failed: {}", reason(error)));
        advice::of_send(error).iter().for_each(|line| stderr.say(&format!("  {line}")));
    }
    if results.total.weaker > 0 {
        stderr.warning(&format!(
            "stored with less than the broker's full guarantee: {}",
            counted(results.total.weaker, "message")
        ));
    }
    if results.overdue > 0 && !results.interrupted {
        stderr.warning(&format!(
            "the rate was not reached: {} were due and never started",
            counted(results.overdue, "send")
        ));
    }
}

fn write_json(stderr: &Stderr, report: &Report<'_>) -> bool {
    let mut stdout = Stdout::new();
    stdout.json(report);
    stdout.flush();
    let error = stdout.error();
    if let Some(error) = error {
        stderr.error(&format!("cannot write to stdout: {error}"));
    }
    error.is_none()
}

/// The files that the flags ask for.
struct Files {
    hdr: Option<Opened>,
    html: Option<Opened>,
}

/// A file that can be written. Its old content stays until new content takes its place.
struct Opened {
    path: PathBuf,
    file: File,
}

impl Files {
    fn open(load: &Load) -> Result<Self, Failure> {
        let open = |flag, path: &Option<PathBuf>| {
            path.as_deref().map(|path| Opened::open(flag, path)).transpose()
        };
        Ok(Self { hdr: open("--hdr", &load.hdr)?, html: open("--html", &load.html)? })
    }

    /// Writes each; says which could not be.
    fn write(
        &mut self,
        stderr: &Stderr,
        settings: &Settings,
        results: &Results,
        failed: &[String],
    ) -> bool {
        let hdr = self.hdr.as_mut().map(|file| {
            file.write(stderr, |out| match results.total.latency.histogram() {
                Some(latency) => distribution::write(latency, out),
                None => Ok(()),
            })
        });
        let html = self.html.as_mut().map(|file| {
            let page = Page::new(settings, results, failed);
            file.write(stderr, |out| page.write_into(out).map_err(io::Error::other))
        });
        hdr.unwrap_or(true) && html.unwrap_or(true)
    }
}

impl Opened {
    fn open(flag: &str, path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(path);
        let file =
            file.map_err(|error| Failure::usage(format!("{flag} {}: {error}", path.display())))?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(
        &mut self,
        stderr: &Stderr,
        content: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    ) -> bool {
        let mut out = BufWriter::new(&self.file);
        let written =
            self.file.set_len(0).and_then(|()| content(&mut out)).and_then(|()| out.flush());
        if let Err(error) = &written {
            stderr.error(&format!("cannot write {}: {error}", self.path.display()));
        }
        written.is_ok()
    }
}
