//! How the values of flags are written: durations, sizes, rates, delimiters, pairs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use posthaste_broker::{Fault, FaultError};

/// `3s`, `500ms`, `1.5s`, `2m`, `1h30m`, `2d`; a bare number counts seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, mut behind) = number_and_unit(text)?;
    let mut seconds = if behind.is_empty() { number } else { 0.0 };
    let mut number = number;
    while !behind.is_empty() {
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(end);
        seconds += number * seconds_in(unit.trim())?;
        if next.is_empty() {
            break;
        }
        (number, behind) = number_and_unit(next)?;
        if behind.is_empty() {
            return Err(format!("`{next}` has no unit of time; write {text}m, or the like"));
        }
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && duration <= LONGEST => Ok(duration),
        _ => Err("a duration is longer than 0, and at most 36500d".into()),
    }
}

/// From now on, so long is a time that the system's clock can still name.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// How long a unit of time is.
fn seconds_in(unit: &str) -> Result<f64, String> {
    Ok(match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => {
            return Err(format!(
                "`{unit}` is not a unit of time; write 500ms, 3s, 2m, 1h30m or 2d"
            ));
        }
    })
}

/// A time: `now`, how long ago (`1h30m`), a date with or without time and zone, or milliseconds
/// since 1970, as JSON lines have them. A date without a zone is in the local one.
pub(crate) fn time(text: &str) -> Result<SystemTime, String> {
    let text = text.trim();
    if text == "now" {
        return Ok(SystemTime::now());
    }
    if text.len() > 10
        && let Ok(ms) = text.parse()
    {
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(ms));
        return time.ok_or_else(|| format!("`{text}` is too far in the future"));
    }
    if let Some(date) = date(text) {
        return Ok(date);
    }
    let wrong = "a time is written as 1h30m (ago), 2d, 2026-11-30, 2026-11-30T14:00, \
                 2026-11-30T14:00:00Z or now";
    let ago = duration(text).map_err(|_| format!("`{text}` is no time; {wrong}"))?;
    let time = SystemTime::now().checked_sub(ago).filter(|time| *time >= UNIX_EPOCH);
    time.ok_or_else(|| format!("`{text}` ago is before 1970"))
}

fn date(text: &str) -> Option<SystemTime> {
    if let Ok(zoned) = text.parse::<ZonedDateTime>() {
        return zoned.try_into().ok();
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return timestamp.try_into().ok();
    }
    let local = text.parse::<DateTime>().ok()?;
    local.to_zoned_datetime(TimeZone::system()).ok()?.try_into().ok()
}

/// `true` or `false`.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("`{text}` is neither true nor false"))
}

/// One of the words that a value may be.
pub(crate) fn word<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let words: Vec<String> = words.map(|word| word.get_name().to_owned()).collect();
        format!("`{text}` is none of {}", words.join(", "))
    })
}

/// How many queues a topic may have on a broker.
pub(crate) fn queues(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(queues @ 1..=1_024) => Ok(queues),
        _ => Err(format!("`{text}` is not a number from 1 to 1024")),
    }
}

/// `64MiB`, `64M`, `1g`, `512k`, `4096`: all powers of 1,024, in bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(format!("`{unit}` is not a unit of size; write 64MiB, 512k or 1g")),
    };
    let bytes = number * factor as f64;
    if bytes < 1.0 || bytes > (1_u64 << 50) as f64 {
        return Err("a size must be at least 1 byte and at most 1,048,576 GiB".into());
    }
    Ok(bytes as u64)
}

/// The size of a body, as [`size`], up to what brokers take by default.
pub(crate) fn body_size(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    match usize::try_from(bytes) {
        Ok(bytes @ ..=0x40_0000) => Ok(bytes),
        _ => Err("a body may have at most 4 MiB".into()),
    }
}

/// `500`, `500/s`, `30/m`, `100/h`: messages a second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let (count, per) = text.split_once('/').unwrap_or((text, "s"));
    let count: f64 =
        count.trim().parse().map_err(|_| "write a rate as 500/s or 30/m".to_owned())?;
    let seconds = match per.trim() {
        "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        other => {
            return Err(format!("`{other}` is not a unit of time; write 500/s, 30/m or 100/h"));
        }
    };
    let rate = count / seconds;
    if (1e-5..=1e9).contains(&rate) {
        Ok(rate)
    } else {
        Err("a rate must be more than 0 and at most 1000000000/s".into())
    }
}

