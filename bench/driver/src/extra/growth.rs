//! What a message costs as callers, brokers, topics and the number of messages grow.

use std::time::Duration;

use anyhow::Result;

use super::Outcome;
use crate::case::{Case, Scenario, ServerKind};
use crate::client::Client;
use crate::curve::{Chart, Line};
use crate::goal::verdict;
use crate::record::Record;
use crate::round::measure_with;
use crate::server::{Server, TOPIC};
use crate::table::{Spread, digits};
use crate::workshop::Workshop;

const TRIES: usize = 5;
const LENGTH: Duration = Duration::from_secs(1);
const IN_FLIGHT: [usize; 6] = [32, 128, 512, 1024, 4096, 10_000];
const BROKERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const TOPICS: [usize; 4] = [1, 10, 100, 1000];
const MESSAGES: [usize; 3] = [100_000, 1_000_000, 10_000_000];

/// What is run for one point.
#[derive(Clone, Copy)]
struct Setup {
    client: Client,
    in_flight: usize,
    brokers: usize,
    topics: usize,
    messages: Option<usize>,
}

const USUAL: Setup = Setup {
    client: Client::PosthasteUnbatched,
    in_flight: 1024,
    brokers: 1,
    topics: 1,
    messages: None,
};

pub(crate) fn run(workshop: &Workshop) -> Result<Outcome> {
    let over =
        |places: &[usize], setup: &dyn Fn(usize) -> Setup| measure_all(workshop, places, setup);
    let callers = |client| over(&IN_FLIGHT, &|n| Setup { client, in_flight: n, ..USUAL });
    let brokers = |client| over(&BROKERS, &|n| Setup { client, brokers: n, ..USUAL });
    let spread =
        |client| over(&BROKERS, &|n| Setup { client, brokers: n, in_flight: 128 * n, ..USUAL });
    let topics = |client| over(&TOPICS, &|n| Setup { client, topics: n, ..USUAL });
    let posthaste = Client::PosthasteUnbatched;
    let bare = |batching| Client::BareCallers { batching, one_thread: false };
    let least = Client::LeastProducer { batching: false, one_thread: false };

    let (unbatched, unbatched_floor) = (callers(posthaste)?, callers(bare(false))?);
    let (brokers, brokers_floor) = (brokers(posthaste)?, brokers(bare(false))?);
    let (spread, spread_floor) = (spread(posthaste)?, spread(bare(false))?);
    let (topics, topics_floor) = (topics(posthaste)?, topics(least)?);
    let (batched, batched_floor) = (callers(Client::Posthaste)?, callers(bare(true))?);
    let client = Client::Posthaste;
    let sent = over(&MESSAGES, &|n| Setup { client, messages: Some(n), ..USUAL })?;

    let [unbatched, unbatched_floor, brokers, brokers_floor, spread, spread_floor] =
        [&unbatched, &unbatched_floor, &brokers, &brokers_floor, &spread, &spread_floor]
            .map(|points| curve(points, Record::client_cpu));
    let [topics, topics_floor, cost, cost_floor] =
        [&topics, &topics_floor, &batched, &batched_floor]
            .map(|points| curve(points, Record::client_cpu));
    let batch = |record: &Record| {
        record.measurement.messages as f64 / record.measurement.requests.unwrap_or(1).max(1) as f64
    };
    let (size, memory) = (curve(&batched, batch), curve(&sent, Record::peak_rss_mib));
    let findings = vec![
        flatness("callers", &unbatched, [Some(&unbatched_floor), None]),
        flatness("brokers", &brokers, [Some(&brokers_floor), None]),
        flatness("brokers with 128 callers for each", &spread, [Some(&spread_floor), None]),
        flatness("topics", &topics, [None, Some(&topics_floor)]),
        rise(&cost, &cost_floor),
        format!("batching on, peak memory after 10^5, 10^6, 10^7 messages: {} MiB", list(&memory)),
    ];
    let charts = vec![
        chart(
            "growth-callers",
            "Client CPU per message",
            "callers in flight",
            "µs",
            vec![
                Line { name: "batching off".into(), points: unbatched },
                Line { name: "batching on".into(), points: cost },
                Line { name: "bare callers, batching off".into(), points: unbatched_floor },
                Line { name: "bare callers".into(), points: cost_floor },
            ],
        ),
        chart(
            "growth-batch",
            "Messages per request, batching on",
            "callers in flight",
            "messages",
            vec![Line { name: "batch size".into(), points: size }],
        ),
        chart(
            "growth-spread",
            "Client CPU per message, batching off",
            "brokers, topics",
            "µs",
            vec![
                Line { name: "over brokers, 1,024 in all".into(), points: brokers },
                Line { name: "over brokers, 128 each".into(), points: spread },
                Line { name: "over topics".into(), points: topics },
                Line { name: "least producer over topics".into(), points: topics_floor },
                Line {
                    name: "bare callers over brokers, 1,024 in all".into(),
                    points: brokers_floor,
                },
                Line { name: "bare callers over brokers, 128 each".into(), points: spread_floor },
            ],
        ),
        chart(
            "growth-memory",
            "Peak memory, 1,024 in flight",
            "messages sent",
            "MiB",
            vec![Line { name: "peak RSS".into(), points: memory }],
        ),
    ];
    Ok(Outcome { findings, charts })
}

