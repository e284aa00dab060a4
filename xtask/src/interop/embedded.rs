use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use posthaste_broker::{Broker, BrokerBuilder};
use tokio::runtime::Runtime;

use super::agent::Agent;
use super::artefacts::{self, Artefacts};
use super::guard::{Authority, Guard};
use super::version::Version;
use super::workshop::Workshop;

/// Producers are soon asked about what they have not decided.
const CHECKED_AFTER: Duration = Duration::from_millis(1_500);

/// An official client that is let loose on the embedded broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Java(Version),
    Go,
    /// By it the C++ client too: the Python client stands on it.
    Python,
    /// `rocketmq-client-rust`.
    Rust,
}

impl Client {
    pub(crate) const ALL: [Self; 5] = [
        Self::Java(Version::V4_7_0),
        Self::Java(Version::V5_5_0),
        Self::Go,
        Self::Python,
        Self::Rust,
    ];

    /// The version that selects this client. Clients in other languages than Java have other version
    /// numbers, and go with the newest.
    pub(crate) fn version(self) -> Version {
        match self {
            Self::Java(version) => version,
            Self::Go | Self::Python | Self::Rust => Version::V5_5_0,
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Java(version) => format!("java-{version}"),
            Self::Go => "go".to_owned(),
            Self::Python => "python".to_owned(),
            Self::Rust => "rust".to_owned(),
        }
    }

    /// Fetches and builds what the client needs.
    pub(crate) fn provide(self, workshop: &Workshop) -> Result<Program> {
        Ok(match self {
            Self::Java(version) => Program::Java(Box::new(Artefacts::of(version, workshop)?)),
            Self::Go => self.other(vec![artefacts::go_agent(workshop)?]),
            Self::Python => self.other(artefacts::python_agent(workshop)?),
            Self::Rust => self.other(vec![artefacts::rust_agent(workshop)?]),
        })
    }

    fn other(self, command: Vec<PathBuf>) -> Program {
        Program::Other { name: self.name(), command }
    }
}

/// A client that can be started.
pub(crate) enum Program {
    Java(Box<Artefacts>),
    Other {
        name: String,
        /// The program and its first arguments.
        command: Vec<PathBuf>,
    },
}

/// The embedded broker, and an official client to use it.
pub(crate) struct Embedded {
    agent: Agent,
    broker: Broker,
    // The broker's tasks run here, so it goes last.
    runtime: Runtime,
}

impl Embedded {
    /// Starts the broker with these topics and their numbers of queues; `guarded`, it wants signatures,
    /// and takes TLS where the client has it.
    pub(crate) fn start(
        program: &Program,
        folder: &Path,
        topics: &[(&str, u32)],
        guarded: bool,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut settings = Broker::builder()
            .transaction_timeout(CHECKED_AFTER)
            .transaction_check_interval(CHECKED_AFTER);
        for &(topic, queues) in topics {
            settings = settings.topic(topic, queues);
        }
        let mut options = Vec::new();
        if guarded {
            (settings, options) = guard(settings, program)?;
        }
        let broker = runtime.block_on(settings.start()).context("the embedded broker")?;
        let name_server = broker.name_server().to_string();
        let agent = match program {
            Program::Java(artefacts) => Agent::java(artefacts, &name_server, folder, &options)?,
            Program::Other { name, command } => Agent::other(name, command, &name_server, folder)?,
        };
        Ok(Self { agent, broker, runtime })
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Runs what asks the broker, or sends by a producer of ours.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// Settings of a broker that wants signatures, and options of a client that makes them. The Java
/// client of 4.7.0 does not get TLS up on a Java of today; the others speak it.
fn guard(settings: BrokerBuilder, program: &Program) -> Result<(BrokerBuilder, Vec<String>)> {
    let mut options = Guard::client_options();
    let (user, secret) = Guard::ADMIN;
    let settings = settings.access_key(user, secret);
    match program {
        Program::Java(artefacts) if artefacts.version() != Version::V4_7_0 => {
            options.push("-Dtls.enable=true".to_owned());
            let server = Authority::new()?.issue("127.0.0.1")?;
            Ok((settings.tls(server.chain, server.key).tls_only(), options))
        }
        _ => Ok((settings, options)),
    }
}
