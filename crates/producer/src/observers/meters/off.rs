//! In the place of `meters.rs` without the feature `metrics`: nothing is counted, and nothing costs.

use std::time::{Duration, Instant};

use crate::accepted::Accepted;
use crate::config::Config;
use crate::{ErrorKind, Outcome};

pub(crate) struct Meters;
#[derive(Default)]
pub(crate) struct Tally {}
pub(crate) struct BrokerMeters;

/// How messages end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoodEnd {
    Acked,
    Oneway,
}

#[allow(clippy::unused_self, reason = "as the others")]
impl Meters {
    pub(crate) fn of(_: &Config) -> Self {
        Self
    }

    pub(crate) fn broker(&self, _: &str) -> BrokerMeters {
        BrokerMeters
    }

    pub(crate) fn failed(&self, _: &Accepted, _: ErrorKind, _: Outcome) {}

    pub(crate) fn rejected(&self, _: ErrorKind, _: usize) {}

    pub(crate) fn withdrawn(&self, _: &Accepted) {}

    pub(crate) fn retried(&self) {}

    pub(crate) fn traces_lost(&self, _: usize) {}

    pub(crate) fn late_reply(&self) {}

    pub(crate) fn dropped_check(&self) {}
}

#[allow(clippy::unused_self, reason = "as the others")]
impl Tally {
    pub(crate) fn add(&mut self, _: &Meters, _: GoodEnd, _: &Accepted, _: Instant) {}

    pub(crate) fn count(&mut self, _: GoodEnd) {}
}

#[allow(clippy::unused_self, reason = "as the others")]
impl BrokerMeters {
    pub(crate) fn none() -> Self {
        Self
    }

    pub(crate) fn request(&self, _: usize) {}

    pub(crate) fn answered(&self, _: Duration) {}

    pub(crate) fn busy(&self) {}

    pub(crate) fn show(&self, _: usize, _: impl FnOnce() -> usize, _: usize) {}
}
