//! The wire log: the last requests and answers of each connection.
//!
//! It is off until someone asks for it, and off again a minute after the last question.
//! While it is off, a frame costs one look at a flag.

mod exchange;
mod frame;
mod tape;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

pub use self::exchange::{WireExchange, WireSide};
pub use self::frame::WireFrame;
use self::tape::{Moment, Tape};

/// Bytes that it takes in all, about.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// How long it stays on without being asked for.
const STAYS_ON: Duration = Duration::from_secs(60);
/// How many connections that have ended are kept.
const MOST_ENDED: usize = 32;

/// The wire log of a broker, shared by its connections and the application.
#[derive(Debug)]
pub(crate) struct WireLog {
    /// All that is looked at while it is off.
    is_on: AtomicBool,
    bytes: AtomicUsize,
    begun: Instant,
    /// When it was last asked for, in milliseconds since it began.
    asked: AtomicU64,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    open: BTreeMap<u64, Arc<Line>>,
    /// The one that ended last comes last.
    ended: VecDeque<Arc<Line>>,
}

/// A connection, as the log knows it.
#[derive(Debug)]
struct Line {
    about: LineInfo,
    tape: Mutex<Tape>,
    end: Mutex<Option<WireEnd>>,
}

/// What is known of a connection from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineInfo {
    /// The number of its session.
    pub(crate) id: u64,
    pub(crate) address: SocketAddr,
    /// The port at which it has connected.
    pub(crate) port: u16,
    pub(crate) is_encrypted: bool,
    pub(crate) connected_at: SystemTime,
}

/// How a connection has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireEnd {
    /// When.
    pub at: SystemTime,
    /// Why, as far as the broker knows.
    pub why: String,
}

/// What the log has of one connection.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) about: LineInfo,
    pub(crate) client_id: Option<String>,
    pub(crate) end: Option<WireEnd>,
    pub(crate) exchanges: Vec<WireExchange>,
}

impl Default for WireLog {
    fn default() -> Self {
        Self {
            is_on: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
            begun: Instant::now(),
            asked: AtomicU64::new(0),
            lines: Mutex::default(),
        }
    }
}

impl WireLog {
    /// A connection begins.
    pub(crate) fn connect(self: &Arc<Self>, about: LineInfo) -> WireTap {
        let line = Arc::new(Line { about, tape: Mutex::default(), end: Mutex::default() });
        lock(&self.lines).open.insert(about.id, Arc::clone(&line));
        WireTap(Some(Tapped { log: Arc::clone(self), line }))
    }

    /// What it has of every connection, by number; switches it on, if it is off.
    pub(crate) fn ask(&self, now: Instant) -> Vec<Recorded> {
        self.go_off(now);
        self.asked.store(self.since_begun(now), Ordering::Relaxed);
        self.is_on.store(true, Ordering::Release);
        let lines: Vec<_> = {
            let lines = lock(&self.lines);
            lines.ended.iter().chain(lines.open.values()).cloned().collect()
        };
        let mut recorded: Vec<_> = lines.iter().map(|line| line.recorded()).collect();
        recorded.sort_by_key(|recorded| recorded.about.id);
        recorded
    }

    fn note(&self, line: &Line, from: WireSide, bytes: &[u8], now: Moment) {
        if self.go_off(now.steady) {
            return;
        }
        let all = {
            let mut tape = lock(&line.tape);
            // A tape that was cleared stays so: nothing would count what comes to it.
            if !self.is_on.load(Ordering::Acquire) || lock(&line.end).is_some() {
                return;
            }
            self.change(&mut tape, |tape| tape.note(from, bytes, now))
        };
        if all > MOST_BYTES {
            self.make_room();
        }
    }

    /// Changes a tape; gives back how many bytes all tapes have then.
    fn change(&self, tape: &mut Tape, change: impl FnOnce(&mut Tape)) -> usize {
        let before = tape.bytes();
        change(tape);
        self.bytes.fetch_add(tape.bytes(), Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed).saturating_sub(before)
    }

    /// Connections that have ended go first; then each of the others forgets its older half.
    fn make_room(&self) {
        let is_too_much = || self.bytes.load(Ordering::Relaxed) > MOST_BYTES;
        let mut lines = lock(&self.lines);
        while is_too_much()
            && let Some(line) = lines.ended.pop_front()
        {
            self.change(&mut lock(&line.tape), Tape::clear);
        }
        if is_too_much() {
            for line in lines.open.values() {
                self.change(&mut lock(&line.tape), Tape::thin);
            }
        }
    }

    /// Goes off, and forgets everything, if it was not asked for in time; says whether it is off.
    fn go_off(&self, now: Instant) -> bool {
        let quiet = self.since_begun(now).saturating_sub(self.asked.load(Ordering::Relaxed));
        let is_asked_for = u128::from(quiet) <= STAYS_ON.as_millis();
        if is_asked_for || !self.is_on.swap(false, Ordering::AcqRel) {
            return !is_asked_for;
        }
        let mut lines = lock(&self.lines);
        for line in lines.ended.iter().chain(lines.open.values()) {
            self.change(&mut lock(&line.tape), Tape::clear);
        }
        lines.ended.clear();
        true
    }

    fn since_begun(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.begun).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    fn end(&self, line: &Arc<Line>, why: String) {
        *lock(&line.end) = Some(WireEnd { at: SystemTime::now(), why });
        let mut lines = lock(&self.lines);
        lines.open.remove(&line.about.id);
        if self.is_on.load(Ordering::Acquire) {
            lines.ended.push_back(Arc::clone(line));
        } else {
            self.change(&mut lock(&line.tape), Tape::clear);
        }
        if lines.ended.len() > MOST_ENDED
            && let Some(oldest) = lines.ended.pop_front()
        {
            self.change(&mut lock(&oldest.tape), Tape::clear);
        }
    }
}

impl Line {
    fn recorded(&self) -> Recorded {
        let tape = lock(&self.tape);
        Recorded {
            about: self.about,
            client_id: tape.client_id().map(str::to_owned),
            end: lock(&self.end).clone(),
            exchanges: tape.exchanges(),
        }
    }
}

/// What a connection tells the log by. The connection ends when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct WireTap(Option<Tapped>);

#[derive(Debug)]
struct Tapped {
    log: Arc<WireLog>,
    line: Arc<Line>,
}

impl WireTap {
    /// Takes down what one side has written, if the log is on.
    #[inline]
    pub(crate) fn note(&self, from: WireSide, bytes: &[u8]) {
        if let Some(Tapped { log, line }) = &self.0
            && log.is_on.load(Ordering::Relaxed)
        {
            let now = Moment { steady: Instant::now(), time: SystemTime::now() };
            log.note(line, from, bytes, now);
        }
    }

    /// The connection has ended.
    pub(crate) fn end(&self, why: impl ToString) {
        if let Some(Tapped { log, line }) = &self.0
            && lock(&line.end).is_none()
        {
            log.end(line, why.to_string());
        }
    }
}

impl Drop for WireTap {
    fn drop(&mut self) {
        self.end("the broker has closed it");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
