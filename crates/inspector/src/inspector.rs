//! A running server, its settings, its start and its end.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use posthaste_broker::{Broker, BrokerHandle};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::error::ServeError;
use crate::history::{History, SECOND};
use crate::hosts::{Host, Hosts};
use crate::listener::Listener;
use crate::password::Password;
use crate::room::Room;
use crate::routes::router;
use crate::shared::Shared;
use crate::token::Token;

/// The port, if nothing is said of it.
const PORT: u16 = 9877;
/// How long answers under way may take when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Serves a broker at an address; see [`Inspector::builder`] for more.
///
/// # Errors
/// As [`Builder::start`].
pub async fn serve(broker: &Broker, address: SocketAddr) -> Result<Inspector, ServeError> {
    Inspector::builder(broker).address(address).start().await
}

/// A running server. Dropping it stops it too, without waiting.
///
/// It does not keep the broker running: once that has stopped, requests are answered with 503.
#[derive(Debug)]
pub struct Inspector {
    address: SocketAddr,
    /// Dropped to stop.
    running: watch::Sender<()>,
    server: JoinHandle<()>,
}

impl Inspector {
    /// Settings for a new server.
    pub fn builder(broker: &Broker) -> Builder {
        Builder {
            broker: broker.handle(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            hosts: Vec::new(),
            password: None,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a program on this machine finds it: `http://127.0.0.1:9877`, without a slash at the end.
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }

    /// Stops: takes no more connections, and ends when the answers under way are written, at most a
    /// second later. Requests that wait for messages are answered at once, with 503.
    ///
    /// Once this returns, the port is free.
    pub async fn stop(mut self) {
        drop(self.running);
        if tokio::time::timeout(STOP_LIMIT, &mut self.server).await.is_err() {
            self.server.abort();
            let _ = self.server.await;
        }
    }
}

/// Settings of a server.
#[derive(Debug)]
#[must_use = "it does nothing until it is started"]
pub struct Builder {
    broker: BrokerHandle,
    address: SocketAddr,
    hosts: Vec<String>,
    password: Option<Password>,
}

impl Builder {
    /// The address to listen on; default 127.0.0.1:9877. Port 0 picks a free one.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// A host by which clients call this server, beside the loopback names and the address itself:
    /// `dev.example`, which stands for the port that the server has, or `dev.example:8080`, where a
    /// port is forwarded. May be given several times.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// A password that everything but `/healthz` and `/readyz` needs; default none. An address that
    /// other machines can reach is not listened on without one.
    pub fn password(mut self, password: Password) -> Self {
        self.password = Some(password);
        self
    }

    /// Starts the server, on the current tokio runtime. Once this returns, clients can connect.
    ///
    /// # Errors
    /// When the port is taken, or a setting makes no sense.
    pub async fn start(self) -> Result<Inspector, ServeError> {
        let given: Result<Vec<_>, _> = self.hosts.iter().map(|host| Host::given(host)).collect();
        let given = given?;
        if self.password.is_none() && !self.address.ip().is_loopback() {
            return Err(ServeError::NoPassword(self.address.ip()));
        }
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ServeError::PortTaken(self.address),
            _ => ServeError::Listen { address: self.address, source },
        };
        let listener = TcpListener::bind(self.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (running, stopping) = watch::channel(());
        let shared = Arc::new(Shared {
            broker: self.broker,
            room: Room::default(),
            hosts: Hosts::new(address, given),
            password: self.password,
            token: Token::generate()?,
            history: History::default(),
            stopping,
            adding: Mutex::default(),
        });
        let stops = shared.stops();
        tokio::spawn(record(Arc::clone(&shared)));
        let serve = axum::serve(Listener::new(listener), router(shared));
        let server = tokio::spawn(async move {
            // It ends when it is told to; an error of accepting is no end.
            let _ = serve.with_graceful_shutdown(stops).await;
        });
        Ok(Inspector { address, running, server })
    }
}

/// Takes figures every second, until the server stops.
async fn record(shared: Arc<Shared>) {
    let mut stops = Box::pin(shared.stops());
    let mut seconds = tokio::time::interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = seconds.tick() => {}
            () = &mut stops => return,
        }
        let stats = shared.broker.stats();
        shared.history.add(SystemTime::now(), stats.messages, stats.dropped, stats.connections);
    }
}
