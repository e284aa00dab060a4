//! The window of one producer from its cold start, on a broker that is cold too.

use std::time::Duration;

use anyhow::Result;
use bench_session::Moment;

use super::Outcome;
use crate::case::{Case, Scenario, ServerKind};
use crate::client::POSTHASTE;
use crate::curve::{Chart, Line};
use crate::round::measure_with;
use crate::server::{Server, TOPIC};
use crate::workshop::Workshop;

const LENGTH: Duration = Duration::from_secs(12);

pub(crate) fn run(workshop: &Workshop) -> Result<Outcome> {
    workshop.build_java("5.5.0")?;
    let mut server = Server::start(ServerKind::Real, workshop)?;
    let (server_kind, client) = (ServerKind::Real, POSTHASTE);
    let scenario = Scenario::InFlight(1024);
    let case = Case { server: server_kind, scenario, body: 128, client };
    let mut arguments = case.arguments(server.name_server(), TOPIC, LENGTH);
    arguments.warm_up_ms = 0;
    arguments.with.push("trace".to_owned());
    let record = measure_with(workshop, &case, 0, &arguments, &mut server)?;
    let moments = &record.measurement.trace;
    let refused: u64 = moments.iter().map(|moment| moment.refused).sum();
    let finding = format!(
        "1,024 callers from a cold start on a cold broker, {} s: {} messages, {} failed, {refused} requests refused, {} stored",
        LENGTH.as_secs(),
        record.measurement.messages,
        record.measurement.failed,
        record.stored,
    );
    Ok(Outcome { findings: vec![finding], charts: charts(moments) })
}

fn charts(moments: &[Moment]) -> Vec<Chart> {
    let line = |name: &str, figure: &dyn Fn(&Moment) -> f64| Line {
        name: name.to_owned(),
        points: moments.iter().map(|moment| (moment.at_ms / 1000.0, figure(moment))).collect(),
    };
    let chart = |name: &str, title: &str, y: &str, lines| Chart {
        name: name.to_owned(),
        title: format!("{title}: 1,024 callers, cold Apache RocketMQ 5.5.0"),
        x: "seconds".to_owned(),
        y: y.to_owned(),
        log_x: false,
        lines,
    };
    let batch = |moment: &Moment| moment.messages as f64 / moment.requests.max(1) as f64;
    let window = vec![
        line("limit (a batch of n counts 1 + (n-1)/8)", &|moment| moment.limit as f64),
        line("requests in flight", &|moment| moment.in_flight as f64),
        line("messages per request", &batch),
        line("refused in 50 ms", &|moment| moment.refused as f64),
    ];
    let latency = vec![line("median round trip", &|moment| moment.p50_us / 1000.0)];
    let rate = vec![line("messages", &|moment| moment.messages as f64 * 20.0)];
    vec![
        chart("window", "The window", "requests, messages", window),
        chart("window-latency", "Latency", "ms", latency),
        chart("window-rate", "Throughput", "messages/s", rate),
    ]
}
