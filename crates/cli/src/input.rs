//! Where messages come from: the command line, a stream cut into records, or whole files.
//!
//! A separate thread reads, cuts and builds the messages, because reading stdin blocks. The few
//! batches that it may be ahead are all that is ever held of the input.

mod split;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::vec;

use bytes::Bytes;
use posthaste::Message;
use tokio::sync::mpsc;

use crate::blueprint::Blueprint;
use split::{Piece, Splitter};

/// The longest record that is taken in. Over what any broker stores, also as an escaped JSON text:
/// this bounds memory, the producer says what is too large.
const LONGEST_RECORD: usize = 32 << 20;
/// Records that go through the channel at a time.
const BATCH: usize = 256;
/// Batches that the reader may be ahead.
const AHEAD: usize = 4;

/// Where to read from.
pub(crate) enum Source {
    /// Bodies, each of them sent this often, in turn.
    Bodies { bodies: Vec<String>, rounds: u64 },
    /// Records of a stream.
    Stream { reader: Box<dyn Read + Send>, name: String, delimiter: Vec<u8> },
    /// One message a file.
    Files(Vec<PathBuf>),
}

/// A record that is no message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadRecord {
    pub(crate) why: String,
    /// As it came. Nothing of one that was not read whole.
    pub(crate) record: Option<Bytes>,
}

/// What the input gave.
pub(crate) enum Item {
    /// A message, and which of the input it is, from 1.
    Message { number: u64, message: Message },
    /// A record that is no message.
    Bad { number: u64, bad: BadRecord },
    /// Something about the input that its author may not know.
    Remark(String),
    /// The input cannot be read any further.
    Unreadable(String),
}

impl Item {
    /// Which record of the input it is.
    fn number(&self) -> Option<u64> {
        match self {
            Self::Message { number, .. } | Self::Bad { number, .. } => Some(*number),
            Self::Remark(_) | Self::Unreadable(_) => None,
        }
    }
}

/// What goes through the channel at a time.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// Number of the last record that was read. Blank records count, but have no item.
    pub(crate) read: u64,
}

/// The input, in batches as the reading thread makes them.
pub(crate) struct Input {
    batches: mpsc::Receiver<Batch>,
    /// Makes the batches.
    thread: Option<JoinHandle<()>>,
    current: vec::IntoIter<Item>,
    /// Number of the last record of the current batch.
    read: u64,
    /// Number of the last record that was taken, or passed over as blank.
    passed: u64,
    blank: u64,
}

impl Input {
    /// Starts to read.
    pub(crate) fn start(source: Source, blueprint: Blueprint) -> io::Result<Self> {
        let (sender, batches) = mpsc::channel(AHEAD);
        let feed = Feed { sender, batch: Batch::default(), blueprint, number: 0, handed_over: 0 };
        let thread =
            std::thread::Builder::new().name("input".into()).spawn(move || feed.run(source))?;
        Ok(Self { thread: Some(thread), ..Self::of(batches) })
    }

    /// An input of these batches.
    pub(crate) fn of(batches: mpsc::Receiver<Batch>) -> Self {
        let current = Vec::new().into_iter();
        Self { batches, thread: None, current, read: 0, passed: 0, blank: 0 }
    }

    /// The next item, if one is here.
    pub(crate) fn peek(&self) -> Option<&Item> {
        self.current.as_slice().first()
    }

    /// Takes the next item, if one is here.
    pub(crate) fn take(&mut self) -> Option<Item> {
        let item = self.current.next()?;
        if let Some(number) = item.number() {
            self.pass_over(number - 1);
            self.passed = number;
        }
        Some(item)
    }

    /// Waits until an item is here, or more may be waited for; `false` at the end of the input. May
    /// be dropped and called again.
    pub(crate) async fn wait(&mut self) -> bool {
        if self.peek().is_some() {
            return true;
        }
        self.pass_over(self.read);
        let Some(batch) = self.batches.recv().await else { return self.ended() };
        self.read = batch.read;
        self.current = batch.items.into_iter();
        true
    }

    /// There are no more batches: that is the end of the input, unless the thread failed.
    fn ended(&mut self) -> bool {
        let failed = self.thread.take().is_some_and(|thread| thread.join().is_err());
        if failed {
            let why = "the input was not read to its end: this program failed while reading it";
            self.current = vec![Item::Unreadable(why.into())].into_iter();
        }
        failed
    }

    fn pass_over(&mut self, last: u64) {
        self.blank += last - self.passed;
        self.passed = last;
    }

    /// Number of the last record that was taken, or passed over as blank.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    /// Empty lines that were passed over.
    pub(crate) fn blank_lines(&self) -> u64 {
        self.blank
    }
}

/// The receiver of the input is gone.
struct Gone;

