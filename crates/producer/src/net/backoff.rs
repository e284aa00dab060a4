//! How long to wait before a server is tried again that failed.

use std::time::Duration;

/// Pauses that double with each failure in a row, up to a longest one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// The pause after this many failures in a row, which are at least one.
    pub(crate) fn after(self, failures: u32) -> Duration {
        let factor = 2u32.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// The same, up to a quarter shorter by chance, so that producers do not come back all at once.
    pub(crate) fn spread(self, failures: u32) -> Duration {
        self.after(failures).mul_f64(0.75 + fastrand::f64() / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let ms = Duration::from_millis;
        for (first, longest, expected) in [
            (50, 2_000, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]),
            (100, 1_000, [100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]),
            (100, 30, [30; 8]),
            (0, 1_000, [0; 8]),
        ] {
            let backoff = Backoff { first: ms(first), longest: ms(longest) };
            for (failures, pause) in (1..).zip(expected) {
                assert_eq!(backoff.after(failures), ms(pause), "{backoff:?}, {failures}");
            }
            assert_eq!(backoff.after(u32::MAX), ms(longest.min(first * 2_000)), "{backoff:?}");
        }
    }

    #[test]
    fn pauses_are_spread_over_a_quarter() {
        let second = Duration::from_secs(1);
        let backoff = Backoff { first: second, longest: second };
        let pauses: Vec<Duration> = (1..1_000).map(|failures| backoff.spread(failures)).collect();
        assert!(pauses.iter().all(|pause| (second * 3 / 4..=second).contains(pause)));
        assert!(pauses.iter().max() > pauses.iter().min());
    }
}
