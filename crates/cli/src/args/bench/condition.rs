//! Conditions of `--fail-if`: a figure of the run, a comparison, a limit.

use std::str::FromStr;
use std::time::Duration;

use crate::value;

/// A condition under which a benchmark counts as failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    /// As it was written.
    pub(crate) text: String,
    pub(crate) figure: Figure,
    pub(crate) comparison: Comparison,
    /// In the unit of the figure: microseconds, messages a second, or a count.
    pub(crate) limit: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Figure {
    /// The latency that this share of the messages did not exceed.
    Quantile(f64),
    Max,
    Mean,
    Rate,
    Count(Count),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Count {
    Stored,
    Errors,
    NotStored,
    Unknown,
    Retries,
    Busy,
    Overdue,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Comparison {
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

impl Figure {
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
    use super::*;

    #[test]
    fn what_is_no_condition() {
        for text in
            ["", "p99", "p99>", "p99>10", "p98>1ms", "p99=1ms", ">1ms", "errors>1.5", "rate<fast"]
        {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
    }
}
