//! Says of each message how it ended: receipt or error line on stdout, words on stderr, the
//! undelivered message in its file.

use std::time::Duration;

use bytes::Bytes;
use posthaste::{ErrorKind, Message, Outcome, Receipt, SendError, SendStatus};
use serde::Serialize;
use tokio::time::Instant;

use super::listener::Listener;
use super::tally::Tally;
use super::undelivered::Undelivered;
use crate::advice;
use crate::args::{self, Format, Global};
use crate::envelope::VERSION;
use crate::exit::{Failure, reason, retryable};
use crate::input::BadRecord;
use crate::output::Stdout;
use crate::stderr::Stderr;

/// Failures that are reported one by one; further ones are only counted, unless -v is given.
const TOLD: u64 = 5;
/// On a terminal that shows a bar, receipts give way to it after these.
const RECEIPTS_BEFORE_BAR: u64 = 10;

/// What of a message is needed when it ends, after the message itself has gone.
pub(crate) enum Original {
    Nothing,
    Labels { keys: Vec<String>, tag: Option<String> },
    Body(Bytes),
}

/// Where the endings of messages are reported.
pub(crate) struct Report {
    pub(crate) stderr: Stderr,
    pub(crate) tally: Tally,
    started: Instant,
    stdout: Stdout,
    /// It was said that stdout is not written any more.
    stdout_is_lost: bool,
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
        stderr: Stderr,
        unit: &'static str,
    ) -> Result<Self, Failure> {
        let undelivered = args.failed_to.as_deref().map(Undelivered::create).transpose()?;
        let bar = stderr.bar().filter(|_| Stdout::is_terminal()).cloned();
        Ok(Self {
            bar_instead: bar.is_some(),
            stderr,
            tally: Tally::new(),
            started: Instant::now(),
            stdout: Stdout::new().beside(bar),
            stdout_is_lost: false,
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

    /// A message was stored.
    fn stored(&mut self, original: &Original, receipt: &Receipt, took: Duration) {
        if self.wants_line(original) {
            match self.format {
                Format::Text => self.receipt_text(receipt),
                Format::Json => self.receipt_json(original, receipt, took),
            }
        }
    }

    fn receipt_text(&mut self, receipt: &Receipt) {
        let queue = receipt.queue();
        let weaker = match receipt.status() {
            SendStatus::Stored => "",
            status => &format!("  ({status})"),
        };
        let recall = receipt.recall_handle().map(|handle| format!("  recall={handle}"));
        let recall = recall.unwrap_or_default();
        self.stdout.line(format_args!(
            "stored  {}  broker={} queue={} offset={}  {}{recall}{weaker}",
            queue.topic(),
            queue.broker(),
            queue.id(),
            receipt.queue_offset(),
            receipt.message_id(),
        ));
    }

    fn receipt_json(&mut self, original: &Original, receipt: &Receipt, took: Duration) {
        let queue = receipt.queue();
        let (keys, tag) = labels(original);
        self.stdout.json(&StoredLine {
            _cmd: "send",
            _v: VERSION,
            topic: queue.topic(),
            broker: queue.broker(),
            queue: queue.id(),
            offset: receipt.queue_offset(),
            msg_id: receipt.message_id(),
            offset_msg_id: receipt.offset_message_id(),
            recall_handle: receipt.recall_handle(),
            keys,
            tag,
            status: status_word(receipt.status()),
            ms: millis(took),
        });
    }

    /// A one-way message was written to the socket.
    fn handed_over(&mut self, original: &Original, took: Duration) {
        if !self.wants_line(original) {
            return;
        }
        let (keys, tag) = labels(original);
        match self.format {
            Format::Text => {
                self.stdout.line(format_args!("sent    {}  one-way, not confirmed", self.topic))
            }
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
    fn wants_line(&mut self, original: &Original) -> bool {
        if let (Some(delimiter), Original::Body(body)) = (&self.tee, original) {
            self.stdout.bytes(body);
            self.stdout.bytes(delimiter);
            return false;
        }
        self.receipts += 1;
        let in_the_way = self.bar_instead && self.receipts > RECEIPTS_BEFORE_BAR;
        if in_the_way && self.receipts == RECEIPTS_BEFORE_BAR + 1 {
            self.flush();
            self.stderr.say("… further receipts not shown; --progress never shows them");
        }
        !self.quiet && !in_the_way
    }

    /// A message failed.
    fn failed(&mut self, number: u64, error: SendError) {
        let (kind, outcome) = (error.kind(), error.outcome());
        let (text, advice) = match kind {
            // Nothing but a second interrupt, or the end of the time after the first, closes the producer.
            ErrorKind::Closed => (when_interrupted(outcome).into(), Vec::new()),
            _ => (reason(&error), advice::of_send(&error)),
        };
        let text = text.as_str();
        if self.is_told(number, text) && self.failures == 1 {
            advice.iter().for_each(|line| self.stderr.say(&format!("  {line}")));
        }
        self.error_line(number, &ErrorObject::of(kind, outcome, text));
        if let Some(undelivered) = &mut self.undelivered {
            let object = ErrorObject::of(kind, outcome, text);
            undelivered.write(error.message(), number, &object);
        }
    }

    /// Says an error on stderr, if not too many were said already.
    fn is_told(&mut self, number: u64, text: &str) -> bool {
        self.failures += 1;
        if self.failures <= TOLD || self.verbose {
            match self.unit {
                "" => self.stderr.error(text),
                unit => self.stderr.error(&format!("{unit} {number}: {text}")),
            }
            return true;
        }
        if self.failures == TOLD + 1 {
            self.stderr.say("further errors are counted, not shown; -v shows each");
        }
        false
    }

    fn error_line(&mut self, number: u64, error: &ErrorObject<'_>) {
        if self.format == Format::Json && self.tee.is_none() {
            self.stdout.json(&FailedLine { _cmd: "send", _v: VERSION, error, line: number });
        }
    }

    /// Hands over everything.
    fn flush(&mut self) {
        self.stdout.flush();
        self.tell_losses();
    }

    /// Says once what is not written any more, and hands over the list of the undelivered.
    fn tell_losses(&mut self) {
        if !self.stdout_is_lost && !self.stdout.is_open() {
            self.stdout_is_lost = true;
            let what = if self.tee.is_some() { "bodies" } else { "receipts" };
            let what = format!("{what} are no longer written");
            match self.stdout.error() {
                Some(error) => {
                    self.tally.unwritable = true;
                    self.stderr.error(&format!("cannot write to stdout: {error}; {what}"));
                }
                None => self.stderr.warning(&format!("the reader of stdout is gone; {what}")),
            }
        }
        if let Some(why) = self.undelivered.as_mut().and_then(Undelivered::flush) {
            self.stderr.error(&why);
            self.tally.unwritable = true;
            self.undelivered = None;
        }
    }

    /// What is in the file of `--failed-to`, if everything that was not delivered could be written.
    pub(crate) fn undelivered(&self) -> Option<String> {
        self.undelivered.as_ref()?.summary()
    }

    /// Hands over everything at the end.
    pub(crate) fn finish(&mut self) {
        self.stderr.end_progress();
        self.flush();
    }
}

impl Listener for Report {
    type Receipt = Option<Receipt>;
    type Error = SendError;
    type Original = Original;

    fn original(&self, message: &Message) -> Original {
        if self.tee.is_some() {
            Original::Body(message.body().clone())
        } else if self.quiet || self.format == Format::Text {
            Original::Nothing
        } else {
            Original::Labels {
                keys: message.key_texts().to_vec(),
                tag: message.tag_text().map(str::to_owned),
            }
        }
    }

    fn ended(
        &mut self,
        number: u64,
        original: &Original,
        took: Duration,
        ending: Result<Option<Receipt>, SendError>,
    ) {
        match ending {
            Ok(Some(receipt)) => {
                self.tally.stored(receipt.status());
                self.tally.took(took);
                self.stored(original, &receipt, took);
            }
            Ok(None) => {
                self.tally.handed_over += 1;
                self.tally.took(took);
                self.handed_over(original, took);
            }
            Err(error) => {
                self.tally.failed(&error);
                self.failed(number, error);
            }
        }
    }

    fn bad(&mut self, number: u64, BadRecord { why, record }: &BadRecord) {
        self.tally.bad += 1;
        self.is_told(number, why);
        let object = ErrorObject {
            kind: "bad_input",
            outcome: "not_stored",
            retryable: false,
            message: why,
        };
        self.error_line(number, &object);
        if let (Some(undelivered), Some(record)) = (&mut self.undelivered, record) {
            undelivered.write_record(record);
        }
    }

    fn remark(&mut self, text: &str) {
        if !self.quiet {
            self.stderr.warning(text);
        }
    }

    fn unreadable(&mut self, why: &str) {
        self.tally.unreadable = true;
        self.stderr.error(why);
    }

    fn interrupted(&mut self, in_flight: usize) {
        self.tally.interrupted = true;
        if in_flight > 0 {
            self.stderr.note(
                "interrupted: waiting for messages in flight; interrupt again to end at \
                       once",
            );
        }
    }

    fn idle(&mut self, in_flight: usize) -> Option<Instant> {
        let flush_at = self.stdout.flush_soon();
        self.tell_losses();
        let (tally, elapsed) = (&self.tally, self.started.elapsed());
        let redraw_at = self.stderr.progress(|most| tally.so_far(elapsed, in_flight, most));
        flush_at.into_iter().chain(redraw_at).min()
    }
}

/// Why a message failed that was not given its time, and what became of it.
fn when_interrupted(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotStored => "interrupted before it was sent: not stored",
        Outcome::Unknown => "interrupted before the broker answered: it may have been stored",
    }
}

fn labels(original: &Original) -> (&[String], Option<&str>) {
    match original {
        Original::Labels { keys, tag } => (keys, tag.as_deref()),
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
    /// Of a message with a delivery time, from brokers that can take it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    recall_handle: Option<&'a str>,
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

/// Why a record failed, as JSON lines say it.
#[derive(Serialize)]
pub(super) struct ErrorObject<'a> {
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