/// A delimiter: text with the escapes `\n \r \t \0 \\ \xHH`.
pub(crate) fn delimiter(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        bytes.push(match chars.next() {
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let hex: String = chars.by_ref().take(2).collect();
                hex_byte(&hex).ok_or("`\\x` needs two hexadecimal digits")?
            }
            _ => return Err("known escapes are \\n \\r \\t \\0 \\\\ and \\xHH".into()),
        });
    }
    if bytes.is_empty() { Err("a delimiter cannot be empty".into()) } else { Ok(bytes) }
}

fn hex_byte(text: &str) -> Option<u8> {
    let digits = text.len() == 2 && text.chars().all(|c| c.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(text, 16).ok())?
}

/// `NAME=VALUE`.
pub(crate) fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.into(), value.into()))
        }
        _ => Err("write a property as NAME=VALUE; neither part may be empty".into()),
    }
}

/// `BROKER:ID`, one queue of the topic.
pub(crate) fn queue(text: &str) -> Result<(String, i32), String> {
    let parts = text.rsplit_once(':').and_then(|(broker, id)| Some((broker, id.parse().ok()?)));
    match parts {
        Some((broker, id)) if !broker.is_empty() && id >= 0 => Ok((broker.into(), id)),
        _ => Err("write a queue as BROKER:ID, as in broker-a:3".into()),
    }
}

/// `NAME` or `NAME:QUEUES`, a topic to create at the start.
pub(crate) fn seed_topic(text: &str) -> Result<(String, u32), String> {
    let (name, queues) = text.split_once(':').unwrap_or((text, "8"));
    match queues.parse() {
        Ok(queues @ 1..=1_024) if !name.is_empty() => Ok((name.into(), queues)),
        _ => Err("write a topic as NAME:QUEUES with 1 to 1024 queues, as in Orders:8".into()),
    }
}

/// A fault rule in words, as [`Fault`] has them.
pub(crate) fn fault(text: &str) -> Result<Fault, String> {
    let fault: Fault = text.parse().map_err(|error: FaultError| error.to_string())?;
    fault.check().map_err(|error| error.to_string())?;
    Ok(fault)
}

/// `FROM=TO`, each a host or `host:port`.
pub(crate) fn broker_map(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.into(), to.into())),
        _ => Err("write FROM=TO, as in 172.17.0.3=localhost".into()),
    }
}

/// `host:port` of an inspector, with or without `http://`; a missing port is 9877.
pub(crate) fn inspector(text: &str) -> Result<String, String> {
    let plain = text.strip_prefix("http://").unwrap_or(text);
    let plain = plain.strip_suffix('/').unwrap_or(plain);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    let wrong = || format!("`{text}` is no host and port; write it as in 127.0.0.1:9877");
    if plain.is_empty() || !plain.chars().all(is_part) {
        return Err(wrong());
    }
    // What is in brackets has colons of its own.
    match plain.get(plain.rfind(']').map_or(0, |at| at + 1)..).unwrap_or_default() {
        "" => Ok(format!("{plain}:9877")),
        rest => match rest.rsplit_once(':') {
            Some((host, port)) => {
                let is_host = !host.contains(':') && (!host.is_empty() || plain.starts_with('['));
                let is_place = is_host && port.parse::<u16>().is_ok();
                if is_place { Ok(plain.to_owned()) } else { Err(wrong()) }
            }
            None => Ok(format!("{plain}:9877")),
        },
    }
}

/// `host:port`, several separated by `;` or `,`; a missing port is 9876.
pub(crate) fn name_servers(text: &str) -> Result<String, String> {
    let servers = text.split([';', ',']).map(str::trim).filter(|server| !server.is_empty());
    let servers = servers.map(name_server).collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() {
        Err("no name server is given; write one as 127.0.0.1:9876".into())
    } else {
        Ok(servers.join(";"))
    }
}

fn name_server(text: &str) -> Result<String, String> {
    if text.contains("://") || text.contains(['/', ' ']) {
        return Err(format!(
            "`{text}`: a name server is written host:port, without a scheme or path"
        ));
    }
    let bare_ipv6 = text.parse::<std::net::Ipv6Addr>().is_ok();
    if bare_ipv6 {
        return Ok(format!("[{text}]:9876"));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => match port.parse::<u16>() {
            Ok(1..) if !host.is_empty() => Ok(text.into()),
            _ => Err(format!("`{text}`: write host:port with a port from 1 to 65535")),
        },
        _ => Ok(format!("{text}:9876")),
    }
}