/// The reading thread.
struct Feed {
    sender: mpsc::Sender<Batch>,
    batch: Batch,
    blueprint: Blueprint,
    /// Records seen.
    number: u64,
    /// Of these: in batches that were handed over.
    handed_over: u64,
}

impl Feed {
    fn run(mut self, source: Source) {
        let fed = match source {
            Source::Bodies { bodies, rounds } => self.bodies(&bodies, rounds),
            Source::Stream { reader, name, delimiter } => {
                // To JSON, a CR is a blank.
                let looks_for_cr = delimiter == b"\n" && !self.blueprint.reads_json();
                let records = Splitter::new(reader, &delimiter, LONGEST_RECORD);
                self.stream(records, &name, looks_for_cr)
            }
            Source::Files(paths) => self.files(&paths),
        };
        // When the other side is gone, the rest has no receiver.
        let _ = fed.and_then(|()| self.hand_over());
    }

    fn bodies(&mut self, bodies: &[String], rounds: u64) -> Result<(), Gone> {
        let bodies: Vec<Bytes> =
            bodies.iter().map(|body| Bytes::copy_from_slice(body.as_bytes())).collect();
        for _ in 0..rounds {
            for body in &bodies {
                self.record(body.clone())?;
            }
        }
        Ok(())
    }

    fn stream(
        &mut self,
        mut records: Splitter<Box<dyn Read + Send>>,
        name: &str,
        mut looks_for_cr: bool,
    ) -> Result<(), Gone> {
        loop {
            let more = match records.fill() {
                Ok(more) => more,
                Err(error) => {
                    self.batch.items.push(Item::Unreadable(format!("cannot read {name}: {error}")));
                    return Ok(());
                }
            };
            while let Some(piece) = records.next_piece() {
                match piece {
                    Piece::Record(record) if record.is_empty() => self.number += 1,
                    Piece::Record(record) => {
                        if looks_for_cr && record.ends_with(b"\r") {
                            looks_for_cr = false;
                            self.remark_on_cr()?;
                        }
                        self.record(record)?;
                    }
                    Piece::TooLong => {
                        self.bad(format!("longer than {} MiB", LONGEST_RECORD >> 20), None)?
                    }
                }
            }
            // The next read may have to wait, what is here shall not.
            self.hand_over()?;
            if !more {
                return Ok(());
            }
        }
    }

    /// The next record ends in a CR. Bodies are sent byte by byte as they come; but where a text comes
    /// from Windows, its author mostly does not want the CR in there.
    fn remark_on_cr(&mut self) -> Result<(), Gone> {
        self.push(Item::Remark(format!(
            "line {} ends in CR LF, and bodies keep the CR. If every line ends like this,  \
             -D \"\\r\\n\"  leaves it out.",
            self.number + 1
        )))
    }

    fn files(&mut self, paths: &[PathBuf]) -> Result<(), Gone> {
        for path in paths {
            match read_whole(path) {
                Ok(body) => self.record(body)?,
                Err(why) => self.bad(format!("{}: {why}", path.display()), None)?,
            }
            // Files may be large: a batch of them would be a lot of memory.
            self.hand_over()?;
        }
        Ok(())
    }

    fn record(&mut self, record: Bytes) -> Result<(), Gone> {
        match self.blueprint.message(record.clone()) {
            Ok(message) => {
                self.number += 1;
                self.push(Item::Message { number: self.number, message })
            }
            Err(why) => self.bad(why, Some(record)),
        }
    }

    fn bad(&mut self, why: String, record: Option<Bytes>) -> Result<(), Gone> {
        self.number += 1;
        self.push(Item::Bad { number: self.number, bad: BadRecord { why, record } })
    }

    fn push(&mut self, item: Item) -> Result<(), Gone> {
        self.batch.items.push(item);
        if self.batch.items.len() < BATCH { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> Result<(), Gone> {
        if self.batch.items.is_empty() && self.number == self.handed_over {
            return Ok(());
        }
        self.handed_over = self.number;
        let batch = Batch { read: self.number, ..std::mem::take(&mut self.batch) };
        self.sender.blocking_send(batch).map_err(|_| Gone)
    }
}

/// Whether a file's name stands for stdin.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn read_whole(path: &Path) -> Result<Bytes, String> {
    let read = || {
        let mut body = Vec::new();
        let file: Box<dyn Read> = match is_stdin(path) {
            true => Box::new(io::stdin()),
            false => Box::new(File::open(path)?),
        };
        file.take(LONGEST_RECORD as u64 + 1).read_to_end(&mut body)?;
        Ok::<_, io::Error>(body)
    };
    match read() {
        Ok(body) if body.len() > LONGEST_RECORD => {
            Err(format!("longer than {} MiB", LONGEST_RECORD >> 20))
        }
        Ok(body) => Ok(body.into()),
        Err(error) => Err(error.to_string()),
    }
}
