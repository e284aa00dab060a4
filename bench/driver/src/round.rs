//! Rounds: every case once, in turn, so that what disturbs the machine disturbs all alike.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bench_session::{Arguments, Measurement};

use crate::case::{Case, Scenario, ServerKind};
use crate::client::bare;
use crate::plan::Plan;
use crate::process::Process;
use crate::record::{Record, Session};
use crate::server::{Server, TOPIC};
use crate::workshop::Workshop;

/// Starting a JVM and warming it up on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// What may pass beyond the measured interval until the last answer.
const END_LIMIT: Duration = Duration::from_secs(30);

/// Runs the whole plan and keeps what came of it.
pub(crate) fn run_all(
    workshop: &Workshop,
    plan: &Plan,
    length: Duration,
    session: &mut Session,
) -> Result<()> {
    let began = Instant::now();
    for round in 0..plan.rounds {
        println!("round {} of {}, {:.0?} so far", round + 1, plan.rounds, began.elapsed());
        let mut real = None;
        for case in turned(&plan.cases, round) {
            let record = match run_one(workshop, &case, round, length, &mut real) {
                Ok(record) => record,
                Err(error) => {
                    println!("  {case}: {error:#}");
                    Record::failure(case, round, format!("{error:#}"))
                }
            };
            println!("  {record}");
            session.records.push(record);
        }
        drop(real);
        session.save(workshop)?;
    }
    Ok(())
}

/// The cases of a round: in each row another client comes first.
fn turned(cases: &[Case], round: usize) -> Vec<Case> {
    let mut turned = cases.to_vec();
    let same =
        |a: &Case, b: &Case| (a.server, a.scenario, a.body) == (b.server, b.scenario, b.body);
    for row in turned.chunk_by_mut(same) {
        let by = round % row.len();
        row.rotate_left(by);
    }
    turned
}

/// One case: on a fresh server, but the real broker, which takes long to start, serves a round.
fn run_one(
    workshop: &Workshop,
    case: &Case,
    round: usize,
    length: Duration,
    real: &mut Option<Server>,
) -> Result<Record> {
    if case.server != ServerKind::Real {
        return measure(workshop, case, round, length, &mut Server::start(case.server, workshop)?);
    }
    if matches!(case.scenario, Scenario::Burst(_)) {
        *real = None;
        let mut cold = Server::start(case.server, workshop)?;
        return measure(workshop, case, round, length, &mut cold);
    }
    let server = match real {
        Some(server) => server,
        None => real.insert(warm(workshop)?),
    };
    let record = measure(workshop, case, round, length, server);
    if record.is_err() {
        // A failure must not spoil the cases that follow.
        *real = None;
    }
    record
}

/// A real broker that has seen enough single sends and batches to have compiled what it runs.
pub(crate) fn warm(workshop: &Workshop) -> Result<Server> {
    let mut server = Server::start(ServerKind::Real, workshop)?;
    for (batch, seconds) in [(1, 5), (32, 2), (512, 1)] {
        let (server_kind, client) = (ServerKind::Real, bare(batch));
        let scenario = Scenario::InFlight(1024.min(batch * 64));
        let case = Case { server: server_kind, scenario, body: 128, client };
        let length = Duration::from_secs(seconds);
        // A cold broker refuses; that is what it is warmed up for.
        measure(workshop, &case, 0, length, &mut server).context("warming the broker up")?;
    }
    Ok(server)
}

/// Runs a client and looks at both sides.
pub(crate) fn measure(
    workshop: &Workshop,
    case: &Case,
    round: usize,
    length: Duration,
    server: &mut Server,
) -> Result<Record> {
    let arguments = case.arguments(server.name_server(), TOPIC, length);
    measure_with(workshop, case, round, &arguments, server)
}

/// As [`measure`], with arguments of the caller's own.
pub(crate) fn measure_with(
    workshop: &Workshop,
    case: &Case,
    round: usize,
    arguments: &Arguments,
    server: &mut Server,
) -> Result<Record> {
    let mut client =
        Process::start(&mut case.command(workshop, arguments), &workshop.log("client"))?;
    await_ready(&client)?;
    server.process().settle()?;
    let stored = server.stored()?;
    let meter = server.process().meter()?;
    let began = Instant::now();
    client.say("go")?;
    let measurement = await_measurement(&client, length_of(arguments))?;
    let stored = server.await_stored(stored, measurement.messages)?;
    let stored_after = began.elapsed().as_secs_f64();
    server.process().settle()?;
    let server_cpu = meter.cpu()?;
    let peak_rss_kib = client.peak_rss_kib()?;
    client.release(Duration::from_millis(500));
    Ok(Record {
        case: case.clone(),
        round,
        measurement,
        server_cpu_us: server_cpu.as_micros() as u64,
        stored,
        stored_after,
        peak_rss_kib,
        error: None,
    })
}

/// How long the measured interval may last; a count of messages at 20,000 a second.
fn length_of(arguments: &Arguments) -> Duration {
    arguments.measure() + Duration::from_secs(arguments.messages.unwrap_or_default() / 20_000)
}

pub(crate) fn await_ready(client: &Process) -> Result<()> {
    client.await_line(READY_LIMIT, |line| (line == "ready").then_some(())).context("not ready")
}

pub(crate) fn await_measurement(client: &Process, length: Duration) -> Result<Measurement> {
    client
        .await_line(length + END_LIMIT, |line| serde_json::from_str(line).ok())
        .context("no measurement")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{GO, POSTHASTE};

    #[test]
    fn every_client_of_a_row_comes_first_in_some_round() {
        let case =
            |scenario, client| Case { server: ServerKind::Null, scenario, body: 128, client };
        let (one, many) = (Scenario::InFlight(1), Scenario::InFlight(32));
        let cases = [case(one, GO), case(one, POSTHASTE), case(many, GO)];
        assert_eq!(turned(&cases, 0), cases);
        let turned = turned(&cases, 1);
        assert_eq!(turned[0], cases[1]);
        assert_eq!(turned[1], cases[0]);
        assert_eq!(turned[2], cases[2]);
    }
}