fn number_and_unit(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = number.parse().map_err(|_| format!("`{text}` does not start with a number"))?;
    Ok((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspectors() {
        for (text, host) in [
            ("127.0.0.1:9877", "127.0.0.1:9877"),
            ("http://localhost:80/", "localhost:80"),
            ("dev", "dev:9877"),
            ("[::1]", "[::1]:9877"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(inspector(text).as_deref(), Ok(host));
        }
        for text in ["", "http://", "https://dev", "dev:x", "dev/api", "::1", "a b", "me@dev", ":1"]
        {
            assert!(inspector(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [
            ("3s", 3_000),
            ("500ms", 500),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("7", 7_000),
            ("2d", 172_800_000),
            ("1h30m", 5_400_000),
            ("1h 0.5s", 3_600_500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "s",
            "3x",
            "0s",
            "-1s",
            "1e99s",
            "1..2s",
            "1h30",
            "1h-2m",
            "36501d",
            "5124095576030430h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, ms) in [
            ("2026-11-30T14:00:00Z", 1_796_047_200_000),
            ("2026-11-30T14:00:00.25+01:00", 1_796_043_600_250),
            ("2026-11-30T14:00[Europe/Berlin]", 1_796_043_600_000),
            ("1796047200001", 1_796_047_200_001),
        ] {
            assert_eq!(time(text), Ok(UNIX_EPOCH + Duration::from_millis(ms)), "{text}");
        }
        let (before, ago) = (SystemTime::now(), time("1h30m").unwrap());
        let ago = ago + Duration::from_secs(5_400);
        assert!(before <= ago && ago <= SystemTime::now());
        let local = [time("2026-11-30"), time("2026-11-30T00:00"), time("2026-11-30 00:00:00")];
        assert!(local[0].is_ok() && local.iter().all(|time| *time == local[0]), "{local:?}");
        for text in ["", "x", "yesterday", "2026-13-01", "-1h", "999999999d", "14:00"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("64m", 64 << 20),
            ("1g", 1 << 30),
            ("512K", 512 << 10),
            ("4096", 4096),
            ("1.5k", 1536),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "3x", "0", "-1", "9999999999g"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_of_bodies() {
        assert_eq!(body_size("4MiB"), Ok(4 << 20));
        assert!(body_size("4194305").is_err() && body_size("1g").is_err());
    }

    #[test]
    fn rates() {
        for (text, per_second) in [("500/s", 500.0), ("500", 500.0), ("30/m", 0.5), ("7200/h", 2.0)]
        {
            assert_eq!(rate(text), Ok(per_second), "{text}");
        }
        for text in ["", "0", "-1/s", "5/d", "x/s", "inf", "NaN"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn delimiters() {
        let cases: [(&str, &[u8]); 6] = [
            (r"\n", b"\n"),
            (r"\t", b"\t"),
            (r"\x1e", b"\x1e"),
            (r"\0", b"\0"),
            ("<->", b"<->"),
            (r"\\é", "\\é".as_bytes()),
        ];
        for (text, bytes) in cases {
            assert_eq!(delimiter(text).as_deref(), Ok(bytes), "{text}");
        }
        for text in ["", r"\", r"\q", r"\x1", r"\xzz", r"\x+1"] {
            assert!(delimiter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pairs() {
        assert_eq!(property("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(property("a").is_err() && property("=b").is_err() && property("a=").is_err());
        assert_eq!(queue("broker-a:3"), Ok(("broker-a".into(), 3)));
        assert!(queue("broker-a").is_err() && queue(":1").is_err() && queue("a:-1").is_err());
        assert_eq!(seed_topic("Orders:4"), Ok(("Orders".into(), 4)));
        assert_eq!(seed_topic("Orders"), Ok(("Orders".into(), 8)));
        assert!(seed_topic("Orders:0").is_err() && seed_topic(":4").is_err());
        assert!(broker_map("a=").is_err() && broker_map("a").is_err());
    }

    #[test]
    fn name_server_lists() {
        for (text, list) in [
            ("a:1", "a:1"),
            ("a:1;b:2", "a:1;b:2"),
            ("a, b:2", "a:9876;b:2"),
            ("::1", "[::1]:9876"),
            ("[::1]", "[::1]:9876"),
            ("[::1]:77", "[::1]:77"),
        ] {
            assert_eq!(name_servers(text).as_deref(), Ok(list), "{text}");
        }
        for text in ["", ";", "a:b", ":1", "http://a:1", "a:0", "a:70000"] {
            assert!(name_servers(text).is_err(), "{text}");
        }
    }
}
