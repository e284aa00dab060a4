//! Says of each message how it ended: receipt or error line on stdout, words on stderr, the
//! undelivered message in its file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use posthaste::{ErrorKind, Message, Outcome, Receipt, SendError, SendStatus};
use serde::Serialize;

use crate::args::{self, Format, Global};
use crate::envelope::{Content, VERSION};
use crate::exit::{Failure, advice, reason, retryable};
use crate::output::Stdout;
use crate::talk::Talk;

/// Failures that are told one by one; the others are only counted, unless -v is given.
const TOLD: u64 = 5;
/// On a terminal that shows a bar, receipts give way to it after these.
const RECEIPTS_BEFORE_BAR: u64 = 10;

/// What of a message is needed when it ends, after the message itself has gone.
pub(crate) enum Keepsake {
    Nothing,
    Labels { keys: Vec<String>, tag: Option<String> },
    Body(Bytes),
}

/// Where the endings of messages are told.
pub(crate) struct Report {
    pub(crate) talk: Talk,
    pub(crate) stdout: Stdout,
    undelivered: Option<Undelivered>,
    format: Format,
    quiet: bool,
    verbose: bool,
    /// With `--tee`: written after each body.
    tee: Option<Vec<u8>>,
    topic: String,
    /// What a number counts: `line`, `body`, `file`; nothing when there is but one.
    pub(crate) unit: &'static str,
    receipts: u64,
    failures: u64,
    /// A bar takes the place of receipts that would land on the same terminal.
    bar_instead: bool,
}

impl Report {
    pub(crate) fn new(
        global: &Global,
        args: &args::Send,
        talk: Talk,
        unit: &'static str,
    ) -> Result<Self, Failure> {
        let undelivered = args.failed_to.as_deref().map(Undelivered::create).transpose()?;
        Ok(Self {
            bar_instead: talk.shows_bar() && Stdout::is_terminal(),
            talk,
            stdout: Stdout::new(),
            undelivered,
            format: global.output,
            quiet: global.quiet,
            verbose: global.verbose > 0,
            tee: args.tee.then(|| args.delim.clone()),
            topic: args.topic.clone(),
            unit,
            receipts: 0,
            failures: 0,
        })
    }

    /// What to keep of a message that is about to be sent.
    pub(crate) fn keepsake(&self, message: &Message) -> Keepsake {
        if self.tee.is_some() {
            Keepsake::Body(message.body().clone())
        } else if self.quiet || self.format == Format::Text {
            Keepsake::Nothing
        } else {
            Keepsake::Labels {
                keys: message.key_texts().to_vec(),
                tag: message.tag_text().map(str::to_owned),
            }
        }
    }

    /// A message was stored.
    pub(crate) fn stored(&mut self, keepsake: &Keepsake, receipt: &Receipt, took: Duration) {
        if self.wants_line(keepsake) {
            match self.format {
                Format::Text => self.receipt_text(receipt),
                Format::Json => self.receipt_json(keepsake, receipt, took),
            }
        }
    }

    fn receipt_text(&mut self, receipt: &Receipt) {
        let queue = receipt.queue();
        let weaker = match receipt.status() {
            SendStatus::Stored => "",
            status => &format!("  ({status})"),
        };
        self.stdout.line(format_args!(
            "stored  {}  broker={} queue={} offset={}  {}{weaker}",
            queue.topic(),
            queue.broker(),
            queue.id(),
            receipt.queue_offset(),
            receipt.message_id(),
        ));
    }

    fn receipt_json(&mut self, keepsake: &Keepsake, receipt: &Receipt, took: Duration) {
        let queue = receipt.queue();
        let (keys, tag) = labels(keepsake);
        self.stdout.json(&StoredLine {
            _cmd: "send",
            _v: VERSION,
            topic: queue.topic(),
            broker: queue.broker(),
            queue: queue.id(),
            offset: receipt.queue_offset(),
            msg_id: receipt.message_id(),
            offset_msg_id: receipt.offset_message_id(),
            keys,
            tag,
            status: status_word(receipt.status()),
            ms: millis(took),
        });
    }

    /// A one-way message was written to the socket.
    pub(crate) fn handed_over(&mut self, keepsake: &Keepsake, took: Duration) {
        if !self.wants_line(keepsake) {
            return;
        }
        let (keys, tag) = labels(keepsake);
        match self.format {
            Format::Text => self
                .stdout
                .line(format_args!("sent    {}  one-way, nobody confirms it", self.topic)),
            Format::Json => self.stdout.json(&HandedOverLine {
                _cmd: "send",
                _v: VERSION,
                topic: &self.topic,
                keys,
                tag,
                status: "sent",
                ms: millis(took),
            }),
        }
    }

    /// Whether a receipt is to be written; writes the body in its place where `--tee` wants that.
    fn wants_line(&mut self, keepsake: &Keepsake) -> bool {
        if let (Some(delimiter), Keepsake::Body(body)) = (&self.tee, keepsake) {
            self.stdout.bytes(body);
            self.stdout.bytes(delimiter);
            return false;
        }
        self.receipts += 1;
        let in_the_way = self.bar_instead && self.receipts > RECEIPTS_BEFORE_BAR;
        !self.quiet && !in_the_way
    }

    /// A message failed.
    pub(crate) fn failed(&mut self, number: u64, error: SendError) {
        let (kind, outcome) = (error.kind(), error.outcome());
        let text = &reason(&error);
        if self.is_told(number, text) && self.failures == 1 {
            advice(&error).iter().for_each(|line| self.talk.say(&format!("  {line}")));
        }
        self.error_line(number, &ErrorObject::of(kind, outcome, text));
        if let Some(undelivered) = &mut self.undelivered {
            let object = ErrorObject::of(kind, outcome, text);
            undelivered.write(error.message(), number, &object);
        }
    }