fn chart(name: &str, title: &str, x: &str, y: &str, lines: Vec<Line>) -> Chart {
    let title = format!("{title} (null broker, 128 B)");
    Chart { name: name.into(), title, x: x.into(), y: y.into(), log_x: true, lines }
}

/// Figures by their places.
type Curve = [(f64, f64)];

/// What was measured at each place.
type Points = Vec<(usize, Vec<Record>)>;

/// Measures at all places in turn, again and again: what else the machine does then falls on all of them.
fn measure_all(
    workshop: &Workshop,
    places: &[usize],
    setup: &dyn Fn(usize) -> Setup,
) -> Result<Points> {
    let mut points: Points = places.iter().map(|place| (*place, Vec::new())).collect();
    for _ in 0..TRIES {
        for (place, records) in &mut points {
            records.push(measure(workshop, setup(*place))?);
        }
    }
    Ok(points)
}

/// The median of a figure at each place.
fn curve(points: &Points, figure: impl Fn(&Record) -> f64) -> Vec<(f64, f64)> {
    let point = |(place, records): &(usize, Vec<Record>)| {
        let figures: Vec<f64> = records.iter().map(&figure).collect();
        (*place as f64, Spread::of(figures).map_or(f64::NAN, |spread| spread.median))
    };
    points.iter().map(point).collect()
}

fn measure(workshop: &Workshop, setup: Setup) -> Result<Record> {
    let mut server = Server::start_null(workshop, setup.brokers)?;
    let scenario = Scenario::InFlight(setup.in_flight);
    let case = Case { server: ServerKind::Null, scenario, body: 128, client: setup.client };
    let mut arguments = case.arguments(server.name_server(), TOPIC, LENGTH);
    arguments.with.push(format!("topics={}", setup.topics));
    arguments.messages = setup.messages.map(|messages| messages as u64);
    measure_with(workshop, &case, 0, &arguments, &mut server)
}

fn list(points: &Curve) -> String {
    points.iter().map(|point| digits(point.1)).collect::<Vec<_>>().join(", ")
}

/// Whether a cost stays within 20 % of where it begins.
fn flatness(what: &str, points: &Curve, [bare, least]: [Option<&Curve>; 2]) -> String {
    let worst = furthest(points);
    let (from, to) = (points.first().map_or(0.0, |p| p.0), points.last().map_or(0.0, |p| p.0));
    let floors = [bare, least].map(|floor| floor.map(furthest));
    let verdict = verdict(worst, floors, |off| off.abs() <= 20.0);
    format!(
        "batching off, client CPU per message over {from} to {to} {what}: {} µs; wanted within 20 % of the first, worst {worst:+.0} %: {verdict}{}{}",
        list(points),
        bare.map(|floor| beside("bare callers", floor)).unwrap_or_default(),
        least.map(|floor| beside("least producer", floor)).unwrap_or_default()
    )
}

/// Whether a cost ever rises; 5 % is what the same run differs by.
fn rise(points: &Curve, floor: &Curve) -> String {
    let worst = steepest(points);
    let verdict = verdict(worst, [Some(steepest(floor)), None], |step| step <= 5.0);
    format!(
        "batching on, client CPU per message over 32 to 10,000 callers: {} µs; wanted never rising, largest step {worst:+.0} %: {verdict}{}",
        list(points),
        beside("bare callers", floor)
    )
}

fn beside(whose: &str, floor: &Curve) -> String {
    format!("; the {whose}: {} µs", list(floor))
}

/// How far a cost comes from where it begins, in percent.
fn furthest(points: &Curve) -> f64 {
    let first = points.first().map_or(f64::NAN, |point| point.1);
    let offs = points.iter().map(|point| 100.0 * (point.1 / first - 1.0));
    offs.fold(0.0, |worst: f64, off| if off.abs() > worst.abs() { off } else { worst })
}

/// The largest step up, in percent.
fn steepest(points: &Curve) -> f64 {
    let pairs = points.iter().zip(points.iter().skip(1));
    pairs.map(|(a, b)| 100.0 * (b.1 / a.1 - 1.0)).fold(f64::MIN, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_falls_far_is_not_flat_either() {
        let flatness = |costs: &[(f64, f64)], floor: Option<&[(f64, f64); 2]>| {
            flatness("callers", costs, [floor.map(|floor| &floor[..]), None])
        };
        assert!(flatness(&[(32.0, 2.0), (64.0, 1.0)], None).ends_with("-50 %: **lost**"));
        assert!(flatness(&[(32.0, 2.0), (64.0, 2.3)], None).ends_with("+15 %: met"));
        let floors = [[(32.0, 1.0), (64.0, 1.1)], [(32.0, 1.0), (64.0, 1.3)]];
        let verdicts = floors.each_ref().map(|floor| flatness(&floors[1], Some(floor)));
        assert!(verdicts[0].ends_with("**lost**; the bare callers: 1.00, 1.10 µs"), "{verdicts:?}");
        assert!(verdicts[1].contains("**lost**, by the floor too;"), "{verdicts:?}");
    }

    #[test]
    fn a_cost_that_only_falls_never_rises() {
        let floor = [(32.0, 1.0), (64.0, 1.0)];
        assert!(rise(&[(32.0, 2.0), (64.0, 1.0)], &floor).contains("-50 %: met;"));
        assert!(rise(&[(32.0, 1.0), (64.0, 1.2)], &floor).contains("+20 %: **lost**;"));
        assert!(rise(&floor, &[(32.0, 1.0), (64.0, 1.2)]).contains("+0 %: met;"));
    }
}
