//! A running server of any kind.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use posthaste::blocking::Producer;

use crate::case::ServerKind;
use crate::process::Process;
use crate::real::RealCluster;
use crate::workshop::Workshop;

const START_LIMIT: Duration = Duration::from_secs(10);
const ROUTE_LIMIT: Duration = Duration::from_secs(40);
/// A count that has not changed for so long will not.
const STALLED: Duration = Duration::from_secs(2);
const QUEUES: u32 = 8;

/// The topic that everything is sent to.
pub(crate) const TOPIC: &str = "bench";

/// A server, and who counts what it has stored.
pub(crate) struct Server {
    name_server: String,
    broker: Process,
    /// `None` for the null broker, which counts by itself.
    asker: Option<Producer>,
    _cluster: Option<RealCluster>,
}

impl Server {
    /// Starts a fresh one with an empty topic of eight queues.
    pub(crate) fn start(kind: ServerKind, workshop: &Workshop) -> Result<Self> {
        match kind {
            ServerKind::Null => Self::start_null(workshop, 1),
            ServerKind::Embedded => Self::start_embedded(workshop),
            ServerKind::Real => Self::start_real(workshop),
        }
    }

    /// A null broker that plays this many brokers.
    pub(crate) fn start_null(workshop: &Workshop, brokers: usize) -> Result<Self> {
        let mut command = std::process::Command::new(workshop.program("bench-null-broker"));
        command.args(["--brokers", &brokers.to_string(), "--queues", &QUEUES.to_string()]);
        let broker = Process::start(&mut command, &workshop.log("null"))?;
        let name_server = broker.hear(START_LIMIT)?;
        Ok(Self { name_server, broker, asker: None, _cluster: None })
    }

    fn start_embedded(workshop: &Workshop) -> Result<Self> {
        let mut command = std::process::Command::new(workshop.program("bench-embedded-broker"));
        let broker = Process::start(&mut command, &workshop.log("embedded"))?;
        let name_server = broker.hear(START_LIMIT)?;
        Self::with_topic(name_server, broker, None)
    }

    fn start_real(workshop: &Workshop) -> Result<Self> {
        let (cluster, broker) = RealCluster::start(workshop)?;
        Self::with_topic(cluster.name_server(), broker, Some(cluster))
    }

    fn with_topic(
        name_server: String,
        broker: Process,
        cluster: Option<RealCluster>,
    ) -> Result<Self> {
        let asker = Producer::builder("bench-asker", name_server.clone()).start()?;
        create_topic(&asker)?;
        Ok(Self { name_server, broker, asker: Some(asker), _cluster: cluster })
    }

    pub(crate) fn name_server(&self) -> &str {
        &self.name_server
    }

    pub(crate) fn process(&self) -> &Process {
        &self.broker
    }

    /// How many messages it has stored beyond `before`: waits until it is as many as were
    /// acknowledged, or until there come no more. A real broker's queues lag behind its answers.
    pub(crate) fn await_stored(&mut self, before: u64, acknowledged: u64) -> Result<u64> {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let stored = self.stored()?.saturating_sub(before);
            if stored >= acknowledged || (stored == seen && since.elapsed() > STALLED) {
                return Ok(stored);
            }
            if stored != seen {
                (seen, since) = (stored, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many messages it has taken since its start.
    pub(crate) fn stored(&mut self) -> Result<u64> {
        let Some(asker) = &self.asker else {
            self.broker.say("count")?;
            return Ok(self.broker.hear(START_LIMIT)?.trim().parse()?);
        };
        let admin = asker.admin();
        let mut sum = 0;
        for queue in admin.publish_queues(TOPIC)? {
            sum += u64::try_from(admin.max_offset(&queue)?)?;
        }
        Ok(sum)
    }
}

/// Creates the topic. A real broker says that it has started before its name server knows it.
fn create_topic(asker: &Producer) -> Result<()> {
    let deadline = Instant::now() + ROUTE_LIMIT;
    loop {
        match asker.admin().create_topic(TOPIC, QUEUES) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(200)),
            done => return done.context("creating the topic"),
        }
    }
}
