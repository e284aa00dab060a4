//! The file of `--failed-to`: what was not delivered, as lines for `send --json`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use posthaste::Message;
use serde::Serialize;

use super::report::ErrorObject;
use crate::envelope::{Content, VERSION};
use crate::exit::Failure;

/// The file. After an error it is not written any more.
pub(super) struct Undelivered {
    path: PathBuf,
    file: BufWriter<File>,
    error: Option<io::Error>,
    has_messages: bool,
    has_records: bool,
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
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
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
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            error: None,
            has_messages: false,
            has_records: false,
        })
    }

    pub(super) fn write(&mut self, message: &Message, number: u64, error: &ErrorObject<'_>) {
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
        self.has_messages = true;
        self.keep(written.and(ended));
    }

    /// A record that is no message, as it came: it can be corrected here, and is refused again else.
    pub(super) fn write_record(&mut self, record: &[u8]) {
        let written = self.file.write_all(record).and_then(|()| self.file.write_all(b"\n"));
        self.has_records = true;
        self.keep(written);
    }

    /// Hands over what waits; says what went wrong since it was last asked.
    pub(super) fn flush(&mut self) -> Option<String> {
        let flushed = self.file.flush();
        self.keep(flushed);
        let error = self.error.take()?;
        Some(format!("cannot write {}: {error}", self.path.display()))
    }

    /// What the file holds, and what to do with it; nothing of an empty one.
    pub(super) fn summary(&self) -> Option<String> {
        let path = self.path.display();
        match (self.has_messages, self.has_records) {
            (true, false) => Some(format!("undelivered messages are in {path}, for  send --json")),
            (false, true) => Some(format!(
                "invalid records are in {path}, unchanged: correct them before you send them again"
            )),
            (true, true) => Some(format!(
                "undelivered messages are in {path}, for  send --json, and invalid records, \
                 unchanged: correct these first"
            )),
            (false, false) => None,
        }
    }

    fn keep(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}
