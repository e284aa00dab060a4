//! A running broker.

mod outage;
mod port;
mod ports;

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, oneshot, watch};

pub(crate) use self::outage::Outage;
pub use self::outage::Restart;
use self::port::Port;
pub use self::ports::Addresses;
use self::ports::{Entrance, Ports};
use crate::builder::BrokerBuilder;
use crate::connection::Shared;
use crate::engine::effects::Effects;
use crate::engine::registry::Member;
use crate::engine::{Engine, Identity, Millis};
use crate::engine_loop::{Counters, EngineLoop, Event};
use crate::error::{BrokerError, Stopped};
use crate::failure::Failure;
use crate::fault::{Fault, FaultError, FaultRule, FaultRules};
use crate::seats::Seats;
use crate::server::MAX_CONNECTIONS;
use crate::store::{DiskStore, Limit, MemoryStore, Store, StoreError};
use crate::wire::WireLog;

/// How many runs of frames may be on their way, over all connections; each has about 64 KiB.
const RUNS: usize = 1_024;
/// Bytes of long frames on their way, over all connections.
const LONG_FRAMES: usize = 64 * 1024 * 1024;
/// How long connections may take to end when the broker stops.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// A running name server and broker. Dropping it stops it too, without waiting.
///
/// What a test asks of it is in [`BrokerHandle`].
#[derive(Debug)]
pub struct Broker {
    running: Arc<Running>,
    handle: BrokerHandle,
    failure: Failure,
}

/// Makes an engine, with the store that the settings say.
type Open = fn(&BrokerBuilder, Identity) -> Result<Engine, BrokerError>;

/// What ends with the broker.
struct Running {
    events: mpsc::Sender<Event>,
    ports: Mutex<Ports>,
    addresses: watch::Sender<Addresses>,
    settings: BrokerBuilder,
    open: Open,
}

impl Running {
    /// It is up: in a cluster, routes may show it.
    fn join(&self) {
        if let Some(member) = &self.settings.member {
            member.is_up(&self.settings.identity(self.addresses.borrow().broker));
        }
    }

    /// It goes down: in a cluster, no route shows it any more.
    fn leave(&self) {
        if let Some(member) = &self.settings.member {
            member.is_down(&self.settings.broker_name);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("addresses", &*self.addresses.borrow())
            .finish_non_exhaustive()
    }
}

/// What tests and tools ask of a running broker, without a connection. A clone asks the same one,
/// from any task.
///
/// It does not keep the broker running: once that has stopped, everything is
/// [`KitError::Stopped`](crate::KitError::Stopped).
#[derive(Debug, Clone)]
pub struct BrokerHandle {
    name: Arc<str>,
    counters: Arc<Counters>,
    running: Weak<Running>,
    failure: Failure,
    rules: Arc<FaultRules>,
    pub(crate) wire: Arc<WireLog>,
}

/// Figures of a running broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Messages stored since the start; dropped ones count.
    pub messages: u64,
    /// Messages dropped since the start, to make room for others.
    pub dropped: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Topics, the system's among them.
    pub topics: u64,
}

impl BrokerBuilder {
    /// Starts the broker, on the current tokio runtime and one separate thread. Once this returns,
    /// clients can connect.
    ///
    /// # Errors
    /// When a port is taken, a setting makes no sense, or the data folder cannot be used.
    pub async fn start(self) -> Result<Broker, BrokerError> {
        self.check()?;
        Broker::start_with(self, open_engine).await
    }
}

impl Broker {
    /// Settings for a new broker.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

    async fn start_with(settings: BrokerBuilder, open: Open) -> Result<Self, BrokerError> {
        let encryption = settings.encryption()?;
        let name_server = Port::take(settings.listen, settings.name_server_port)?;
        let broker = Port::take(settings.listen, settings.broker_port)?;
        let addresses = Addresses { name_server: name_server.address(), broker: broker.address() };
        let counters = Arc::new(Counters::default());
        let identity = settings.identity(addresses.broker);
        let name = Arc::from(identity.broker.as_str());
        let failure = Failure::default();
        let rules = Arc::new(FaultRules::default());
        let wire = Arc::new(WireLog::default());
        let opened = settings.clone();
        let open_now = move || open(&opened, identity);
        let (figures, followed) = (Arc::clone(&counters), Arc::clone(&rules));
        let events = start_engine(open_now, figures, failure.clone(), followed).await?;
        let shared = Shared {
            events: events.clone(),
            rules: Arc::clone(&rules),
            wire: Arc::clone(&wire),
            accounts: Arc::new(settings.accounts.clone()),
            encryption,
            runs: Arc::new(Semaphore::new(RUNS)),
            long_frames: Arc::new(Semaphore::new(LONG_FRAMES)),
        };
        let entrance = Entrance {
            shared,
            seats: Arc::new(Seats::new(MAX_CONNECTIONS, settings.connections_per_address)),
            sessions: Arc::default(),
            failure: failure.clone(),
        };
        let running = Arc::new(Running {
            events,
            ports: Mutex::new(Ports::open(entrance, name_server, broker)?),
            addresses: watch::Sender::new(addresses),
            settings,
            open,
        });
        running.join();
        let (to_it, failed) = (Arc::downgrade(&running), failure.clone());
        let handle = BrokerHandle { name, counters, running: to_it, failure: failed, rules, wire };
        Ok(Self { running, handle, failure })
    }

