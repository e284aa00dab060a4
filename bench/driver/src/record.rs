//! What came of the cases, as it is kept.

use std::fmt;
use std::fs;
use std::time::SystemTime;

use anyhow::{Context, Result};
use bench_session::Measurement;
use serde::{Deserialize, Serialize};

use crate::arguments::Arguments;
use crate::case::Case;
use crate::curve::Chart;
use crate::machine::Machine;
use crate::workshop::Workshop;

/// One case in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(flatten)]
    pub(crate) case: Case,
    pub(crate) round: usize,
    pub(crate) measurement: Measurement,
    /// User and system time of the server's process, until it had settled.
    pub(crate) server_cpu_us: u64,
    /// Messages that the server stored meanwhile, by its own count.
    pub(crate) stored: u64,
    /// From `go` until it had them all, in s: a real broker answers before they are in their queues.
    #[serde(default)]
    pub(crate) stored_after: f64,
    /// The client's, warm-up included.
    pub(crate) peak_rss_kib: u64,
    /// Why there is no measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl Record {
    pub(crate) fn failure(case: Case, round: usize, error: String) -> Self {
        let (measurement, error) = (Measurement::default(), Some(error));
        Self {
            case,
            round,
            measurement,
            server_cpu_us: 0,
            stored: 0,
            stored_after: 0.0,
            peak_rss_kib: 0,
            error,
        }
    }

    /// Acknowledged messages per second.
    pub(crate) fn rate(&self) -> f64 {
        self.measurement.messages as f64 / self.measurement.seconds.max(1e-9)
    }

    /// Acknowledged messages per second until the server had them all in their queues: the rate that
    /// lasts.
    pub(crate) fn lasting_rate(&self) -> f64 {
        self.measurement.messages as f64 / self.measurement.seconds.max(self.stored_after).max(1e-9)
    }

    /// The client's µs per acknowledged message.
    pub(crate) fn client_cpu(&self) -> f64 {
        self.measurement.cpu_us as f64 / self.measurement.messages.max(1) as f64
    }

    /// The server's µs per acknowledged message.
    pub(crate) fn server_cpu(&self) -> f64 {
        self.server_cpu_us as f64 / self.measurement.messages.max(1) as f64
    }

    pub(crate) fn peak_rss_mib(&self) -> f64 {
        self.peak_rss_kib as f64 / 1024.0
    }

    /// Share of the messages that failed.
    pub(crate) fn failed_share(&self) -> f64 {
        let all = self.measurement.messages + self.measurement.failed;
        self.measurement.failed as f64 / all.max(1) as f64
    }

    /// Requests that were refused as busy, against the messages.
    pub(crate) fn refused_share(&self) -> f64 {
        let all = self.measurement.messages + self.measurement.failed;
        self.measurement.refused.unwrap_or_default() as f64 / all.max(1) as f64
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.error.is_some() {
            return write!(f, "{}: failed", self.case);
        }
        write!(
            f,
            "{}: {:.1} k/s, p50 {:.0} µs, {:.2} + {:.2} µs/message, {:.0} MiB, {} failed, {} stored of {}",
            self.case,
            self.rate() / 1000.0,
            self.measurement.p50_us,
            self.client_cpu(),
            self.server_cpu(),
            self.peak_rss_mib(),
            self.measurement.failed,
            self.stored,
            self.measurement.messages,
        )
    }
}

/// A run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) begun: String,
    pub(crate) machine: Machine,
    pub(crate) seconds: f64,
    pub(crate) records: Vec<Record>,
    /// Line charts of the extras.
    #[serde(default)]
    pub(crate) charts: Vec<Chart>,
    /// What the extras found, a line each.
    #[serde(default)]
    pub(crate) findings: Vec<String>,
}

impl Session {
    /// A new session. If it writes no table, it goes on where the last session ended.
    pub(crate) fn begin(workshop: &Workshop, arguments: &Arguments) -> Result<Self> {
        if arguments.no_table {
            return Self::load(workshop);
        }
        let begun = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let last = Self::load(workshop).ok();
        let (charts, findings) = last.map(|last| (last.charts, last.findings)).unwrap_or_default();
        let (machine, seconds) = (Machine::look(workshop), arguments.seconds);
        Ok(Self { begun, machine, seconds, records: Vec::new(), charts, findings })
    }

    pub(crate) fn load(workshop: &Workshop) -> Result<Self> {
        let path = workshop.results().join("latest.json");
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub(crate) fn save(&self, workshop: &Workshop) -> Result<()> {
        let path = workshop.results().join("latest.json");
        Ok(fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }

    /// Rounds of the main table.
    pub(crate) fn rounds(&self) -> usize {
        self.records.iter().map(|record| record.round + 1).max().unwrap_or_default()
    }
}
