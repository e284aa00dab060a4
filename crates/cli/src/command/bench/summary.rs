//! What is said of a run on stderr: a line each second, and the summary.

use super::run::{Lap, Results};
use super::settings::Settings;
use crate::stderr::{counted, thousands};

/// One second of the run.
pub(super) fn lap_line(lap: &Lap, settings: &Settings) -> String {
    let [p50, p95, p99, p999] = lap.latency.map(|(_, micros)| millis_or_dash(micros));
    format!(
        "{:>4}s {:>9}/s {:>7.1} MiB/s   p50 {p50:<4} p95 {p95:<4} p99 {p99:<4} p99.9 {p999:<4} ms   \
         err {}  retry {}  in flight {}",
        seconds(lap.end.as_secs_f64()),
        thousands(lap.rate().round() as u64),
        mib(lap.rate() * settings.size as f64),
        thousands(lap.failures),
        thousands(lap.retries),
        thousands(lap.in_flight),
    )
}

/// The summary, a line each.
pub(super) fn lines(results: &Results, settings: &Settings, hdr: Option<String>) -> Vec<String> {
    let mut lines = counts(results, settings);
    if let Some(latency) = latency(results, hdr) {
        lines.insert(1, latency);
    }
    lines
}

/// The summary without latencies.
pub(super) fn counts(results: &Results, settings: &Settings) -> Vec<String> {
    let mut lines = vec![total(results, settings)];
    lines.extend(failures(results));
    lines.extend(batches(results));
    if results.counts.busy > 0 {
        lines.push(format!(
            "busy          {} refused, and sent again",
            counted(results.counts.busy, "request")
        ));
    }
    lines
}

fn total(results: &Results, settings: &Settings) -> String {
    let word = if settings.oneway { "handed over" } else { "stored" };
    format!(
        "total {:.1} s  {} {word}  {}/s  {:.1} MiB/s  errors {}  retries {}",
        results.elapsed.as_secs_f64(),
        thousands(results.total.good()),
        thousands(results.rate().round() as u64),
        mib(results.rate() * settings.size as f64),
        thousands(results.total.failures()),
        thousands(results.counts.retries),
    )
}

fn latency(results: &Results, hdr: Option<String>) -> Option<String> {
    let latency = &results.total.latency;
    let at = |quantile| millis_or_dash(latency.at(quantile));
    let (max, file) = (latency.max()?, hdr.unwrap_or_else(|| "--hdr out.hgrm".into()));
    Some(format!(
        "latency ms    p50 {}   p90 {}   p95 {}   p99 {}   p99.9 {}   max {}      (HDR file: {file})",
        at(0.5),
        at(0.9),
        at(0.95),
        at(0.99),
        at(0.999),
        millis(max as f64),
    ))
}

fn failures(results: &Results) -> Option<String> {
    let total = &results.total;
    let kinds: Vec<String> =
        total.errors.iter().map(|(kind, count)| format!("{kind} {}", thousands(*count))).collect();
    (total.failures() > 0).then(|| {
        format!(
            "errors        {} not_stored, {} unknown: {}",
            thousands(total.not_stored),
            thousands(total.unknown),
            kinds.join(", ")
        )
    })
}

/// Whole seconds, but for the last line of a run.
fn seconds(seconds: f64) -> String {
    let whole = seconds.round();
    if (seconds - whole).abs() < 0.05 { format!("{whole}") } else { format!("{seconds:.1}") }
}

fn batches(results: &Results) -> Option<String> {
    let counts = &results.counts;
    let size = counts.messages_per_request().filter(|_| counts.batches > 0)?;
    Some(format!(
        "batches       {size:.1} messages a request, {} in {} batches, {} alone",
        thousands(counts.batched),
        thousands(counts.batches),
        thousands(counts.requests.saturating_sub(counts.batches)),
    ))
}

/// Microseconds in milliseconds, with as many digits as tell something.
pub(super) fn millis(micros: f64) -> String {
    match micros / 1_000.0 {
        ms if ms < 0.1 => format!("{ms:.3}"),
        ms if ms < 1.0 => format!("{ms:.2}"),
        ms if ms < 1_000.0 => format!("{ms:.1}"),
        ms => thousands(ms.round() as u64),
    }
}

fn millis_or_dash(micros: Option<u64>) -> String {
    micros.map_or_else(|| "-".into(), |micros| millis(micros as f64))
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_the_digits_that_tell_something() {
        let texts = [0.0, 24.0, 240.0, 2_449.0, 31_000.0, 1_234_567.0].map(millis);
        assert_eq!(texts, ["0.000", "0.024", "0.24", "2.4", "31.0", "1,235"]);
        assert_eq!([1.0004, 9.96, 2.5].map(seconds), ["1", "10", "2.5"]);
    }
}