    /// A handle for other tasks, which may outlive the broker.
    pub fn handle(&self) -> BrokerHandle {
        self.handle.clone()
    }

    /// Where the name server listens.
    pub fn name_server(&self) -> SocketAddr {
        self.running.addresses.borrow().name_server
    }

    /// Where the broker listens.
    pub fn address(&self) -> SocketAddr {
        self.running.addresses.borrow().broker
    }

    /// Why the broker has stopped by itself, if it has: a bug in it, or in a library that it uses.
    /// Its ports are closed then, and messages acknowledged before are in its data folder.
    pub fn failure(&self) -> Option<BrokerError> {
        self.failure.get().map(BrokerError::Failed)
    }

    /// Waits until the broker stops by itself, and says why; for ever while it is well. May be
    /// cancelled and called again.
    pub async fn failed(&self) -> BrokerError {
        BrokerError::Failed(self.failure.wait().await)
    }

    /// Stops: takes no more connections, handles the requests that have arrived, commits, writes
    /// the answers and closes. Takes at most a second when clients do not read.
    ///
    /// Once this returns, the ports and the data folder are free.
    pub async fn stop(self) {
        self.running.leave();
        let mut ports = self.running.ports.lock().await;
        let (stopped, when_stopped) = oneshot::channel();
        ports.stop_accepting();
        if self.running.events.send(Event::Stop(stopped)).is_ok() {
            let _ = when_stopped.await;
        }
        let _ = tokio::time::timeout(STOP_LIMIT, ports.ended()).await;
        ports.end().await;
    }
}

impl Deref for Broker {
    type Target = BrokerHandle;

    fn deref(&self) -> &BrokerHandle {
        &self.handle
    }
}

impl BrokerHandle {
    /// The broker's name, as routes and queues have it; `dev` unless the builder was given another.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens, or did until it went down; `None` once it has stopped.
    pub fn addresses(&self) -> Option<Addresses> {
        self.running.upgrade().map(|running| *running.addresses.borrow())
    }

    /// Figures of this moment; the last ones, once the broker has stopped.
    pub fn stats(&self) -> BrokerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BrokerStats {
            messages: read(&self.counters.messages),
            dropped: read(&self.counters.dropped),
            connections: read(&self.counters.connections),
            topics: read(&self.counters.topics),
        }
    }

    /// Adds a fault rule behind those that there are. It holds for requests that arrive from now on, until its
    /// handle [removes](FaultRule::remove) it.
    ///
    /// # Errors
    /// [`FaultError::Senseless`] when the rule makes no sense; it says what there is.
    pub fn fault(&self, fault: Fault) -> Result<FaultRule, FaultError> {
        self.rules.add(fault)
    }

    /// The fault rules, in the order in which they are asked.
    pub fn faults(&self) -> Vec<FaultRule> {
        self.rules.all()
    }

    /// Asks the engine, and waits for what it says. The runtime goes on meanwhile.
    ///
    /// # Errors
    /// When the broker does not run any more.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine, Millis, &mut Effects) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        let asked = Event::Asked(Box::new(move |engine, now, effects| {
            let _ = answer.send(question(engine, now, effects));
        }));
        self.tell(asked)?;
        answered.await.map_err(|_| self.stopped())
    }

    /// Tells the engine's thread something.
    fn tell(&self, event: Event) -> Result<(), Stopped> {
        // Not kept while an answer is awaited, or it would keep the broker running.
        let sent = self.running.upgrade().map(|running| running.events.send(event));
        sent.ok_or_else(|| self.stopped())?.map_err(|_| self.stopped())
    }

    /// The error of what a broker is asked that has stopped.
    pub(crate) fn stopped(&self) -> Stopped {
        Stopped(self.failure.get())
    }
}