    /// A record is no message.
    pub(crate) fn bad(&mut self, number: u64, why: &str) {
        self.is_told(number, why);
        let object = ErrorObject {
            kind: "bad_input",
            outcome: "not_stored",
            retryable: false,
            message: why,
        };
        self.error_line(number, &object);
    }

    /// Says an error on stderr, if not too many were said already.
    fn is_told(&mut self, number: u64, text: &str) -> bool {
        self.failures += 1;
        if self.failures <= TOLD || self.verbose {
            match self.unit {
                "" => self.talk.error(text),
                unit => self.talk.error(&format!("{unit} {number}: {text}")),
            }
            return true;
        }
        if self.failures == TOLD + 1 {
            self.talk.say("further errors are counted, not shown; -v shows each");
        }
        false
    }

    fn error_line(&mut self, number: u64, error: &ErrorObject<'_>) {
        if self.format == Format::Json && self.tee.is_none() {
            self.stdout.json(&FailedLine { _cmd: "send", _v: VERSION, error, line: number });
        }
    }

    /// Hands over what waits; says when to call again if not all of it was.
    pub(crate) fn flush_soon(&mut self) -> Option<Instant> {
        if let Some(undelivered) = &mut self.undelivered {
            undelivered.flush();
        }
        self.stdout.flush_soon()
    }

    /// Hands over everything, and says what could not be written.
    pub(crate) fn finish(&mut self) -> bool {
        self.stdout.flush();
        let mut complete = true;
        if let Some(error) = self.stdout.error() {
            self.talk.error(&format!("cannot write to stdout: {error}"));
            complete = false;
        }
        if let Some(undelivered) = &mut self.undelivered {
            undelivered.flush();
            if let Some(error) = &undelivered.error {
                self.talk.error(&format!("cannot write {}: {error}", undelivered.path.display()));
                complete = false;
            }
        }
        complete
    }
}

fn labels(keepsake: &Keepsake) -> (&[String], Option<&str>) {
    match keepsake {
        Keepsake::Labels { keys, tag } => (keys, tag.as_deref()),
        _ => (&[], None),
    }
}

fn millis(took: Duration) -> f64 {
    took.as_micros() as f64 / 1_000.0
}

fn status_word(status: SendStatus) -> &'static str {
    match status {
        SendStatus::Stored => "ok",
        SendStatus::FlushDiskTimeout => "flush_disk_timeout",
        SendStatus::FlushSlaveTimeout => "flush_slave_timeout",
        SendStatus::SlaveNotAvailable => "slave_not_available",
        _ => "stored",
    }
}

#[derive(Serialize)]
struct StoredLine<'a> {
    _cmd: &'static str,
    _v: u32,
    topic: &'a str,
    broker: &'a str,
    queue: i32,
    offset: i64,
    msg_id: &'a str,
    offset_msg_id: &'a str,
    keys: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    status: &'static str,
    ms: f64,
}

#[derive(Serialize)]
struct HandedOverLine<'a> {
    _cmd: &'static str,
    _v: u32,
    topic: &'a str,
    keys: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    status: &'static str,
    ms: f64,
}

#[derive(Serialize)]
struct FailedLine<'a> {
    _cmd: &'static str,
    _v: u32,
    error: &'a ErrorObject<'a>,
    line: u64,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    kind: &'static str,
    outcome: &'static str,
    retryable: bool,
    message: &'a str,
}

impl<'a> ErrorObject<'a> {
    fn of(kind: ErrorKind, outcome: Outcome, message: &'a str) -> Self {
        let (kind_word, outcome) = (kind.as_str(), outcome.as_str());
        Self { kind: kind_word, outcome, retryable: retryable(kind), message }
    }
}

/// The file of `--failed-to`.
struct Undelivered {
    path: PathBuf,
    file: BufWriter<File>,
    error: Option<io::Error>,
}

#[derive(Serialize)]
struct UndeliveredLine<'a> {
    _cmd: &'static str,
    _v: u32,
    topic: &'a str,
    #[serde(flatten)]
    content: Content<'a>,
    error: &'a ErrorObject<'a>,
    line: u64,
}

impl Undelivered {
    /// A file with something in it is left alone: that may be the list of the last run, and even
    /// the input of this one.
    fn create(path: &Path) -> Result<Self, Failure> {
        let fail =
            |error: io::Error| Failure::usage(format!("--failed-to {}: {error}", path.display()));
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(fail)?;
        if file.metadata().map_err(fail)?.len() > 0 {
            return Err(Failure::usage(format!(
                "--failed-to {}: the file is not empty",
                path.display()
            ))
            .help(
                "Name another file, or remove this one once its messages are no longer needed.",
            ));
        }
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), error: None })
    }

    fn write(&mut self, message: &Message, number: u64, error: &ErrorObject<'_>) {
        let content = Content::of(message);
        let line = UndeliveredLine {
            _cmd: "send",
            _v: VERSION,
            topic: message.topic(),
            content,
            error,
            line: number,
        };
        let written = serde_json::to_writer(&mut self.file, &line).map_err(io::Error::from);
        let ended = self.file.write_all(b"\n");
        self.keep(written.and(ended));
    }

    fn flush(&mut self) {
        let flushed = self.file.flush();
        self.keep(flushed);
    }

    fn keep(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}
