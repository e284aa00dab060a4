//! What was checked, for people and for scripts.

use serde::Serialize;

use super::check::{Check, Outcome};
use crate::args::Format;
use crate::envelope::VERSION;
use crate::output::{Stdout, printable};

/// A run as one JSON object.
#[derive(Serialize)]
struct Report<'a> {
    _cmd: &'static str,
    _v: u32,
    /// The checks were made. When they cannot be, there is an error in their place.
    checked: bool,
    healthy: bool,
    topic: Option<&'a str>,
    ms: f64,
    checks: &'a [Check],
}

pub(super) fn write(
    stdout: &mut Stdout,
    format: Format,
    topic: Option<&str>,
    checks: &[Check],
    ms: f64,
) {
    let healthy = checks.iter().all(|check| check.finding().is_none());
    match format {
        Format::Text => checks.iter().for_each(|check| text(stdout, check)),
        Format::Json => stdout.json(&Report {
            _cmd: "doctor",
            _v: VERSION,
            checked: true,
            healthy,
            topic,
            ms,
            checks,
        }),
    }
}

fn text(stdout: &mut Stdout, check: &Check) {
    let label = match check.result {
        Outcome::Ok => "ok  ",
        Outcome::Note => "note",
        Outcome::Fail => "FAIL",
        Outcome::Skipped => "skip",
    };
    // Servers may say anything.
    let evidence = printable(check.evidence.as_bytes());
    let id = check.id.map(|id| format!("  [{id}]")).unwrap_or_default();
    let because = check.because.map(|id| format!(": skipped because of {id}")).unwrap_or_default();
    stdout.line(format_args!("{label}  {evidence}{because}{id}"));
    if let Some(meaning) = check.meaning {
        stdout.line(format_args!("      {meaning}"));
    }
    if let Some(remedy) = &check.remedy {
        stdout.line(format_args!("      {}", printable(remedy.as_bytes())));
    }
}
