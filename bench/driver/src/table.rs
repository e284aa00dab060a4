//! The table of medians.

use std::fmt::Write;

use crate::case::{Case, Scenario, ServerKind};
use crate::client::Client;
use crate::record::{Record, Session};

/// The middle of some numbers, and their ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` when there are no numbers.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = (sorted.len().checked_sub(1)?) / 2;
        let (lower, upper) = (sorted.get(middle)?, sorted.get(sorted.len() / 2)?);
        let median = f64::midpoint(*lower, *upper);
        Some(Self { median, least: *sorted.first()?, most: *sorted.last()? })
    }
}

impl Session {
    /// The records of a case that ended with a measurement.
    pub(crate) fn of<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.case == *case && record.error.is_none())
    }

    /// The spread of a figure of a case.
    pub(crate) fn spread(&self, case: &Case, figure: impl Fn(&Record) -> f64) -> Option<Spread> {
        Spread::of(self.of(case).map(figure))
    }

    /// The rows of the table: all clients that met the same server with the same scenario.
    pub(crate) fn rows(&self) -> Vec<(ServerKind, Scenario, usize, Vec<Client>)> {
        let mut rows: Vec<(ServerKind, Scenario, usize, Vec<Client>)> = Vec::new();
        let mut cases: Vec<&Case> = self.records.iter().map(|record| &record.case).collect();
        cases.sort();
        cases.dedup();
        for case in cases {
            match rows.last_mut() {
                Some((server, scenario, body, clients))
                    if (*server, *scenario, *body) == (case.server, case.scenario, case.body) =>
                {
                    clients.push(case.client);
                }
                _ => rows.push((case.server, case.scenario, case.body, vec![case.client])),
            }
        }
        rows
    }
}

/// The whole table as Markdown.
pub(crate) fn markdown(session: &Session) -> String {
    let mut text = String::new();
    let mut last = None;
    for (server, scenario, body, clients) in session.rows() {
        if last.replace(server) != Some(server) {
            let _ = writeln!(text, "\n### {}\n", title(server));
        }
        let _ = writeln!(text, "\n**{}, {}**\n", capital(&scenario.to_string()), bytes(body));
        text += "| client | messages/s (least – most) | lasting/s | p50 | p99 | p99.9 | client µs/msg | server µs/msg | peak MiB | failed | stored |\n";
        text += "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
        for client in clients {
            text += &line(session, &Case { server, scenario, body, client });
        }
    }
    text
}

fn line(session: &Session, case: &Case) -> String {
    let median = |figure: &dyn Fn(&Record) -> f64| {
        session.spread(case, figure).map_or(f64::NAN, |spread| spread.median)
    };
    let Some(rate) = session.spread(case, Record::rate) else {
        return format!("| {} | did not finish | | | | | | | | |\n", case.client);
    };
    // An unlimited one-way send has no round trip to speak of in Java.
    let latency = |figure: &dyn Fn(&Record) -> f64| {
        let median = median(figure);
        if median == 0.0 { "–".to_owned() } else { duration(median) }
    };
    format!(
        "| {} | {} ({} – {}) | {} | {} | {} | {} | {} | {} | {:.0} | {} | {} |\n",
        case.client,
        count(rate.median),
        count(rate.least),
        count(rate.most),
        // The other servers store before they answer.
        match case.server {
            ServerKind::Real => count(median(&Record::lasting_rate)),
            ServerKind::Null | ServerKind::Embedded => "–".to_owned(),
        },
        latency(&|record| record.measurement.p50_us),
        latency(&|record| record.measurement.p99_us),
        latency(&|record| record.measurement.p999_us),
        digits(median(&Record::client_cpu)),
        digits(median(&Record::server_cpu)),
        median(&Record::peak_rss_mib),
        failed(session, case),
        stored(session, case),
    )
}

fn failed(session: &Session, case: &Case) -> String {
    match session.spread(case, Record::failed_share).map(|spread| (spread.median, spread.most)) {
        None | Some((_, 0.0)) => "0".to_owned(),
        Some((median, most)) => format!("{:.2} % (≤ {:.2} %)", 100.0 * median, 100.0 * most),
    }
}

/// What the server stored of what was acknowledged.
fn stored(session: &Session, case: &Case) -> String {
    if session.of(case).all(|record| record.stored == record.measurement.messages) {
        return "all".to_owned();
    }
    let median = |figure: &dyn Fn(&Record) -> f64| {
        session.spread(case, figure).map_or(f64::NAN, |spread| spread.median)
    };
    let stored = median(&|record| record.stored as f64);
    let acknowledged = median(&|record| record.measurement.messages as f64);
    format!("{} of {}", count(stored), count(acknowledged))
}

fn title(server: ServerKind) -> &'static str {
    match server {
        ServerKind::Real => "On Apache RocketMQ 5.5.0",
        ServerKind::Null => "On the wire: a broker that answers at once and stores nothing",
        ServerKind::Embedded => "On the embedded broker",
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn bytes(count: usize) -> String {
    if count.is_multiple_of(1024) { format!("{} KiB", count / 1024) } else { format!("{count} B") }
}

/// Three digits of a number of messages.
pub(crate) fn count(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{} M", digits(n / 1e6)),
        n if n >= 1e3 => format!("{} k", digits(n / 1e3)),
        n => digits(n),
    }
}

fn duration(us: f64) -> String {
    if us < 1000.0 { format!("{} µs", digits(us)) } else { format!("{} ms", digits(us / 1000.0)) }
}

/// Three digits.
pub(crate) fn digits(number: f64) -> String {
    match number.abs() {
        n if n >= 99.95 => format!("{number:.0}"),
        n if n >= 9.995 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { median: 2.5, least: 1.0, most: 4.0 });
    }

    #[test]
    fn the_median_of_an_odd_number_is_the_middle() {
        assert_eq!(Spread::of([9.0, 1.0, 5.0]).map(|spread| spread.median), Some(5.0));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn three_digits() {
        assert_eq!(count(1_234_567.0), "1.23 M");
        assert_eq!(count(45_678.0), "45.7 k");
        assert_eq!(count(999.0), "999");
        assert_eq!(duration(1234.0), "1.23 ms");
    }
}
