//! What became of the messages of a run, in numbers; and the exit code that follows from it.

use std::fmt::Write;
use std::time::Duration;

use posthaste::{ErrorKind, Outcome, SendError, SendStatus};

use crate::exit::Exit;
use crate::latency::Latency;
use crate::stderr::{counted, thousands};

/// Counts of a run.
pub(crate) struct Tally {
    /// Acknowledged by a broker, with any status.
    pub(crate) stored: u64,
    /// Of these: stored with less than the broker's full guarantee.
    pub(crate) weaker: u64,
    /// One-way: written to the socket.
    pub(crate) handed_over: u64,
    pub(crate) not_stored: u64,
    pub(crate) unknown: u64,
    /// Records that are no messages.
    pub(crate) bad: u64,
    /// The input could not be read to its end.
    pub(crate) unreadable: bool,
    /// stdout could not be written.
    pub(crate) unwritable: bool,
    pub(crate) interrupted: bool,
    /// Requests that a broker refused as busy; their messages waited and were sent again.
    pub(crate) busy: u64,
    /// Why the first message that was not stored was not.
    first: Option<ErrorKind>,
    latency: Latency,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            stored: 0,
            weaker: 0,
            handed_over: 0,
            not_stored: 0,
            unknown: 0,
            bad: 0,
            unreadable: false,
            unwritable: false,
            interrupted: false,
            busy: 0,
            first: None,
            latency: Latency::new(),
        }
    }

    /// Counts a stored message.
    pub(crate) fn stored(&mut self, status: SendStatus) {
        self.stored += 1;
        self.weaker += u64::from(status != SendStatus::Stored);
    }

    /// Counts how long a message took that did not fail.
    pub(crate) fn took(&mut self, latency: Duration) {
        self.latency.record(latency);
    }

    /// Counts a message that failed.
    pub(crate) fn failed(&mut self, error: &SendError) {
        self.count_failure(error.kind(), error.outcome());
    }

    fn count_failure(&mut self, kind: ErrorKind, outcome: Outcome) {
        match outcome {
            Outcome::NotStored => self.not_stored += 1,
            Outcome::Unknown => self.unknown += 1,
        }
        self.first.get_or_insert(kind);
    }

    /// Messages that ended as they should.
    pub(crate) fn went(&self) -> u64 {
        self.stored + self.handed_over
    }

    /// Messages that came to an end of any kind.
    pub(crate) fn ended(&self) -> u64 {
        self.went() + self.failures()
    }

    /// Messages that did not end as they should.
    pub(crate) fn failures(&self) -> u64 {
        self.not_stored + self.unknown + self.bad
    }

    /// The exit code, as the table of [`Exit`] says.
    pub(crate) fn exit(&self, strict: bool) -> Exit {
        let some_went = self.went() > 0;
        let some_did_not = self.failures() > 0 || self.unreadable;
        if self.interrupted {
            Exit::Interrupted
        } else if self.unknown > 0 || (some_went && (some_did_not || self.unwritable)) {
            Exit::Partial
        } else if self.bad > 0 || self.unreadable {
            Exit::Usage
        } else if let Some(kind) = self.first {
            Exit::of(kind)
        } else if self.unwritable {
            Exit::Failed
        } else if strict && self.weaker > 0 {
            Exit::Partial
        } else {
            Exit::Done
        }
    }

    /// One line of progress: in full, or as much as fits into this many characters.
    pub(crate) fn so_far(
        &self,
        elapsed: Duration,
        in_flight: usize,
        most: Option<usize>,
    ) -> String {
        let rate = rate(self.ended(), elapsed);
        let in_flight = format!("{} in flight", thousands(in_flight as u64));
        let Some(most) = most else {
            return format!("{}, {rate}, {in_flight}", self.counts());
        };
        let (went, word) = self.went_as();
        let mut parts = vec![format!("{} {word}", thousands(went))];
        if self.failures() > 0 {
            parts.push(format!("{} failed", thousands(self.failures())));
        }
        parts.extend([rate, in_flight]);
        let mut line = String::new();
        for part in parts {
            let comma = if line.is_empty() { "" } else { ", " };
            if line.len() + comma.len() + part.len() > most {
                break;
            }
            line += comma;
            line += &part;
        }
        line
    }

    /// One line at the end.
    pub(crate) fn summary(&self, elapsed: Duration) -> String {
        let rate = rate(self.went(), elapsed);
        let mut line = format!("{} in {:.2} s ({rate})", self.counts(), elapsed.as_secs_f64());
        let latency = &self.latency;
        if let (Some(p50), Some(p99), Some(max)) =
            (latency.at(0.5), latency.at(0.99), latency.max())
        {
            let (p50, p99, max) = (millis(p50), millis(p99), millis(max));
            // Writing to a text does not fail.
            let _ = write!(line, "        p50 {p50}  p99 {p99}  max {max}");
        }
        if self.busy > 0 {
            let _ = write!(line, "        {} refused as busy", counted(self.busy, "request"));
        }
        line
    }

    fn went_as(&self) -> (u64, &'static str) {
        match self.handed_over {
            0 => (self.stored, "stored"),
            handed_over => (handed_over, "handed over"),
        }
    }

    fn counts(&self) -> String {
        let (went, word) = self.went_as();
        let mut counts =
            format!("{} {word}, {} failed", thousands(went), thousands(self.failures()));
        if self.failures() > 0 {
            let parts = [
                (self.not_stored, "not_stored"),
                (self.unknown, "unknown"),
                (self.bad, "bad input"),
            ];
            let parts: Vec<String> = parts
                .iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, what)| format!("{} {what}", thousands(*n)))
                .collect();
            let _ = write!(counts, " ({})", parts.join(", "));
        }
        counts
    }
}

