//! A clock that the machine's load does not touch.
//!
//! Whether a message ends in time cannot be judged by the wall clock: on a busy machine a thread
//! may not run for half a second, and a producer that does not run cannot end anything. So two
//! tasks beat: one where the producer runs, one where the servers do. A beat is what an end takes:
//! a timer of 5 ms, then twice the way through the line of tasks that want to run. Lateness is a
//! number of these pulses. On an idle machine 20 of them are a tenth of a second; where nothing
//! runs, there are none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a pulse sleeps.
const PULSE: Duration = Duration::from_millis(5);

/// When the pulses of one thread were.
#[derive(Clone)]
pub(super) struct Pulse {
    begun: Instant,
    beats: Arc<Mutex<Vec<Duration>>>,
}

impl Pulse {
    pub(super) fn new(begun: Instant) -> Self {
        Self { begun, beats: Arc::default() }
    }

    /// Beats for as long as it is polled.
    pub(super) async fn run(self) {
        loop {
            tokio::time::sleep(PULSE).await;
            let _ = tokio::spawn(std::future::ready(())).await;
            self.beat();
        }
    }

    fn beat(&self) {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.push(self.begun.elapsed());
    }

    pub(super) fn beats(&self) -> Vec<Duration> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The pulses of all threads, to measure times with.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulses(pub(super) Vec<Vec<Duration>>);

impl Pulses {
    /// How many pulses there were in between, on the thread that had fewest.
    pub(super) fn between(&self, from: Duration, to: Duration) -> usize {
        let count = |beats: &Vec<Duration>| {
            let before = |at: Duration| beats.partition_point(|beat| *beat <= at);
            before(to).saturating_sub(before(from))
        };
        self.0.iter().map(count).min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_as_long_as_the_thread_with_fewest_pulses_says() {
        let ms = Duration::from_millis;
        let steady: Vec<_> = (1..100).map(|beat| ms(beat * 5)).collect();
        // Did not run from 100 ms to 400 ms.
        let stopped = steady.iter().copied().filter(|at| !(ms(100)..ms(400)).contains(at));
        let stopped: Vec<_> = stopped.collect();
        for (beats, from, to, expected) in [
            (vec![steady.clone()], 0, 100, 20),
            (vec![steady.clone()], 100, 100, 0),
            (vec![steady.clone()], 200, 100, 0),
            (vec![steady.clone(), stopped.clone()], 95, 395, 0),
            (vec![steady, stopped], 50, 410, 12),
            (Vec::new(), 0, 100, 0),
        ] {
            assert_eq!(Pulses(beats).between(ms(from), ms(to)), expected, "{from} to {to}");
        }
    }
}
