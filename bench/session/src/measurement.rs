//! What a client measured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Latencies;

/// The line of JSON that a client prints. Everything is of the measured interval, from `go` until
/// the last answer has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measurement {
    /// Messages that were acknowledged; one-way: that were written.
    pub messages: u64,
    /// Messages that were not.
    pub failed: u64,
    /// How long it took.
    pub seconds: f64,
    /// User and system time of the client's process, in µs.
    pub cpu_us: u64,
    /// Round trips as a caller sees them, in µs.
    pub p50_us: f64,
    /// As above.
    pub p99_us: f64,
    /// As above.
    pub p999_us: f64,
    /// Requests that the broker refused as busy, where the client says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// Requests that carried the messages, where the client says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// What the producer looked like over time, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<Moment>,
}

/// A producer at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Since the start of the producer, in ms.
    pub at_ms: f64,
    /// How many requests may be in flight.
    pub limit: usize,
    /// How many are.
    pub in_flight: usize,
    /// Messages that wait for room.
    pub waiting: usize,
    /// Messages acknowledged since the moment before.
    pub messages: u64,
    /// Requests since the moment before.
    pub requests: u64,
    /// Refusals since the moment before.
    pub refused: u64,
    /// Median round trip of a caller since the moment before, in µs.
    pub p50_us: f64,
}

/// Counts and latencies of an interval.
#[derive(Debug)]
pub struct Tally {
    /// Messages that were acknowledged.
    pub messages: u64,
    /// Messages that were not.
    pub failed: u64,
    /// Round trips.
    pub latencies: Latencies,
}

impl Tally {
    /// The measurement, once time and CPU of the interval are known.
    pub fn measured(&self, took: Duration, cpu: Duration) -> Measurement {
        Measurement {
            messages: self.messages,
            failed: self.failed,
            seconds: took.as_secs_f64(),
            cpu_us: u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX),
            p50_us: self.latencies.quantile_us(0.5),
            p99_us: self.latencies.quantile_us(0.99),
            p999_us: self.latencies.quantile_us(0.999),
            ..Measurement::default()
        }
    }
}
