//! Where another client is better than Posthaste with its defaults.

use std::fmt::Write;

use crate::case::Case;
use crate::client::POSTHASTE;
use crate::record::{Record, Session};
use crate::table::digits;

/// A figure, its name, and whether more of it is better.
type Figure = (&'static str, fn(&Record) -> f64, bool);

const FIGURES: [Figure; 3] = [
    ("messages per second", Record::rate, true),
    ("client CPU per message", Record::client_cpu, false),
    ("peak memory", Record::peak_rss_mib, false),
];

/// A line for every row and figure in which another client (not the bare loop, which is no client)
/// has the better median.
pub(crate) fn markdown(session: &Session) -> String {
    let mut text = String::new();
    for (server, scenario, body, clients) in session.rows() {
        let case = |client| Case { server, scenario, body, client };
        for (name, figure, more_is_better) in FIGURES {
            let median = |client| Some(session.spread(&case(client), figure)?.median);
            let Some(ours) = median(POSTHASTE) else { continue };
            for client in clients.iter().filter(|client| client.is_rival()) {
                let Some(theirs) = median(*client) else { continue };
                if theirs != ours && (theirs > ours) == more_is_better {
                    let by = theirs.max(ours) / theirs.min(ours);
                    let _ = writeln!(
                        text,
                        "- {server}, {scenario}, {body} B: {client} is better in {name}, by {} ×",
                        digits(by)
                    );
                }
            }
        }
    }
    if text.is_empty() { "- In no row of this run.\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Scenario, ServerKind};
    use crate::client::{Client, GO, bare};
    use crate::machine::Machine;
    use bench_session::Measurement;

    fn session(rates: &[(Client, u64)]) -> Session {
        let record = |(client, messages): &(Client, u64)| {
            let (server, scenario) = (ServerKind::Null, Scenario::InFlight(1));
            let case = Case { server, scenario, body: 128, client: *client };
            let measurement =
                Measurement { messages: *messages, seconds: 1.0, ..Measurement::default() };
            Record { measurement, error: None, ..Record::failure(case, 0, String::new()) }
        };
        let (records, machine) = (rates.iter().map(record).collect(), Machine::default());
        let (charts, findings) = (Vec::new(), Vec::new());
        Session { begun: String::new(), machine, seconds: 1.0, records, charts, findings }
    }

    #[test]
    fn a_faster_rival_is_named_and_the_bare_loop_is_not() {
        let rates = [(POSTHASTE, 10), (GO, 20), (bare(1), 90)];
        let text = markdown(&session(&rates));
        assert_eq!(
            text,
            "- null, one at a time, 128 B: Go 2.1.2 is better in messages per second, by 2.00 ×\n"
        );
    }

    #[test]
    fn nothing_lost_is_said_too() {
        let rates = [(POSTHASTE, 10), (GO, 5)];
        assert_eq!(markdown(&session(&rates)), "- In no row of this run.\n");
    }
}
