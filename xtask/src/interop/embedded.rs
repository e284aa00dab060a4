use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use posthaste_broker::Broker;
use tokio::runtime::Runtime;

use super::agent::Agent;
use super::artefacts::{self, Artefacts};
use super::scenario;
use super::version::Version;
use super::workshop::Workshop;

/// Producers are soon asked about what they have not decided.
const CHECKED_AFTER: Duration = Duration::from_millis(1_500);

/// An official client that is let loose on the embedded broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Java(Version),
    Go,
}

impl Client {
    pub(crate) const ALL: [Self; 3] =
        [Self::Java(Version::V4_7_0), Self::Java(Version::V5_5_0), Self::Go];

    /// The version that a selection by version means by this client. The Go client has its own
    /// numbers, and goes with the newest.
    pub(crate) fn version(self) -> Version {
        match self {
            Self::Java(version) => version,
            Self::Go => Version::V5_5_0,
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Java(version) => format!("java-{version}"),
            Self::Go => "go".to_owned(),
        }
    }

    /// Fetches and builds what the client needs.
    pub(crate) fn provide(self, workshop: &Workshop) -> Result<Program> {
        Ok(match self {
            Self::Java(version) => Program::Java(Box::new(Artefacts::of(version, workshop)?)),
            Self::Go => Program::Go(artefacts::go_agent(workshop)?),
        })
    }
}

/// A client that can be started.
pub(crate) enum Program {
    Java(Box<Artefacts>),
    Go(PathBuf),
}

/// The embedded broker, and an official client to use it.
pub(crate) struct Embedded {
    agent: Agent,
    _broker: Broker,
    // The broker's tasks run here, so it goes last.
    _runtime: Runtime,
}

impl Embedded {
    pub(crate) fn start(program: &Program, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut settings = Broker::builder()
            .transaction_timeout(CHECKED_AFTER)
            .transaction_check_interval(CHECKED_AFTER);
        for (topic, queues) in scenario::TOPICS_BEFORE {
            settings = settings.topic(topic, queues);
        }
        let broker = runtime.block_on(settings.start()).context("the embedded broker")?;
        let name_server = broker.name_server().to_string();
        let agent = match program {
            Program::Java(artefacts) => Agent::java(artefacts, &name_server, folder)?,
            Program::Go(program) => Agent::go(program, &name_server, folder)?,
        };
        Ok(Self { agent, _broker: broker, _runtime: runtime })
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
    }
}
