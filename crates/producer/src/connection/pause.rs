//! How long a broker that refuses as busy is left alone.

use std::time::{Duration, Instant};

use crate::net::backoff::Backoff;

/// A broker that is well again is noticed within the longest.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(10), longest: Duration::from_secs(1) };

/// Doubles with each refusal in a row, so that a broker that refuses everything gets hardly any
/// requests; the first success ends it.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    in_a_row: u32,
    until: Option<Instant>,
}

impl Pause {
    /// When sending may go on, if that is not now.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    /// Whether the last thing that the broker said was that it is busy: one message finds out whether it
    /// is well again, and not a thousand.
    pub(crate) fn was_busy(&self) -> bool {
        self.in_a_row > 0
    }

    /// A request was refused as busy. Requests that were in flight with it count once. `jitter` is between 0
    /// and 1, so that producers do not come back all at once.
    pub(crate) fn busy(&mut self, now: Instant, jitter: f64) {
        if self.until(now).is_some() {
            return;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.until = Some(now + BACKOFF.after(self.in_a_row).mul_f64(0.5 + jitter / 2.0));
    }

    /// A request was stored.
    pub(crate) fn succeeded(&mut self) {
        self.in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_in_a_row_double_the_pause_up_to_a_second() {
        let mut pause = Pause::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            pause.busy(now, 1.0);
            pause.busy(now, 1.0);
            let until = pause.until(now).unwrap();
            pauses.push((until - now).as_millis());
            now = until;
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000]);
        pause.succeeded();
        pause.busy(now, 0.0);
        assert_eq!(pause.until(now), Some(now + Duration::from_millis(5)));
    }
}