/// `12,345/s`, and `0.33/s` where less than one a second would be shown as none.
fn rate(count: u64, elapsed: Duration) -> String {
    match count as f64 / elapsed.as_secs_f64().max(1e-6) {
        rate if rate > 0.0 && rate < 0.995 => format!("{rate:.2}/s"),
        rate => format!("{}/s", thousands(rate.round() as u64)),
    }
}

fn millis(micros: u64) -> String {
    let ms = micros as f64 / 1_000.0;
    match ms {
        ms if ms < 0.1 => format!("{ms:.2} ms"),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Exit::*;

    /// What to count, and the exit codes that follow without and with `--strict`.
    type Row = (&'static str, fn(&mut Tally), Exit, Exit);

    fn fail(tally: &mut Tally, kind: ErrorKind) {
        tally.count_failure(kind, Outcome::NotStored);
    }

    fn check(rows: &[Row]) {
        for (what, count, exit, strict) in rows {
            let mut tally = Tally::new();
            count(&mut tally);
            assert_eq!((tally.exit(false), tally.exit(true)), (*exit, *strict), "{what}");
        }
    }

    #[test]
    fn the_exit_code_of_one_outcome_of_all_messages() {
        check(&[
            ("nothing to send", |_| {}, Done, Done),
            ("all stored", |t| t.stored = 3, Done, Done),
            ("all handed over", |t| t.handed_over = 3, Done, Done),
            ("a weaker status", |t| (t.stored, t.weaker) = (3, 1), Done, Partial),
            ("timed out, nothing stored", |t| fail(t, ErrorKind::Timeout), Failed, Failed),
            ("busy, nothing stored", |t| fail(t, ErrorKind::Busy), Failed, Failed),
            ("invalid message", |t| fail(t, ErrorKind::Invalid), Usage, Usage),
            ("no route", |t| fail(t, ErrorKind::NoRoute), Unreachable, Unreachable),
            ("no topic", |t| fail(t, ErrorKind::NoTopic), Unreachable, Unreachable),
            (
                "no writable queue",
                |t| fail(t, ErrorKind::NoWritableQueue),
                Unreachable,
                Unreachable,
            ),
            ("no broker", |t| fail(t, ErrorKind::Connect), Unreachable, Unreachable),
            ("denied", |t| fail(t, ErrorKind::Denied), Refused, Refused),
            (
                "the first failure counts",
                |t| {
                    fail(t, ErrorKind::NoRoute);
                    fail(t, ErrorKind::EarlierFailed);
                },
                Unreachable,
                Unreachable,
            ),
        ]);
    }

    #[test]
    fn the_exit_code_of_mixed_outcomes() {
        check(&[
            (
                "one unknown",
                |t| t.count_failure(ErrorKind::Timeout, Outcome::Unknown),
                Partial,
                Partial,
            ),
            (
                "some stored, some not",
                |t| {
                    t.stored = 1;
                    fail(t, ErrorKind::NoRoute);
                },
                Partial,
                Partial,
            ),
            (
                "some stored, one invalid",
                |t| {
                    t.stored = 1;
                    fail(t, ErrorKind::Invalid);
                },
                Partial,
                Partial,
            ),
            ("interrupted", |t| t.interrupted = true, Interrupted, Interrupted),
            (
                "interrupted with failures",
                |t| {
                    t.interrupted = true;
                    t.stored = 1;
                    fail(t, ErrorKind::Closed);
                },
                Interrupted,
                Interrupted,
            ),
        ]);
    }

    #[test]
    fn the_exit_code_where_input_or_stdout_fails() {
        check(&[
            ("bad record", |t| t.bad = 1, Usage, Usage),
            ("bad record after stored ones", |t| (t.stored, t.bad) = (16, 1), Partial, Partial),
            (
                "bad record after one-way ones",
                |t| (t.handed_over, t.bad) = (16, 1),
                Partial,
                Partial,
            ),
            ("unreadable", |t| t.unreadable = true, Usage, Usage),
            (
                "unreadable after stored ones",
                |t| (t.stored, t.unreadable) = (16, true),
                Partial,
                Partial,
            ),
            (
                "unknown and a bad record",
                |t| {
                    t.bad = 1;
                    t.count_failure(ErrorKind::ConnectionLost, Outcome::Unknown);
                },
                Partial,
                Partial,
            ),
            (
                "stored, but the receipts are lost",
                |t| (t.stored, t.unwritable) = (1, true),
                Partial,
                Partial,
            ),
            ("nothing stored, and stdout full", |t| t.unwritable = true, Failed, Failed),
        ]);
    }

    #[test]
    fn rates_are_rounded_and_never_none_where_there_is_one() {
        let rate = |count, ms| rate(count, Duration::from_millis(ms));
        let told =
            [rate(10, 1_020), rate(1, 1_003), rate(1, 3_000), rate(100_000, 910), rate(0, 0)];
        assert_eq!(told, ["10/s", "1/s", "0.33/s", "109,890/s", "0/s"]);
    }

    #[test]
    fn the_bar_says_what_fits() {
        let bar = |stored, unknown, in_flight| {
            let tally = Tally { stored, unknown, ..Tally::new() };
            tally.so_far(Duration::from_secs(10), in_flight, Some(37))
        };
        assert_eq!(bar(0, 0, 1), "0 stored, 0/s, 1 in flight");
        assert_eq!(bar(12_340, 3, 16), "12,340 stored, 3 failed, 1,234/s");
        assert_eq!(bar(12_345_678_901, 12_345_678_901, 16), "12,345,678,901 stored");
        let tally = Tally { stored: 20, unknown: 3, ..Tally::new() };
        let whole = "20 stored, 3 failed (3 unknown), 2/s, 16 in flight";
        assert_eq!(tally.so_far(Duration::from_secs(10), 16, None), whole);
    }

    #[test]
    fn the_summary_is_one_line() {
        let mut tally = Tally::new();
        tally.stored = 100_000;
        for micros in 1..=100 {
            tally.took(Duration::from_micros(micros * 31));
        }
        assert_eq!(
            tally.summary(Duration::from_millis(910)),
            "100,000 stored, 0 failed in 0.91 s (109,890/s)        p50 1.6 ms  p99 3.1 ms  max 3.1 ms"
        );
        tally.busy = 1;
        assert!(
            tally
                .summary(Duration::from_millis(910))
                .ends_with("max 3.1 ms        1 request refused as busy")
        );
        tally.busy = 1_234;
        assert!(
            tally
                .summary(Duration::from_millis(910))
                .ends_with("max 3.1 ms        1,234 requests refused as busy")
        );
        tally.count_failure(ErrorKind::Busy, Outcome::NotStored);
        tally.count_failure(ErrorKind::Timeout, Outcome::Unknown);
        assert!(
            tally
                .summary(Duration::from_secs(1))
                .starts_with("100,000 stored, 2 failed (1 not_stored, 1 unknown) in 1.00 s")
        );
    }
}
