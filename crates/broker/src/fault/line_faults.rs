//! What rules do to one connection as a whole, from a request on until the rule ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Action, FaultRule};

/// What rules do to a connection.
#[derive(Debug, Default)]
pub(crate) struct LineFaults {
    /// Whether there is anything: all that is looked at otherwise.
    any: AtomicBool,
    rules: Mutex<Vec<FaultRule>>,
}

impl LineFaults {
    /// A rule begins to act on the connection. It takes the place of an earlier one that does the same.
    pub(crate) fn begin(&self, rule: FaultRule) {
        let mut rules = self.lock();
        rules.retain(|known| !known.action().is_same_kind(rule.action()));
        rules.push(rule);
        self.any.store(true, Ordering::Release);
    }

    /// Whether a rule may act on the connection.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// The rule because of which nothing is read.
    pub(crate) fn stops_reading(&self) -> Option<FaultRule> {
        self.find(|action| (*action == Action::StopReading).then_some(())).map(|(rule, ())| rule)
    }

    /// At how many bytes a second it is read.
    pub(crate) fn read_rate(&self) -> Option<u32> {
        let rate = |action: &Action| match action {
            Action::ReadAt(rate) => Some(*rate),
            _ => None,
        };
        self.find(rate).map(|(_, rate)| rate)
    }

    /// At how many bytes a second it is written.
    pub(crate) fn write_rate(&self) -> Option<u32> {
        let rate = |action: &Action| match action {
            Action::WriteAt(rate) => Some(*rate),
            _ => None,
        };
        self.find(rate).map(|(_, rate)| rate)
    }

    fn find<T>(&self, of: impl Fn(&Action) -> Option<T>) -> Option<(FaultRule, T)> {
        if !self.any() {
            return None;
        }
        let mut rules = self.lock();
        let now = Instant::now();
        rules.retain(|rule| !rule.is_over(now));
        self.any.store(!rules.is_empty(), Ordering::Release);
        rules.iter().find_map(|rule| of(rule.action()).map(|value| (rule.clone(), value)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<FaultRule>> {
        // No code that can panic runs under this lock.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
