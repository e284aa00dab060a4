//! Times as they are written: `200ms`, `10s`.

use std::time::Duration;

use crate::fault::FaultError;

/// Units, the largest first, in nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A time in the largest unit that fits.
pub(super) fn written(time: Duration) -> String {
    let nanos = time.as_nanos();
    let fits = |(_, unit): &&(&str, u64)| nanos.is_multiple_of(u128::from(*unit));
    let (name, unit) = UNITS.iter().find(fits).copied().unwrap_or(("ns", 1));
    format!("{}{name}", nanos / u128::from(unit))
}

/// Reads a time.
pub(super) fn read(word: &str, text: &str) -> Result<Duration, FaultError> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, name) = text.split_at(end);
    let unit = UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, unit)| *unit);
    let seconds_and_rest = |nanos: u128| {
        let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
        Some(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
    };
    let time = unit
        .zip(number.parse::<u128>().ok())
        .and_then(|(unit, number)| number.checked_mul(u128::from(unit)).and_then(seconds_and_rest));
    let error = || {
        format!("{word}={text} is no time; write a whole number and h, m, s, ms, us or ns: 200ms")
    };
    time.ok_or_else(|| FaultError::Senseless(error()))
}
