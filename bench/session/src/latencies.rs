//! Round trips in a high dynamic range histogram.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Round trips, kept to three digits.
#[derive(Debug, Clone)]
pub struct Latencies {
    histogram: Histogram<u32>,
}

const LONGEST: Duration = Duration::from_secs(120);

impl Latencies {
    /// None yet.
    ///
    /// # Errors
    /// Never in fact: the bounds are constants.
    pub fn new() -> anyhow::Result<Self> {
        let longest = u64::try_from(LONGEST.as_nanos())?;
        Ok(Self { histogram: Histogram::new_with_bounds(1, longest, 3)? })
    }

    /// Adds one; longer ones count as two minutes.
    pub fn record(&mut self, took: Duration) {
        self.histogram.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds all of another.
    ///
    /// # Errors
    /// Never in fact: all have the same bounds.
    pub fn merge(&mut self, other: &Self) -> anyhow::Result<()> {
        Ok(self.histogram.add(&other.histogram)?)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.histogram.reset();
    }

    /// The time within which this share of them ended, in µs; 0 when there are none.
    pub fn quantile_us(&self, share: f64) -> f64 {
        self.histogram.value_at_quantile(share) as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_that_was_merged() {
        let (mut fast, mut slow) = (Latencies::new().unwrap(), Latencies::new().unwrap());
        (0..90).for_each(|_| fast.record(Duration::from_micros(10)));
        (0..10).for_each(|_| slow.record(Duration::from_micros(1000)));
        fast.merge(&slow).unwrap();
        assert_eq!(fast.count(), 100);
        assert!((fast.quantile_us(0.5) - 10.0).abs() < 0.1);
        assert!((fast.quantile_us(0.99) - 1000.0).abs() < 2.0);
    }

    #[test]
    fn without_any_it_is_zero() {
        assert_eq!(Latencies::new().unwrap().quantile_us(0.5), 0.0);
    }

    #[test]
    fn hours_count_as_the_longest() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(Duration::from_secs(7200));
        assert!(latencies.quantile_us(0.5) >= 119e6);
    }
}