/// Opens the store and starts the engine's thread; gives back the way to it.
async fn start_engine(
    open: impl FnOnce() -> Result<Engine, BrokerError> + Send + 'static,
    counters: Arc<Counters>,
    failure: Failure,
    rules: Arc<FaultRules>,
) -> Result<mpsc::Sender<Event>, BrokerError> {
    let (events, receiver) = mpsc::channel();
    let (ready, when_ready) = oneshot::channel();
    let run = move || match open() {
        Ok(engine) => {
            let engine_loop = EngineLoop::new(engine, receiver, counters, rules);
            let _ = ready.send(Ok(()));
            engine_loop.run();
        }
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    };
    let thread = std::thread::Builder::new().name("posthaste-broker".to_owned());
    let watched = failure.clone();
    thread.spawn(move || watched.watch(run)).map_err(BrokerError::Thread)?;
    match when_ready.await {
        Ok(started) => started?,
        Err(_) => return Err(BrokerError::Failed(failure.wait().await)),
    }
    Ok(events)
}

fn open_engine(settings: &BrokerBuilder, identity: Identity) -> Result<Engine, BrokerError> {
    let store: Box<dyn Store> = match &settings.data_dir {
        Some(folder) => {
            let limit = Limit { bytes: settings.data_limit, when_full: settings.when_full };
            Box::new(DiskStore::open(folder, limit)?)
        }
        None => Box::new(MemoryStore::new(settings.memory_limit)),
    };
    let folder = settings.data_dir.as_deref().unwrap_or(Path::new(""));
    let failed = |error: StoreError| error.into_broker_error(folder);
    let mut engine =
        Engine::new(identity, settings.timing(), store, fastrand::u64(..)).map_err(failed)?;
    engine.sql_filters = settings.sql_filters;
    engine.member = settings.member.clone();
    match engine.member.as_ref().is_none_or(Member::takes_sends) {
        true => engine.create_topics(&settings.topics),
        false => engine.create_topics(&[]),
    }
    .map_err(failed)?;
    engine.register_topics();
    Ok(engine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::QueueKey;
    use crate::store::{Block, Commit, Fact, Full};

    /// A store with a bug.
    struct Panicking;

    impl Store for Panicking {
        fn facts(&self) -> Result<Vec<Fact>, StoreError> {
            Ok(Vec::new())
        }

        fn first_offset(&self, _: QueueKey) -> u64 {
            0
        }

        fn end_offset(&self, _: QueueKey) -> Result<u64, StoreError> {
            Ok(0)
        }

        fn block(&self, _: QueueKey, _: u64) -> Result<Option<Block>, StoreError> {
            Ok(None)
        }

        fn blocks_before(&self, _: QueueKey, _: u64, _: usize) -> Result<Vec<Block>, StoreError> {
            Ok(Vec::new())
        }

        fn requests_per_turn(&self) -> usize {
            panic!("there is a bug")
        }

        fn full(&self) -> Option<Full> {
            None
        }

        fn dropped(&self) -> u64 {
            0
        }

        fn commit(&mut self, _: Commit) -> Result<(), StoreError> {
            Ok(())
        }
    }

    fn open_panicking(_: &BrokerBuilder, identity: Identity) -> Result<Engine, BrokerError> {
        let timing = BrokerBuilder::default().timing();
        Engine::new(identity, timing, Box::new(Panicking), 1)
            .map_err(|error| error.into_broker_error(Path::new("")))
    }

    fn panic_at_once(_: &BrokerBuilder, _: Identity) -> Result<Engine, BrokerError> {
        panic!("there is a bug at the start")
    }

    /// Far longer than it takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_broker_whose_thread_has_ended_says_why_and_leaves_nobody_waiting() {
        let start = Broker::start_with(Broker::builder(), open_panicking);
        let broker = start.await.expect("start");
        assert!(broker.failure().is_none());
        // The first event of all is a turn.
        let mut client = tokio::net::TcpStream::connect(broker.address()).await.expect("connect");
        let failed = tokio::time::timeout(PATIENCE, broker.failed()).await.expect("a failure");
        let text = "the broker has stopped, because of a bug: there is a bug";
        assert_eq!(failed.to_string(), text);
        assert_eq!(broker.failure().map(|failure| failure.to_string()).as_deref(), Some(text));
        let mut byte = [0];
        let end = tokio::io::AsyncReadExt::read(&mut client, &mut byte);
        let end = tokio::time::timeout(PATIENCE, end).await.expect("the end of the connection");
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        let ended = async {
            while tokio::net::TcpStream::connect(broker.name_server()).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("the end of the port");
        broker.stop().await;
    }

    #[tokio::test]
    async fn a_panic_at_the_start_is_an_error_of_the_start() {
        let start = Broker::start_with(Broker::builder(), panic_at_once);
        let error = start.await.expect_err("a bug").to_string();
        assert!(error.contains("there is a bug at the start"), "{error}");
    }
}
