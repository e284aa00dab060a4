//! All that is known of a round when it is over, and where to find what belongs to one message.

use std::collections::HashMap;
use std::time::Duration;

use super::journal::{Call, End, Verb};
use super::pulse::Pulses;
use super::record::{Copied, Number, Record, Request};
use super::verbs::Wait;

/// A call is late when it ends this many pulses after its deadline: 100 ms on an idle machine.
const LIMIT: usize = 20;
/// The same where several threads have to run for it: a busy machine runs one of them and another not.
const LIMIT_OF_THREADS: usize = 200;

/// What the callers of a round did, what they learned, and what was stored.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) calls: Vec<Call>,
    pub(super) record: Record,
    pub(super) pulses: Pulses,
    /// Whether the producer and its callers have run on one thread.
    pub(super) one_thread: bool,
    pub(super) waits: Vec<Wait>,
    /// Attempts with an unknown end by message, where an interceptor counted them.
    pub(super) watched: Option<HashMap<Number, usize>>,
    /// What the producer has counted.
    pub(super) counted: Counted,
    pub(super) close: Option<Closed>,
    /// What was still there when nothing should have been.
    pub(super) left: Vec<String>,
    pub(super) panics: Vec<String>,
}

/// The producer's counts at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) sent: u64,
    pub(super) acked: u64,
    pub(super) not_stored: u64,
    pub(super) unknown: u64,
    pub(super) oneway: u64,
    pub(super) withdrawn: u64,
    pub(super) in_flight: u64,
}

/// How the producer was closed.
#[derive(Debug, Clone, Default)]
pub(super) struct Closed {
    pub(super) begun: Duration,
    /// The messages of the report.
    pub(super) undelivered: Vec<Number>,
    /// Unique ids of the transactions of the report.
    pub(super) undecided: Vec<String>,
}

/// The facts by message.
pub(super) struct Index<'a> {
    pub(super) facts: &'a Facts,
    calls: HashMap<Number, &'a Call>,
    /// Places in the list of copies, in the order of storing.
    copies: HashMap<Number, Vec<usize>>,
    requests: HashMap<Number, Vec<&'a Request>>,
}

impl<'a> Index<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        let mut index =
            Self { facts, calls: HashMap::new(), copies: HashMap::new(), requests: HashMap::new() };
        for call in &facts.calls {
            index.calls.extend(call.numbers.clone().map(|number| (number, call)));
        }
        for (place, copy) in facts.record.copies.iter().enumerate() {
            index.copies.entry(copy.number).or_default().push(place);
        }
        for request in &facts.record.requests {
            for number in &request.numbers {
                index.requests.entry(*number).or_default().push(request);
            }
        }
        index
    }

    pub(super) fn call(&self, number: Number) -> Option<&'a Call> {
        self.calls.get(&number).copied()
    }

    pub(super) fn copies(&self, number: Number) -> impl Iterator<Item = &'a Copied> {
        let places = self.copies.get(&number).into_iter().flatten();
        places.filter_map(|place| self.facts.record.copies.get(*place))
    }

    /// Which of all copies is the first of a message.
    pub(super) fn first_copy(&self, number: Number) -> Option<(usize, &'a Copied)> {
        let place = *self.copies.get(&number)?.first()?;
        Some((place, self.facts.record.copies.get(place)?))
    }

    pub(super) fn requests(&self, number: Number) -> impl Iterator<Item = &'a Request> {
        self.requests.get(&number).into_iter().flatten().copied()
    }

    /// How many pulses later is late, where several threads have to run for it or one does.
    pub(super) fn limit(&self, verb: Option<Verb>) -> usize {
        match self.facts.one_thread && verb != Some(Verb::Callback) {
            true => LIMIT,
            false => LIMIT_OF_THREADS,
        }
    }

    /// Whether so much time has passed in between that it is late for a call.
    pub(super) fn is_late(&self, verb: Verb, due: Duration, at: Duration) -> bool {
        self.facts.pulses.between(due, at) > self.limit(Some(verb))
    }
}

impl End {
    /// In a word, for the summary.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Acked(_) => "acked",
            Self::Written => "written",
            Self::Failed { outcome: posthaste::Outcome::NotStored, .. } => "not_stored",
            Self::Failed { .. } => "unknown",
            Self::Replied(_) => "replied",
            Self::Unreplied(_) => "no reply",
            Self::Dropped => "dropped",
        }
    }
}
