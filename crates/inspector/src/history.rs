//! The figures of the last five minutes, second by second.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::watch;

/// How often figures are taken.
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// How many are kept.
const KEPT: usize = 300;

/// The figures of one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// When, in seconds since 1970.
    pub(crate) at: f64,
    /// Messages stored since the start.
    pub(crate) stored: u64,
    /// Messages stored per second since the sample before.
    pub(crate) rate: f64,
    pub(crate) dropped: u64,
    pub(crate) connections: u64,
}

/// The figures of the last five minutes.
#[derive(Debug)]
pub(crate) struct History {
    begun: SystemTime,
    samples: Mutex<VecDeque<Sample>>,
    newest: watch::Sender<Sample>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            begun: SystemTime::now(),
            samples: Mutex::default(),
            newest: watch::Sender::default(),
        }
    }
}

impl History {
    /// Keeps the figures of a moment.
    pub(crate) fn add(&self, now: SystemTime, stored: u64, dropped: u64, connections: u64) {
        let at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut samples = self.lock();
        let rate = samples.back().map_or(0.0, |before| {
            let (more, passed) = (stored.saturating_sub(before.stored) as f64, at - before.at);
            // The clock may have been set back.
            if passed > 0.0 { more / passed } else { 0.0 }
        });
        let sample = Sample { at, stored, rate, dropped, connections };
        if samples.len() >= KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
        drop(samples);
        self.newest.send_replace(sample);
    }

    /// All samples, the oldest first.
    pub(crate) fn all(&self) -> Vec<Sample> {
        self.lock().iter().copied().collect()
    }

    /// The newest sample, and each that follows.
    pub(crate) fn follow(&self) -> watch::Receiver<Sample> {
        self.newest.subscribe()
    }

    /// When this server was started.
    pub(crate) fn begun(&self) -> SystemTime {
        self.begun
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        // No code that can panic runs under this lock.
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_are_kept_and_a_rate_is_by_the_time_that_has_passed() {
        let history = History::default();
        let moment = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        history.add(moment(10), 100, 0, 1);
        history.add(moment(12), 150, 3, 2);
        let second = Sample { at: 12.0, stored: 150, rate: 25.0, dropped: 3, connections: 2 };
        assert_eq!(history.all().last(), Some(&second));
        assert_eq!(*history.follow().borrow(), second);
        // A clock that was set back, and a broker that counts anew.
        for (seconds, stored) in [(11, 200), (20, 5)] {
            history.add(moment(seconds), stored, 0, 0);
            assert_eq!(history.all().last().map(|sample| sample.rate), Some(0.0));
        }
        for seconds in 0..1_000 {
            history.add(moment(100 + seconds), seconds, 0, 0);
        }
        let samples = history.all();
        assert_eq!((samples.len(), samples[0].at), (KEPT, 800.0));
    }
}
