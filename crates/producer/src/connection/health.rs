//! Whether a broker is left out for its health (Java: `LatencyFaultToleranceImpl`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::FaultAvoidance;
use crate::config::LONGEST;

/// The health of one broker, as all threads see it.
#[derive(Debug)]
pub(crate) struct Health {
    /// Until when it is left out, in ms since `born`; 0: it is not.
    out_until_ms: AtomicU64,
    born: Instant,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { out_until_ms: AtomicU64::new(0), born: Instant::now() }
    }

    /// It answered after `took`. Says whether it is left out by that.
    pub(crate) fn answered(
        &self,
        avoidance: &FaultAvoidance,
        now: Instant,
        took: Duration,
    ) -> bool {
        self.leave_out(now, avoidance.pause_after(took))
    }

    /// It did not answer. Says whether it is left out by that.
    pub(crate) fn unanswered(&self, avoidance: &FaultAvoidance, now: Instant) -> bool {
        self.leave_out(now, avoidance.unanswered)
    }

    /// It answers quickly again.
    pub(crate) fn recovered(&self) {
        self.out_until_ms.store(0, Ordering::Relaxed);
    }

    fn leave_out(&self, now: Instant, pause: Duration) -> bool {
        if pause.is_zero() {
            return false;
        }
        self.out_until_ms.fetch_max(self.ms(now + pause.min(LONGEST)), Ordering::Relaxed);
        true
    }

    /// Whether it is left out.
    pub(crate) fn is_left_out(&self) -> bool {
        let until = self.out_until_ms.load(Ordering::Relaxed);
        until != 0 && self.ms(Instant::now()) < until
    }

    fn ms(&self, time: Instant) -> u64 {
        time.saturating_duration_since(self.born).as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_broker_comes_back_when_its_time_is_over_or_it_has_recovered() {
        let (health, avoidance) = (Health::new(), FaultAvoidance::default());
        assert!(!health.is_left_out());
        assert!(!health.answered(&avoidance, Instant::now(), ms(100)));
        assert!(!health.is_left_out());
        assert!(health.answered(&avoidance, Instant::now(), ms(600)));
        assert!(health.is_left_out());
        // A quick answer to what was sent before does not shorten it, nor does a shorter time.
        health.answered(&avoidance, Instant::now(), ms(1));
        let until = health.out_until_ms.load(Ordering::Relaxed);
        assert!(health.unanswered(&avoidance, Instant::now()));
        health.answered(&avoidance, Instant::now(), ms(600));
        assert!(health.out_until_ms.load(Ordering::Relaxed) >= until + 7_900);
        health.recovered();
        assert!(!health.is_left_out());
        let long_ago = Instant::now().checked_sub(ms(60_000));
        health.unanswered(&avoidance, long_ago.unwrap_or_else(Instant::now));
        assert!(long_ago.is_none() || !health.is_left_out());
        assert!(!health.unanswered(&FaultAvoidance::off(), Instant::now()));
    }
}
