//! The server that a suite is run against: the embedded broker, or a real name server and broker.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use posthaste_broker::{Broker as Embedded, BrokerBuilder};
use tokio::runtime::Runtime;

use crate::interop::artefacts::Artefacts;
use crate::interop::broker::Broker as Real;
use crate::interop::name_server::NameServer;

/// What both brokers are called, so that their answers compare.
pub(crate) const BROKER: &str = "broker-a";

/// A name server and one broker.
pub(crate) enum Server {
    Embedded { broker: Embedded, _runtime: Runtime },
    Real { broker: Box<Real>, name_server: NameServer },
}

impl Server {
    /// Starts an embedded broker with these settings.
    pub(crate) fn embedded(settings: BrokerBuilder) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let start = settings.broker_name(BROKER).start();
        let broker = runtime.block_on(start).context("the embedded broker")?;
        Ok(Self::Embedded { broker, _runtime: runtime })
    }

    /// Starts a real name server and a real broker, with these settings beside the usual ones and with
    /// files under `folder`.
    pub(crate) fn real(
        artefacts: &Arc<Artefacts>,
        folder: &Path,
        settings: &[&'static str],
    ) -> Result<Self> {
        let name_server = NameServer::start(artefacts, folder, None)?;
        let address = name_server.address();
        let mut broker = Real::new(BROKER, address, Arc::clone(artefacts), folder)?;
        broker.set(settings);
        broker.start()?;
        Ok(Self::Real { broker: Box::new(broker), name_server })
    }

    pub(crate) fn name_server(&self) -> String {
        match self {
            Self::Embedded { broker, .. } => broker.name_server().to_string(),
            Self::Real { name_server, .. } => name_server.address(),
        }
    }

    pub(crate) fn address(&self) -> String {
        match self {
            Self::Embedded { broker, .. } => broker.address().to_string(),
            Self::Real { broker, .. } => broker.address(),
        }
    }
}
