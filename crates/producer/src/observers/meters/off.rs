//! In the place of `meters.rs` without the feature `metrics`: nothing is counted, and nothing costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::counts::{BrokerCounts, Counts, GoodEnd};
use crate::accepted::Accepted;
use crate::config::Config;
use crate::{ErrorKind, Outcome};

pub(crate) struct Meters;
#[derive(Default)]
pub(crate) struct Tally {}
pub(crate) struct Metric;
pub(crate) struct BrokerMeters {
    pub(crate) counts: BrokerCounts,
}

#[allow(clippy::unused_self, reason = "as the others")]
impl Meters {
    pub(crate) fn of(_: &Config) -> Self {
        Self
    }

    pub(crate) fn counter(&self, _: &'static str, _: &'static str) -> Metric {
        Metric
    }

    pub(crate) fn broker(&self, _: &str, counts: &Arc<Counts>) -> BrokerMeters {
        BrokerMeters::none(counts)
    }

    pub(crate) fn failed(&self, _: &Accepted, _: ErrorKind, _: Outcome) {}

    pub(crate) fn rejected(&self, _: ErrorKind, _: usize) {}

    pub(crate) fn withdrawn(&self, _: &Accepted) {}
}

#[allow(clippy::unused_self, reason = "as the others")]
impl Metric {
    pub(crate) fn none() -> Self {
        Self
    }

    pub(crate) fn add(&self, _: usize) {}
}

#[allow(clippy::unused_self, reason = "as the others")]
impl Tally {
    pub(crate) fn add(&mut self, _: &Meters, _: GoodEnd, _: &Accepted, _: Instant) {}

    pub(crate) fn count(&mut self, _: GoodEnd) {}
}

#[allow(clippy::unused_self, reason = "as the others")]
impl BrokerMeters {
    pub(crate) fn none(counts: &Arc<Counts>) -> Self {
        Self { counts: BrokerCounts::of(counts, |_, _| Metric) }
    }

    pub(crate) fn request(&self, messages: usize) {
        self.counts.requests(1);
        if messages > 1 {
            self.counts.batches(1);
            self.counts.batched(messages);
        }
    }

    pub(crate) fn answered(&self, _: Duration) {}

    pub(crate) fn show(&self, _: usize, _: impl FnOnce() -> usize, _: usize) {}
}
