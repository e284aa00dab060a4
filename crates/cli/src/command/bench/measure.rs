//! What was counted in a stretch of a run: how messages ended, and how long they took.

use std::collections::BTreeMap;
use std::time::Duration;

use posthaste::{Outcome, Receipt, SendError, SendStatus};

use crate::latency::Latency;

/// Counts of messages that ended.
#[derive(Debug)]
pub(crate) struct Measure {
    /// Acknowledged by a broker, with any status.
    pub(super) stored: u64,
    /// Of these: stored with less than the broker's full guarantee.
    pub(super) weaker: u64,
    /// One-way: written to the socket.
    pub(super) handed_over: u64,
    pub(super) not_stored: u64,
    pub(super) unknown: u64,
    /// Messages that failed, by kind.
    pub(super) errors: BTreeMap<&'static str, u64>,
    /// How the first of them failed.
    pub(super) first: Option<SendError>,
    /// Of messages that did not fail.
    pub(super) latency: Latency,
}

impl Measure {
    pub(super) fn new() -> Self {
        Self {
            stored: 0,
            weaker: 0,
            handed_over: 0,
            not_stored: 0,
            unknown: 0,
            errors: BTreeMap::new(),
            first: None,
            latency: Latency::new(),
        }
    }

    /// Counts a message, and how long after its turn it ended. A one-way message has no receipt.
    pub(super) fn count(&mut self, took: Duration, ending: Result<Option<Receipt>, SendError>) {
        match ending {
            Ok(receipt) => self.went(took, receipt.map(|receipt| receipt.status())),
            Err(error) => self.failed(error),
        }
    }

    fn went(&mut self, took: Duration, status: Option<SendStatus>) {
        match status {
            None => self.handed_over += 1,
            Some(status) => {
                self.stored += 1;
                self.weaker += u64::from(status != SendStatus::Stored);
            }
        }
        self.latency.record(took);
    }

    fn failed(&mut self, error: SendError) {
        match error.outcome() {
            Outcome::NotStored => self.not_stored += 1,
            Outcome::Unknown => self.unknown += 1,
        }
        *self.errors.entry(error.kind().as_str()).or_default() += 1;
        self.first.get_or_insert(error);
    }

    /// Adds what another has counted, and leaves that one empty.
    pub(super) fn take(&mut self, other: &mut Self) {
        let zero = std::mem::take::<u64>;
        self.stored += zero(&mut other.stored);
        self.weaker += zero(&mut other.weaker);
        self.handed_over += zero(&mut other.handed_over);
        self.not_stored += zero(&mut other.not_stored);
        self.unknown += zero(&mut other.unknown);
        for (kind, count) in std::mem::take(&mut other.errors) {
            *self.errors.entry(kind).or_default() += count;
        }
        self.first = self.first.take().or(other.first.take());
        self.latency.add(&other.latency);
        other.latency.clear();
    }

    /// Messages that ended as they should.
    pub(super) fn good(&self) -> u64 {
        self.stored + self.handed_over
    }

    /// Messages that failed.
    pub(super) fn failures(&self) -> u64 {
        self.not_stored + self.unknown
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// This many messages stored, one after 1 µs, one after 2 µs …
    pub(in crate::command::bench) fn stored(count: u64) -> Measure {
        let mut measure = Measure::new();
        for micros in 1..=count {
            measure.went(Duration::from_micros(micros), Some(SendStatus::Stored));
        }
        measure
    }

    #[test]
    fn nothing_is_counted_twice_when_it_is_taken() {
        let mut second = stored(100);
        second.went(Duration::from_micros(500), Some(SendStatus::FlushDiskTimeout));
        second.went(Duration::from_micros(700), None);
        let mut total = stored(10);
        for _ in 0..2 {
            total.take(&mut second);
            assert_eq!((total.stored, total.weaker, total.handed_over), (111, 1, 1));
            assert_eq!(total.good(), 112);
            assert_eq!(total.latency.histogram().map(|latency| latency.len()), Some(112));
            assert_eq!(total.latency.max(), Some(700));
        }
        assert_eq!((second.good(), second.latency.max()), (0, None));
    }
}
