//! A listener that writes down what it hears, and has receipts on a stdout that may close.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste::Message;
use tokio::time::Instant;

use super::script::number_of;
use crate::command::send::listener::Listener;
use crate::input::BadRecord;
use crate::output::Stdout;

/// What was reported of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Good,
    Failed,
    Bad,
}

pub(super) struct Notes {
    pub(super) told: Vec<(u64, Told)>,
    pub(super) unreadable: bool,
    pub(super) interrupted: bool,
    pub(super) stdout: Stdout,
    written: Arc<Mutex<Vec<u8>>>,
    turns: usize,
    most_turns: usize,
}

impl Notes {
    /// stdout takes this many bytes, and is closed then. The loop may look up this many times.
    pub(super) fn new(stdout_takes: usize, most_turns: usize) -> Self {
        let written = Arc::default();
        let pipe = Pipe { written: Arc::clone(&written), takes: stdout_takes };
        Self {
            told: Vec::new(),
            unreadable: false,
            interrupted: false,
            stdout: Stdout::to(Box::new(pipe)),
            written,
            turns: 0,
            most_turns,
        }
    }

    pub(super) fn written(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }

    fn tell(&mut self, number: u64, told: Told) {
        self.told.push((number, told));
    }
}

impl Listener for Notes {
    type Receipt = u64;
    type Error = u64;
    type Original = u64;

    fn original(&self, message: &Message) -> u64 {
        number_of(message)
    }

    fn ended(&mut self, number: u64, original: &u64, _: Duration, ending: Result<u64, u64>) {
        let (Ok(of) | Err(of)) = ending;
        assert_eq!((of, *original), (number, number), "the end of another message");
        if ending.is_ok() {
            self.stdout.line(format_args!("{number}"));
        }
        self.tell(number, if ending.is_ok() { Told::Good } else { Told::Failed });
    }

    fn bad(&mut self, number: u64, _: &BadRecord) {
        self.tell(number, Told::Bad);
    }

    fn remark(&mut self, _: &str) {}

    fn unreadable(&mut self, _: &str) {
        assert!(!std::mem::replace(&mut self.unreadable, true));
    }

    fn interrupted(&mut self, _: usize) {
        assert!(!std::mem::replace(&mut self.interrupted, true));
    }

    fn idle(&mut self, _: usize) -> Option<Instant> {
        self.turns += 1;
        assert!(self.turns <= self.most_turns, "the loop is busy: turn {}", self.turns);
        self.stdout.flush_soon()
    }
}

/// A pipe whose reader takes this many bytes.
struct Pipe {
    written: Arc<Mutex<Vec<u8>>>,
    takes: usize,
}

impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.written.lock().unwrap();
        let taken = bytes.len().min(self.takes - written.len());
        written.extend_from_slice(&bytes[..taken]);
        if taken == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
