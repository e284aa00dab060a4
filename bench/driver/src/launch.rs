//! How a client is started, and with which settings.

use std::process::Command;
use std::time::Duration;

use bench_session::Arguments;

use crate::case::{Case, Scenario};
use crate::client::{Batching, Client, Kind};
use crate::workshop::Workshop;

impl Case {
    /// The client's settings.
    pub(crate) fn arguments(&self, name_server: &str, topic: &str, length: Duration) -> Arguments {
        let (in_flight, batch) = match self.client.kind {
            Kind::Bare(batch) if !matches!(self.scenario, Scenario::Batches(_)) => {
                (self.scenario.in_flight().div_ceil(batch), batch)
            }
            _ => (self.scenario.in_flight(), self.scenario.batch()),
        };
        let warm_up = match self.scenario {
            Scenario::Burst(_) => Duration::ZERO,
            _ => warm_up(self.client, length),
        };
        Arguments {
            name_server: name_server.to_owned(),
            topic: topic.to_owned(),
            shape: self.scenario.shape(),
            in_flight,
            batch,
            body: self.body,
            warm_up_ms: warm_up.as_millis() as u64,
            measure_ms: length.as_millis() as u64,
            messages: None,
            with: with(self.client, self.scenario),
        }
    }

    /// The client's process, not yet started.
    pub(crate) fn command(&self, workshop: &Workshop, arguments: &Arguments) -> Command {
        let mut command = program(self.client, workshop);
        command.args(arguments.to_command_line());
        command
    }
}

/// A JVM compiles what it has run often; the others find their window.
fn warm_up(client: Client, length: Duration) -> Duration {
    if client.is_java() { length.mul_f64(3.0) } else { length.mul_f64(0.5) }
}

/// What is said beside the shape.
fn with(client: Client, scenario: Scenario) -> Vec<String> {
    let kind: &[&str] = match (client.kind, scenario) {
        (Kind::BareCallers, _) => &["callers"],
        (Kind::LeastProducer, _) => &["callers", "whole"],
        // A flood of them hangs it for good.
        (Kind::Java550, Scenario::Oneway(_)) if client.batching != Batching::On => &["eased"],
        _ => &[],
    };
    let settings = [
        (client.batching == Batching::Off, "batching=off"),
        (client.batching == Batching::On, "autobatch"),
        (client.oneway_unlimited, "oneway=unlimited"),
        (client.one_thread, "workers=1"),
    ];
    let settings = settings.into_iter().filter_map(|(is_so, setting)| is_so.then_some(setting));
    kind.iter().copied().chain(settings).map(str::to_owned).collect()
}

fn program(client: Client, workshop: &Workshop) -> Command {
    match client.kind {
        Kind::Posthaste => Command::new(workshop.program("bench-posthaste")),
        Kind::RocketmqClientRust => Command::new(workshop.rocketmq_client_rust()),
        Kind::Bare(_) | Kind::BareCallers | Kind::LeastProducer => {
            Command::new(workshop.program("bench-bare"))
        }
        Kind::Go => Command::new(workshop.go_client()),
        Kind::Java550 => workshop.java("5.5.0", "client", &[], "bench.Client"),
        Kind::Java470 => workshop.java("4.7.0", "client", &[], "bench.Client"),
    }
}
