//! How long messages took, as a histogram of microseconds.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency that is distinguished from longer ones.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Two latencies are distinguished when they differ in this many digits.
const DIGITS: u8 = 3;

/// Latencies of many messages.
#[derive(Debug, Clone)]
pub(crate) struct Latency(
    /// The bounds are constants that the histogram accepts; without it, no percentiles.
    Option<Histogram<u64>>,
);

impl Latency {
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST.as_micros() as u64, DIGITS).ok())
    }

    /// Counts a message that took this long.
    pub(crate) fn record(&mut self, took: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(took.as_micros() as u64);
        }
    }

    /// Counts what another histogram has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // Fails when a value is out of bounds, and both have the same.
            let _ = histogram.add(other);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        if let Some(histogram) = &mut self.0 {
            histogram.clear();
        }
    }

    /// The histogram, once something was counted.
    pub(crate) fn histogram(&self) -> Option<&Histogram<u64>> {
        self.0.as_ref().filter(|histogram| !histogram.is_empty())
    }

    /// The latency, in microseconds, that this share of the messages did not exceed.
    pub(crate) fn at(&self, quantile: f64) -> Option<u64> {
        self.histogram().map(|histogram| histogram.value_at_quantile(quantile))
    }

    /// The longest, in microseconds.
    pub(crate) fn max(&self) -> Option<u64> {
        self.histogram().map(Histogram::max)
    }

    /// The mean, in microseconds.
    pub(crate) fn mean(&self) -> Option<f64> {
        self.histogram().map(Histogram::mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_what_was_counted() {
        let mut latency = Latency::new();
        assert_eq!((latency.at(0.5), latency.max(), latency.mean()), (None, None, None));
        let mut second = latency.clone();
        (1..=50).for_each(|n| latency.record(Duration::from_micros(n)));
        (51..=100).for_each(|n| second.record(Duration::from_micros(n)));
        latency.add(&second);
        assert_eq!((latency.at(0.5), latency.at(0.99)), (Some(50), Some(99)));
        assert_eq!((latency.max(), latency.mean()), (Some(100), Some(50.5)));
        latency.record(Duration::from_secs(86_400));
        assert!(latency.max().is_some_and(|max| max >= LONGEST.as_micros() as u64));
        latency.clear();
        assert_eq!(latency.max(), None);
    }
}
