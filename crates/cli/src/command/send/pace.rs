//! Sends at a steady rate.

use std::time::Duration;

use tokio::time::Instant;

/// A schedule: message n is due n intervals after the start, even if earlier messages are late. So
/// a pause of the broker is made up for, and the run has the rate that was asked for.
pub(crate) struct Pace {
    start: Instant,
    interval: Duration,
    sent: u64,
}

impl Pace {
    pub(crate) fn new(per_second: f64, start: Instant) -> Self {
        Self { start, interval: Duration::from_secs_f64(1.0 / per_second), sent: 0 }
    }

    /// When the next message is due.
    pub(crate) fn due(&self) -> Instant {
        self.start + self.interval.mul_f64(self.sent as f64)
    }

    /// Counts a message that was sent.
    pub(crate) fn count(&mut self) {
        self.sent += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_even_intervals() {
        let start = Instant::now();
        let mut pace = Pace::new(500.0, start);
        assert_eq!(pace.due(), start);
        for n in 1..=1_000_u32 {
            pace.count();
            let off = pace.due().duration_since(start).abs_diff(Duration::from_millis(2) * n);
            assert!(off < Duration::from_micros(1), "message {n} is off by {off:?}");
        }
    }
}
