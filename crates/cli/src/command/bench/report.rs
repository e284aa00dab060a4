//! A run as one JSON object.

use std::collections::BTreeMap;

use serde::Serialize;

use super::run::Results;
use super::settings::Settings;
use crate::envelope::VERSION;

/// What `-o json` writes.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    _cmd: &'static str,
    _v: u32,
    settings: &'a Settings,
    /// Until the last message had ended.
    seconds: f64,
    /// Messages a second that were stored (one-way: handed over).
    rate: f64,
    /// Bytes of bodies a second.
    bytes_per_second: f64,
    outcomes: Outcomes,
    errors: &'a BTreeMap<&'static str, u64>,
    totals: Totals,
    /// Absent when no message went well.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<LatencyOf>,
    /// Conditions of `--fail-if` that are true, with the value.
    failed_conditions: &'a [String],
    interrupted: bool,
}

#[derive(Serialize)]
struct Outcomes {
    stored: u64,
    handed_over: u64,
    not_stored: u64,
    unknown: u64,
}

#[derive(Serialize)]
struct Totals {
    /// Messages that ended, however.
    messages: u64,
    errors: u64,
    retries: u64,
    busy: u64,
    requests: u64,
    batches: u64,
    batched: u64,
    /// Absent when nothing left.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_per_request: Option<f64>,
    overdue: u64,
    /// Of the stored: with less than the broker's full guarantee.
    weaker: u64,
}

#[derive(Serialize)]
struct LatencyOf {
    p50: u64,
    p90: u64,
    p95: u64,
    p99: u64,
    p999: u64,
    max: u64,
    mean: f64,
}

impl<'a> Report<'a> {
    pub(super) fn new(settings: &'a Settings, results: &'a Results, failed: &'a [String]) -> Self {
        let total = &results.total;
        Self {
            _cmd: settings.command,
            _v: VERSION,
            settings,
            seconds: results.elapsed.as_secs_f64(),
            rate: results.rate(),
            bytes_per_second: results.rate() * settings.size as f64,
            outcomes: Outcomes {
                stored: total.stored,
                handed_over: total.handed_over,
                not_stored: total.not_stored,
                unknown: total.unknown,
            },
            errors: &total.errors,
            totals: Totals {
                messages: total.good() + total.failures(),
                errors: total.failures(),
                retries: results.counts.retries,
                busy: results.counts.busy,
                requests: results.counts.requests,
                batches: results.counts.batches,
                batched: results.counts.batched,
                messages_per_request: results.counts.messages_per_request(),
                overdue: results.overdue,
                weaker: total.weaker,
            },
            latency_us: LatencyOf::new(results),
            failed_conditions: failed,
            interrupted: results.interrupted,
        }
    }
}

impl LatencyOf {
    fn new(results: &Results) -> Option<Self> {
        let latency = &results.total.latency;
        Some(Self {
            p50: latency.at(0.5)?,
            p90: latency.at(0.9)?,
            p95: latency.at(0.95)?,
            p99: latency.at(0.99)?,
            p999: latency.at(0.999)?,
            max: latency.max()?,
            mean: latency.mean()?,
        })
    }
}
