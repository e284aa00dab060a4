//! Moments and sizes, as pages write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment as `2026-12-01 13:57:01.042 UTC`.
pub(super) fn utc(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, ms) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03} UTC")
}

/// Year, month and day of a number of days since 1970, as in the Gregorian calendar: years that begin
/// with March have their odd day at the end.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + later, month, day)
}

/// How long ago something was: `12 s ago`.
pub(super) fn ago(time: SystemTime, now: SystemTime) -> String {
    format!("{} ago", duration(now.duration_since(time).unwrap_or_default()))
}

/// A duration, in its largest unit.
pub(super) fn duration(time: Duration) -> String {
    match time.as_secs() {
        0 => "less than 1 s".to_owned(),
        seconds @ 1..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// A number with commas between its thousands.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes.
pub(super) fn bytes(bytes: usize) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00.007 UTC"),
            (68_169_599, "1972-02-28 23:59:59.007 UTC"),
            (68_169_600, "1972-02-29 00:00:00.007 UTC"),
            (951_782_400, "2000-02-29 00:00:00.007 UTC"),
            (951_868_800, "2000-03-01 00:00:00.007 UTC"),
            (1_796_083_199, "2026-11-30 23:59:59.007 UTC"),
            (1_796_083_200, "2026-12-01 00:00:00.007 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00.007 UTC"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_millis(seconds * 1_000 + 7)), text);
        }
    }

    #[test]
    fn numbers_are_easy_to_read() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(n), text);
        }
        for (n, text) in [(1_023, "1023 B"), (1_536, "1.5 KiB"), (5_242_880, "5.0 MiB")] {
            assert_eq!(bytes(n), text);
        }
        for (seconds, text) in [
            (0, "less than 1 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_200, "2 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
