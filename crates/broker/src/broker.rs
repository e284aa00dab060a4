//! A running broker.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;

use crate::builder::BrokerBuilder;
use crate::connection::Shared;
use crate::engine::{Engine, Identity};
use crate::error::BrokerError;
use crate::server::{self, MAX_CONNECTIONS, Server};
use crate::store::{DiskStore, MemoryStore, Store, StoreError};
use crate::turn::{Counters, Event, Turns};

/// How many runs of frames may be on their way, over all connections; each has about 64 KiB.
const RUNS: usize = 1_024;
/// Bytes of long frames on their way, over all connections.
const LONG_FRAMES: usize = 64 * 1024 * 1024;
/// How long connections may take to end when the broker stops.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// A running name server and broker. Dropping it stops it too, without waiting for that.
#[derive(Debug)]
pub struct Broker {
    name_server: SocketAddr,
    address: SocketAddr,
    counters: Arc<Counters>,
    events: mpsc::Sender<Event>,
    /// Dropped to stop accepting.
    accepting: watch::Sender<()>,
    servers: JoinSet<()>,
}

/// Figures of a running broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Messages stored since the start; dropped ones count.
    pub messages: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Topics, the system's among them.
    pub topics: u64,
}

impl Broker {
    /// Settings for a new broker.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

    pub(crate) async fn start(settings: BrokerBuilder) -> Result<Self, BrokerError> {
        let encryption = settings.encryption()?;
        let name_server = server::bind(settings.listen, settings.name_server_port).await?;
        let broker = server::bind(settings.listen, settings.broker_port).await?;
        let (name_server_address, address) = (local(&name_server)?, local(&broker)?);
        let counters = Arc::new(Counters::default());
        let identity = settings.identity(address);
        let accounts = Arc::new(settings.accounts.clone());
        let events = start_engine(settings, identity, Arc::clone(&counters)).await?;
        let (accepting, stop) = watch::channel(());
        let shared = Shared {
            events: events.clone(),
            accounts,
            encryption,
            runs: Arc::new(Semaphore::new(RUNS)),
            long_frames: Arc::new(Semaphore::new(LONG_FRAMES)),
        };
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let sessions = Arc::new(AtomicU64::new(0));
        let mut servers = JoinSet::new();
        for listener in [name_server, broker] {
            let server = Server {
                listener,
                shared: shared.clone(),
                connections: Arc::clone(&connections),
                sessions: Arc::clone(&sessions),
            };
            servers.spawn(server.run(stop.clone()));
        }
        Ok(Self { name_server: name_server_address, address, counters, events, accepting, servers })
    }

    /// Where the name server listens.
    pub fn name_server(&self) -> SocketAddr {
        self.name_server
    }

    /// Where the broker listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Figures of this moment.
    pub fn stats(&self) -> BrokerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BrokerStats {
            messages: read(&self.counters.messages),
            connections: read(&self.counters.connections),
            topics: read(&self.counters.topics),
        }
    }

    /// Stops: takes no more connections, does what has arrived, keeps what is to be kept, writes
    /// the answers and closes. Takes a second at the most when clients do not read.
    ///
    /// Once this returns, the ports and the data folder are free.
    pub async fn stop(mut self) {
        let (stopped, when_stopped) = oneshot::channel();
        drop(self.accepting);
        if self.events.send(Event::Stop(stopped)).is_ok() {
            let _ = when_stopped.await;
        }
        let ended = async { while self.servers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STOP_LIMIT, ended).await;
        self.servers.shutdown().await;
    }
}

fn local(listener: &TcpListener) -> Result<SocketAddr, BrokerError> {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    listener.local_addr().map_err(|source| BrokerError::Listen { address: unknown, source })
}

/// Opens the store and starts the engine's thread; gives back the way to it.
async fn start_engine(
    settings: BrokerBuilder,
    identity: Identity,
    counters: Arc<Counters>,
) -> Result<mpsc::Sender<Event>, BrokerError> {
    let (events, receiver) = mpsc::channel();
    let (ready, when_ready) = oneshot::channel();
    let run = move || match open_engine(&settings, identity) {
        Ok(engine) => {
            let turns = Turns::new(engine, receiver, counters);
            let _ = ready.send(Ok(()));
            turns.run();
        }
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    };
    let thread = std::thread::Builder::new().name("posthaste-broker".to_owned());
    thread.spawn(run).map_err(BrokerError::Thread)?;
    let gone = |_| Err(BrokerError::Setting("the broker's thread has ended early".to_owned()));
    when_ready.await.unwrap_or_else(gone)?;
    Ok(events)
}

fn open_engine(settings: &BrokerBuilder, identity: Identity) -> Result<Engine, BrokerError> {
    let store: Box<dyn Store> = match &settings.data_dir {
        Some(folder) => Box::new(DiskStore::open(folder, settings.data_limit)?),
        None => Box::new(MemoryStore::new(settings.memory_limit)),
    };
    let folder = settings.data_dir.as_deref().unwrap_or(Path::new(""));
    let failed = |error: StoreError| error.into_broker_error(folder);
    let mut engine =
        Engine::new(identity, settings.timing(), store, fastrand::u64(..)).map_err(failed)?;
    engine.sql_filters = settings.sql_filters;
    engine.create_topics(&settings.topics).map_err(failed)?;
    Ok(engine)
}
