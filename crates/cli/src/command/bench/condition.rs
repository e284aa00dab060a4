//! Whether conditions of `--fail-if` are true of a run.

use super::run::Results;
use super::summary::millis;
use crate::args::{Comparison, Condition, Count, Figure};
use crate::stderr::thousands;

impl Condition {
    /// What the figure is, if the condition is true. A condition on latencies is also true without
    /// any: it is unknown whether the limit was kept.
    pub(super) fn when_true(&self, results: &Results) -> Option<String> {
        let (name, _) = self.text.split_once(['<', '>']).unwrap_or((&self.text, ""));
        let name = name.trim();
        let Some(value) = self.figure.of(results) else {
            return Some(format!("{}: there is no {name}, nothing was stored", self.text));
        };
        let is_true = match self.comparison {
            Comparison::Less => value < self.limit,
            Comparison::LessOrEqual => value <= self.limit,
            Comparison::Greater => value > self.limit,
            Comparison::GreaterOrEqual => value >= self.limit,
        };
        is_true.then(|| format!("{}: {name} is {}", self.text, self.figure.written(value)))
    }
}

impl Figure {
    fn of(self, results: &Results) -> Option<f64> {
        let latency = &results.total.latency;
        match self {
            Self::Quantile(quantile) => latency.at(quantile).map(|micros| micros as f64),
            Self::Max => latency.max().map(|micros| micros as f64),
            Self::Mean => latency.mean(),
            Self::Rate => Some(results.rate()),
            Self::Count(count) => Some(count.of(results) as f64),
        }
    }

    /// A value, with its unit.
    fn written(self, value: f64) -> String {
        match self {
            Self::Quantile(_) | Self::Max | Self::Mean => format!("{} ms", millis(value)),
            Self::Rate => format!("{}/s", thousands(value as u64)),
            Self::Count(_) => thousands(value as u64),
        }
    }
}

impl Count {
    fn of(self, results: &Results) -> u64 {
        match self {
            Self::Stored => results.total.stored,
            Self::Errors => results.total.failures(),
            Self::NotStored => results.total.not_stored,
            Self::Unknown => results.total.unknown,
            Self::Retries => results.counts.retries,
            Self::Busy => results.counts.busy,
            Self::Overdue => results.overdue,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::measure::tests::stored;
    use super::super::run::Counts;
    use super::*;

    fn results() -> Results {
        Results {
            elapsed: Duration::from_secs(2),
            total: stored(10_000),
            laps: Vec::new(),
            counts: Counts { retries: 7, ..Counts::default() },
            overdue: 3,
            interrupted: false,
        }
    }

    #[test]
    fn conditions_and_whether_they_are_true() {
        // p50 is 5.0 ms, max 10 ms, the rate 5,000/s.
        for (text, is_true) in [
            ("p50>4ms", true),
            ("p50>6ms", false),
            ("p50 > 4999us", true),
            ("p99.9<1s", true),
            ("p999>1s", false),
            ("max>=9ms", true),
            ("mean<1ms", false),
            ("rate<5001/s", true),
            ("rate<5000", false),
            ("rate<=300000/m", true),
            ("errors>0", false),
            ("errors>=0", true),
            ("stored<10000", false),
            ("stored<=10000", true),
            ("retries>6", true),
            ("busy>0", false),
            ("overdue>2", true),
            ("unknown>0", false),
            ("not_stored>0", false),
        ] {
            let condition: Condition = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(condition.when_true(&results()).is_some(), is_true, "{text}");
        }
    }

    #[test]
    fn the_value_is_told() {
        let told = |text: &str| text.parse::<Condition>().unwrap().when_true(&results()).unwrap();
        assert_eq!(told("max>1ms"), "max>1ms: max is 10.0 ms");
        assert_eq!(told("rate < 6000/s"), "rate < 6000/s: rate is 5,000/s");
        assert_eq!(told("retries>0"), "retries>0: retries is 7");
    }

    #[test]
    fn a_latency_that_nobody_measured_keeps_no_limit() {
        let nothing = Results { total: stored(0), ..results() };
        let told = |text: &str| text.parse::<Condition>().unwrap().when_true(&nothing);
        assert_eq!(
            told("p99>10ms").as_deref(),
            Some("p99>10ms: there is no p99, nothing was stored")
        );
        assert_eq!(told("errors>0"), None);
    }
}
