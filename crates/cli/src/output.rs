//! stdout: data, and nothing but data.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::ProgressBar;
use posthaste::ReadMessage;
use serde::Serialize;
use tokio::time::Instant;

use crate::envelope::VERSION;
use crate::exit::{Exit, Failure};

/// Written out at the latest when this much is waiting.
const FULL: usize = 64 * 1024;
/// Lines that follow each other faster than this may wait for each other.
const TOGETHER: Duration = Duration::from_millis(10);

/// Collects lines for stdout.
///
/// A writer calls [`flush_soon`](Self::flush_soon) before it waits for something, so that a lone
/// line appears at once and a million lines need few system calls.
pub(crate) struct Stdout {
    out: Box<dyn Write + Send>,
    /// Is drawn on the same terminal, and makes way for what is written.
    bar: Option<ProgressBar>,
    waiting: Vec<u8>,
    /// When something was last written; never, at first.
    written: Option<Instant>,
    state: State,
}

enum State {
    Open,
    /// The reader is gone (`| head`): no error.
    Closed,
    Failed(io::Error),
}

impl Stdout {
    pub(crate) fn new() -> Self {
        Self::to(Box::new(io::stdout()))
    }

    /// Writes to something else in its place.
    pub(crate) fn to(out: Box<dyn Write + Send>) -> Self {
        Self { out, bar: None, waiting: Vec::new(), written: None, state: State::Open }
    }

    /// With a bar that is drawn on the same terminal.
    #[must_use]
    pub(crate) fn beside(mut self, bar: Option<ProgressBar>) -> Self {
        self.bar = bar;
        self
    }

    /// Whether stdout is a terminal.
    pub(crate) fn is_terminal() -> bool {
        io::stdout().is_terminal()
    }

    /// Adds one JSON object and a line end.
    pub(crate) fn json(&mut self, value: &impl Serialize) {
        if let Err(error) = serde_json::to_writer(&mut self.waiting, value) {
            self.state = State::Failed(error.into());
        }
        self.bytes(b"\n");
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a vector does not fail.
        let _ = self.waiting.write_fmt(text);
        self.bytes(b"\n");
    }

    /// Adds bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= FULL {
            self.flush();
        }
    }

    /// Hands over what is waiting, unless that was done a moment ago: then says when to call again.
    pub(crate) fn flush_soon(&mut self) -> Option<Instant> {
        if self.waiting.is_empty() {
            return None;
        }
        match self.written.map(|written| written + TOGETHER) {
            Some(due) if due > Instant::now() => Some(due),
            _ => {
                self.flush();
                None
            }
        }
    }

    /// Hands over what is waiting.
    pub(crate) fn flush(&mut self) {
        if self.is_open() && !self.waiting.is_empty() {
            self.written = Some(Instant::now());
            let Self { out, waiting, .. } = self;
            let mut write = || out.write_all(waiting).and_then(|()| out.flush());
            let written = match &self.bar {
                Some(bar) => bar.suspend(write),
                None => write(),
            };
            if let Err(error) = written {
                self.state = match error.kind() {
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => State::Closed,
                    _ => State::Failed(error),
                };
            }
        }
        self.waiting.clear();
    }

    /// Hands over what is waiting, at the end of a command.
    ///
    /// # Errors
    /// When stdout could not be written. A reader that left is no error.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.flush();
        match self.state {
            State::Failed(error) => {
                let why = format!("cannot write to stdout: {error}");
                Err(Failure::new(Exit::Failed, "stdout", why))
            }
            State::Open | State::Closed => Ok(()),
        }
    }

    /// Whether anyone still reads.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Why stdout cannot be written, unless its reader just left.
    pub(crate) fn error(&self) -> Option<&io::Error> {
        match &self.state {
            State::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// A command failed, as a JSON line.
#[derive(Serialize)]
pub(crate) struct ErrorLine<'a> {
    _cmd: &'a str,
    _v: u32,
    /// Of a command that checks something: that it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<bool>,
    error: ErrorText<'a>,
}

#[derive(Serialize)]
struct ErrorText<'a> {
    kind: &'a str,
    message: &'a str,
}

impl<'a> ErrorLine<'a> {
    pub(crate) fn of(command: &'a str, failure: &'a Failure) -> Self {
        let error = ErrorText { kind: failure.kind, message: &failure.message };
        let checked = (command == "doctor").then_some(false);
        Self { _cmd: command, _v: VERSION, checked, error }
    }
}

/// A stored message on one line: where it is, its tag and keys, its body.
pub(crate) fn message_line(message: &ReadMessage) -> String {
    let queue = message.queue();
    let tag = message.tag().map(|tag| format!("tag={tag}"));
    let keys: Vec<&str> = message.keys().collect();
    let keys = (!keys.is_empty()).then(|| format!("keys={}", keys.join(",")));
    let mut labels = tag.into_iter().chain(keys).collect::<Vec<_>>().join(" ");
    if !labels.is_empty() {
        labels = format!("{}  ", printable(labels.as_bytes()));
    }
    format!(
        "{}:{} offset={}  {labels}{}",
        queue.broker(),
        queue.id(),
        message.queue_offset(),
        printable(message.body()),
    )
}

/// A text on one line that no terminal takes for a command: control characters are escaped.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => text.push(c),
                c if c.is_control() => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_and_control_characters_go() {
        assert_eq!(printable("héllo\tworld".as_bytes()), "héllo\tworld");
        assert_eq!(printable(b"a\nb\x1b[2J\xff"), r"a\nb\u{1b}[2J\xff");
    }
}
