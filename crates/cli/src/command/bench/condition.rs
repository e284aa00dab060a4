//! Conditions of `--fail-if`: a figure of the run, a comparison, a limit.

use std::str::FromStr;
use std::time::Duration;

use super::run::Results;
use super::summary::millis;
use crate::talk::thousands;
use crate::value;

/// A condition under which a benchmark counts as failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    /// As it was written.
    text: String,
    figure: Figure,
    comparison: Comparison,
    /// In the unit of the figure: microseconds, messages a second, or a count.
    limit: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    /// The latency that this share of the messages did not exceed.
    Quantile(f64),
    Max,
    Mean,
    Rate,
    Count(Count),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Count {
    Stored,
    Errors,
    NotStored,
    Unknown,
    Retries,
    Busy,
    Overdue,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const FIGURES: &[(&str, Figure)] = &[
    ("p50", Figure::Quantile(0.5)),
    ("p90", Figure::Quantile(0.9)),
    ("p95", Figure::Quantile(0.95)),
    ("p99", Figure::Quantile(0.99)),
    ("p99.9", Figure::Quantile(0.999)),
    ("p999", Figure::Quantile(0.999)),
    ("max", Figure::Max),
    ("mean", Figure::Mean),
    ("rate", Figure::Rate),
    ("stored", Figure::Count(Count::Stored)),
    ("errors", Figure::Count(Count::Errors)),
    ("not_stored", Figure::Count(Count::NotStored)),
    ("unknown", Figure::Count(Count::Unknown)),
    ("retries", Figure::Count(Count::Retries)),
    ("busy", Figure::Count(Count::Busy)),
    ("overdue", Figure::Count(Count::Overdue)),
];

/// The longer first, or `<` would be found in `<=`.
const COMPARISONS: &[(&str, Comparison)] = &[
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl Condition {
    /// What the figure is, if the condition is true. One on latencies is true also when there are
    /// none: nobody can say that the limit was kept.
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

    /// A limit, in the unit of the figure.
    fn limit(self, text: &str) -> Result<f64, String> {
        match self {
            Self::Quantile(_) | Self::Max | Self::Mean => {
                if text.ends_with(|c: char| c.is_ascii_digit()) {
                    return Err("a latency needs its unit, as in p99>10ms".into());
                }
                value::duration(text).map(micros)
            }
            Self::Rate => value::rate(text),
            Self::Count(_) => text
                .parse::<u64>()
                .map(|number| number as f64)
                .map_err(|_| format!("`{text}` is not a whole number")),
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

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, comparison, limit) = COMPARISONS
            .iter()
            .find_map(|(sign, comparison)| {
                let (name, limit) = text.split_once(sign)?;
                Some((name.trim(), *comparison, limit.trim()))
            })
            .ok_or("write a figure, one of < <= > >=, and a limit, as in p99>10ms")?;
        let (_, figure) = FIGURES.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            let known: Vec<&str> = FIGURES.iter().map(|(name, _)| *name).collect();
            format!("`{name}` is no figure of a benchmark; there are {}", known.join(" "))
        })?;
        let limit = figure.limit(limit)?;
        Ok(Self { text: text.trim().to_owned(), figure: *figure, comparison, limit })
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn what_is_no_condition() {
        for text in
            ["", "p99", "p99>", "p99>10", "p98>1ms", "p99=1ms", ">1ms", "errors>1.5", "rate<fast"]
        {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
    }
}
