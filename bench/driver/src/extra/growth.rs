//! What a message costs as callers, brokers, topics and the number of messages grow.

use std::time::Duration;

use anyhow::Result;

use super::Outcome;
use crate::case::{Case, Scenario, ServerKind};
use crate::client::{BARE_CALLERS, Client, LEAST_PRODUCER, POSTHASTE, POSTHASTE_UNBATCHED};
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

const USUAL: Setup =
    Setup { client: POSTHASTE_UNBATCHED, in_flight: 1024, brokers: 1, topics: 1, messages: None };

pub(crate) fn run(workshop: &Workshop) -> Result<Outcome> {
    let over =
        |places: &[usize], setup: &dyn Fn(usize) -> Setup| measure_all(workshop, places, setup);
    let cost = |places: &[usize], setup: &dyn Fn(usize) -> Setup| {
        anyhow::Ok(curve(&over(places, setup)?, Record::client_cpu))
    };
    let callers = |client| over(&IN_FLIGHT, &|n| Setup { client, in_flight: n, ..USUAL });
    let brokers = |client| cost(&BROKERS, &|n| Setup { client, brokers: n, ..USUAL });
    let spread =
        |client| cost(&BROKERS, &|n| Setup { client, brokers: n, in_flight: 128 * n, ..USUAL });
    let topics = |client| cost(&TOPICS, &|n| Setup { client, topics: n, ..USUAL });
    let (posthaste, bare) = (POSTHASTE_UNBATCHED, BARE_CALLERS.unbatched());
    let sent = |n| Setup { client: POSTHASTE, messages: Some(n), ..USUAL };

    let (unbatched, unbatched_floor) = (callers(posthaste)?, callers(bare)?);
    let (brokers, brokers_floor) = (brokers(posthaste)?, brokers(bare)?);
    let (spread, spread_floor) = (spread(posthaste)?, spread(bare)?);
    let (topics, topics_floor) = (topics(posthaste)?, topics(LEAST_PRODUCER.unbatched())?);
    let (batched, batched_floor) = (callers(POSTHASTE)?, callers(BARE_CALLERS)?);
    let memory = curve(&over(&MESSAGES, &sent)?, Record::peak_rss_mib);
    let batch = |record: &Record| {
        record.measurement.messages as f64 / record.measurement.requests.unwrap_or(1).max(1) as f64
    };
    let [unbatched, unbatched_floor, cost, cost_floor] =
        [&unbatched, &unbatched_floor, &batched, &batched_floor]
            .map(|points| curve(points, Record::client_cpu));
    Ok(Growth {
        unbatched,
        unbatched_floor,
        brokers,
        brokers_floor,
        spread,
        spread_floor,
        topics,
        topics_floor,
        batched: cost,
        batched_floor: cost_floor,
        size: curve(&batched, batch),
        memory,
    }
    .outcome())
}

/// What was measured: client CPU per message, if not said otherwise, and of the floors too.
struct Growth {
    /// Over callers, batching off.
    unbatched: Vec<(f64, f64)>,
    unbatched_floor: Vec<(f64, f64)>,
    /// Over brokers.
    brokers: Vec<(f64, f64)>,
    brokers_floor: Vec<(f64, f64)>,
    /// Over brokers with as many callers for each.
    spread: Vec<(f64, f64)>,
    spread_floor: Vec<(f64, f64)>,
    topics: Vec<(f64, f64)>,
    topics_floor: Vec<(f64, f64)>,
    /// Over callers, batching on.
    batched: Vec<(f64, f64)>,
    batched_floor: Vec<(f64, f64)>,
    /// Messages per request over callers.
    size: Vec<(f64, f64)>,
    /// Peak memory over messages.
    memory: Vec<(f64, f64)>,
}

impl Growth {
    fn outcome(self) -> Outcome {
        Outcome { findings: self.findings(), charts: self.charts() }
    }

    fn findings(&self) -> Vec<String> {
        let memory = list(&self.memory);
        vec![
            flatness("callers", &self.unbatched, [Some(&self.unbatched_floor), None]),
            flatness("brokers", &self.brokers, [Some(&self.brokers_floor), None]),
            flatness(
                "brokers with 128 callers for each",
                &self.spread,
                [Some(&self.spread_floor), None],
            ),
            flatness("topics", &self.topics, [None, Some(&self.topics_floor)]),
            rise(&self.batched, &self.batched_floor),
            format!("batching on, peak memory after 10^5, 10^6, 10^7 messages: {memory} MiB"),
        ]
    }

    fn charts(self) -> Vec<Chart> {
        let callers = [
            ("batching off", self.unbatched),
            ("batching on", self.batched),
            ("bare callers, batching off", self.unbatched_floor),
            ("bare callers", self.batched_floor),
        ];
        let spread = [
            ("over brokers, 1,024 in all", self.brokers),
            ("over brokers, 128 each", self.spread),
            ("over topics", self.topics),
            ("least producer over topics", self.topics_floor),
            ("bare callers over brokers, 1,024 in all", self.brokers_floor),
            ("bare callers over brokers, 128 each", self.spread_floor),
        ];
        let (size, memory) = ([("batch size", self.size)], [("peak RSS", self.memory)]);
        let per_message = "Client CPU per message";
        let unbatched = format!("{per_message}, batching off");
        let batch = "Messages per request, batching on";
        vec![
            chart("growth-callers", per_message, "callers in flight", "µs", callers),
            chart("growth-batch", batch, "callers in flight", "messages", size),
            chart("growth-spread", &unbatched, "brokers, topics", "µs", spread),
            chart("growth-memory", "Peak memory, 1,024 in flight", "messages sent", "MiB", memory),
        ]
    }
}

fn chart<const LINES: usize>(
    name: &str,
    title: &str,
    x: &str,
    y: &str,
    lines: [(&str, Vec<(f64, f64)>); LINES],
) -> Chart {
    let line = |(name, points): (&str, _)| Line { name: name.to_owned(), points };
    let lines = lines.map(line).into();
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
