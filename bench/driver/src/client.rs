//! The clients and how each is started.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use bench_session::Arguments;
use serde::{Deserialize, Serialize};

use crate::case::{Case, Scenario};
use crate::workshop::Workshop;

/// A client, as it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Client {
    /// With its defaults.
    Posthaste,
    /// `batching(false)`.
    PosthasteUnbatched,
    /// `oneway_unlimited()`.
    PosthasteUnlimited,
    /// With its defaults, on a runtime with one worker thread.
    PosthasteOneThread,
    /// The same with `batching(false)`.
    PosthasteUnbatchedOneThread,
    /// The same with `oneway_unlimited()`.
    PosthasteUnlimitedOneThread,
    /// The best of other Rust clients.
    RocketmqClientRust,
    /// The official client of this version.
    Java550,
    /// The same with its own batching.
    Java550AutoBatch,
    /// The official client of this version.
    Java470,
    /// The official client v2.1.2.
    Go,
    /// The floor: requests of so many messages, made beforehand.
    Bare(usize),
    /// The floor of callers that are tasks of a runtime.
    BareCallers { batching: bool, one_thread: bool },
    /// The same with messages that are whole.
    LeastProducer { batching: bool, one_thread: bool },
}

impl Client {
    /// Whether somebody might use it instead of Posthaste.
    pub(crate) fn is_rival(self) -> bool {
        matches!(
            self,
            Self::RocketmqClientRust
                | Self::Java550
                | Self::Java550AutoBatch
                | Self::Java470
                | Self::Go
        )
    }

    /// Whether it is Posthaste, however it is set up.
    pub(crate) fn is_ours(self) -> bool {
        !self.is_rival()
            && !matches!(
                self,
                Self::Bare(_) | Self::BareCallers { .. } | Self::LeastProducer { .. }
            )
    }

    pub(crate) fn is_java(self) -> bool {
        matches!(self, Self::Java550 | Self::Java550AutoBatch | Self::Java470)
    }

    /// The version of the jars that it needs.
    pub(crate) fn java_version(self) -> Option<&'static str> {
        match self {
            Self::Java550 | Self::Java550AutoBatch => Some("5.5.0"),
            Self::Java470 => Some("4.7.0"),
            _ => None,
        }
    }

    /// A JVM compiles what it has run often; the others find their window.
    fn warm_up(self, length: Duration) -> Duration {
        if self.is_java() { length.mul_f64(3.0) } else { length.mul_f64(0.5) }
    }

    fn with(self, scenario: Scenario) -> Vec<String> {
        let callers = |kind: &'static [&str], batching: bool, one_thread: bool| {
            let batching = (!batching).then_some("batching=off");
            let workers = one_thread.then_some("workers=1");
            kind.iter().copied().chain(batching).chain(workers).map(str::to_owned).collect()
        };
        match self {
            Self::BareCallers { batching, one_thread } => {
                return callers(&["callers"], batching, one_thread);
            }
            Self::LeastProducer { batching, one_thread } => {
                return callers(&["callers", "whole"], batching, one_thread);
            }
            _ => {}
        }
        let with: &[&str] = match (self, scenario) {
            (Self::PosthasteUnbatched, _) => &["batching=off"],
            (Self::PosthasteUnlimited, _) => &["oneway=unlimited"],
            (Self::PosthasteOneThread, _) => &["workers=1"],
            (Self::PosthasteUnbatchedOneThread, _) => &["batching=off", "workers=1"],
            (Self::PosthasteUnlimitedOneThread, _) => &["oneway=unlimited", "workers=1"],
            (Self::Java550AutoBatch, _) => &["autobatch"],
            // A flood of them hangs it for good.
            (Self::Java550, Scenario::Oneway(_)) => &["eased"],
            _ => &[],
        };
        with.iter().map(|with| (*with).to_owned()).collect()
    }

    fn program(self, workshop: &Workshop) -> Command {
        match self {
            Self::Posthaste
            | Self::PosthasteUnbatched
            | Self::PosthasteUnlimited
            | Self::PosthasteOneThread
            | Self::PosthasteUnbatchedOneThread
            | Self::PosthasteUnlimitedOneThread => {
                Command::new(workshop.program("bench-posthaste"))
            }
            Self::RocketmqClientRust => Command::new(workshop.rocketmq_client_rust()),
            Self::Bare(_) | Self::BareCallers { .. } | Self::LeastProducer { .. } => {
                Command::new(workshop.program("bench-bare"))
            }
            Self::Go => Command::new(workshop.go_client()),
            Self::Java550 | Self::Java550AutoBatch => {
                workshop.java("5.5.0", "client", &[], "bench.Client")
            }
            Self::Java470 => workshop.java("4.7.0", "client", &[], "bench.Client"),
        }
    }
}

impl Case {
    /// What the client is told.
    pub(crate) fn arguments(&self, name_server: &str, topic: &str, length: Duration) -> Arguments {
        let (in_flight, batch) = match self.client {
            Client::Bare(batch) if !matches!(self.scenario, Scenario::Batches(_)) => {
                (self.scenario.in_flight().div_ceil(batch), batch)
            }
            _ => (self.scenario.in_flight(), self.scenario.batch()),
        };
        let warm_up = match self.scenario {
            Scenario::Burst(_) => Duration::ZERO,
            _ => self.client.warm_up(length),
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
            with: self.client.with(self.scenario),
        }
    }

    /// The client's process, not yet started.
    pub(crate) fn command(&self, workshop: &Workshop, arguments: &Arguments) -> Command {
        let mut command = self.client.program(workshop);
        command.args(arguments.to_command_line());
        command
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Posthaste => f.write_str("Posthaste"),
            Self::PosthasteUnbatched => f.write_str("Posthaste, batching off"),
            Self::PosthasteUnlimited => f.write_str("Posthaste, one-way unlimited"),
            Self::PosthasteOneThread => f.write_str("Posthaste, one thread"),
            Self::PosthasteUnbatchedOneThread => f.write_str("Posthaste, one thread, batching off"),
            Self::PosthasteUnlimitedOneThread => {
                f.write_str("Posthaste, one thread, one-way unlimited")
            }
            Self::RocketmqClientRust => f.write_str("rocketmq-client-rust 1.0"),
            Self::Java550 => f.write_str("Java 5.5.0"),
            Self::Java550AutoBatch => f.write_str("Java 5.5.0, auto-batching"),
            Self::Java470 => f.write_str("Java 4.7.0"),
            Self::Go => f.write_str("Go 2.1.2"),
            Self::BareCallers { batching, one_thread }
            | Self::LeastProducer { batching, one_thread } => {
                let is_whole = matches!(self, Self::LeastProducer { .. });
                f.write_str(if is_whole { "least producer" } else { "bare callers" })?;
                f.write_str(if *one_thread { ", one thread" } else { "" })?;
                f.write_str(if *batching { "" } else { ", batching off" })
            }
            Self::Bare(1) => f.write_str("bare loop"),
            Self::Bare(batch) => write!(f, "bare loop, {batch}s"),
        }
    }
}
