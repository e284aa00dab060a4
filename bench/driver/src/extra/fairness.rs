//! Four producers on one broker: who gets how much.

use std::time::Duration;

use anyhow::Result;

use super::Outcome;
use crate::case::{Case, Scenario, ServerKind};
use crate::client::POSTHASTE;
use crate::goal::{NO_FLOORS, verdict};
use crate::process::Process;
use crate::round::{await_measurement, await_ready, warm};
use crate::server::TOPIC;
use crate::workshop::Workshop;

const PRODUCERS: usize = 4;
const LENGTH: Duration = Duration::from_secs(10);
/// The latest comes this much after the first, as processes do.
const APART: Duration = Duration::from_millis(500);

pub(crate) fn run(workshop: &Workshop) -> Result<Outcome> {
    workshop.build_java("5.5.0")?;
    let server = warm(workshop)?;
    let (server_kind, client) = (ServerKind::Real, POSTHASTE);
    let scenario = Scenario::InFlight(1024);
    let case = Case { server: server_kind, scenario, body: 128, client };
    let mut arguments = case.arguments(server.name_server(), TOPIC, LENGTH);
    arguments.warm_up_ms = 500;
    let mut producers = Vec::new();
    for _ in 0..PRODUCERS {
        let mut command = case.command(workshop, &arguments);
        let mut producer = Process::start(&mut command, &workshop.log("client"))?;
        await_ready(&producer)?;
        producer.say("go")?;
        producers.push(producer);
        std::thread::sleep(APART);
    }
    let ended = producers.iter().map(|producer| await_measurement(producer, LENGTH));
    let ended = ended.collect::<Result<Vec<_>>>()?;
    let all: u64 = ended.iter().map(|measured| measured.messages).sum();
    let failed: u64 = ended.iter().map(|measured| measured.failed).sum();
    let share = |messages: u64| 100.0 * messages as f64 / all.max(1) as f64;
    let shares: Vec<f64> = ended.iter().map(|measured| share(measured.messages)).collect();
    let least = shares.iter().copied().fold(f64::MAX, f64::min);
    let shares: Vec<String> = shares.iter().map(|share| format!("{share:.0} %")).collect();
    let verdict = verdict(least, NO_FLOORS, |least| least >= 15.0);
    let finding = format!(
        "{PRODUCERS} producers of 1,024 callers each on one warm broker, {} s each, started {} ms apart: shares {}; wanted ≥ 15 % each: {verdict}; {failed} failed",
        LENGTH.as_secs(),
        APART.as_millis(),
        shares.join(", "),
    );
    Ok(Outcome { findings: vec![finding], charts: Vec::new() })
}
