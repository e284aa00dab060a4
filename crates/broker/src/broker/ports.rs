//! The two ports of a broker: its servers listen there, and while it is down the ports stay taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::port::Port;
use crate::connection::Shared;
use crate::error::BrokerError;
use crate::failure::Failure;
use crate::seats::Seats;
use crate::server::Server;

/// Where a broker listens, or did until it went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Addresses {
    /// Of the name server.
    pub name_server: SocketAddr,
    /// Of the broker.
    pub broker: SocketAddr,
}

/// The parts that each server needs to accept connections.
pub(super) struct Entrance {
    pub(super) shared: Shared,
    pub(super) seats: Arc<Seats>,
    /// The number of the next session, over both ports.
    pub(super) sessions: Arc<AtomicU64>,
    pub(super) failure: Failure,
}

/// The two ports.
pub(super) struct Ports {
    entrance: Entrance,
    name_server: Port,
    broker: Port,
    /// Dropped to stop accepting. None while the broker is down.
    accepting: Option<watch::Sender<bool>>,
    servers: JoinSet<()>,
    /// The broker stops, and listens no more.
    stops: bool,
}

impl Ports {
    /// Listens.
    ///
    /// # Errors
    /// When the system does not let it.
    pub(super) fn open(
        entrance: Entrance,
        name_server: Port,
        broker: Port,
    ) -> Result<Self, BrokerError> {
        let servers = JoinSet::new();
        let mut ports =
            Self { entrance, name_server, broker, accepting: None, servers, stops: false };
        ports.up()?;
        Ok(ports)
    }

    /// Where they are.
    pub(super) fn addresses(&self) -> Addresses {
        Addresses { name_server: self.name_server.address(), broker: self.broker.address() }
    }

    /// Ends all connections and refuses new ones. The ports stay taken.
    ///
    /// # Errors
    /// When another program took one in the moment between; on Linux there is none.
    pub(super) async fn down(&mut self) -> Result<(), BrokerError> {
        let Some(accepting) = self.accepting.take() else { return Ok(()) };
        accepting.send_replace(true);
        while self.servers.join_next().await.is_some() {}
        self.name_server.keep()?;
        self.broker.keep()
    }

    /// Listens again where it did.
    ///
    /// # Errors
    /// When the system does not let it.
    pub(super) fn up(&mut self) -> Result<(), BrokerError> {
        if self.accepting.is_some() || self.stops {
            return Ok(());
        }
        let listeners = [self.name_server.listen()?, self.broker.listen()?];
        let (accepting, stop) = watch::channel(false);
        for listener in listeners {
            let Entrance { shared, seats, sessions, failure } = &self.entrance;
            let server = Server {
                listener,
                shared: shared.clone(),
                seats: Arc::clone(seats),
                sessions: Arc::clone(sessions),
                failure: failure.clone(),
            };
            self.servers.spawn(server.run(stop.clone()));
        }
        self.accepting = Some(accepting);
        Ok(())
    }

    /// Goes to other ports while it is down: the broker, and with it the name server if that is
    /// wanted.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn change(&mut self, name_server_too: bool) -> Result<(), BrokerError> {
        // The old ports are given up last, or they might be the new ones.
        let broker = Port::take(self.broker.address().ip(), 0)?;
        if name_server_too {
            self.name_server = Port::take(self.name_server.address().ip(), 0)?;
        }
        self.broker = broker;
        Ok(())
    }

    /// Takes no more connections.
    pub(super) fn stop_accepting(&mut self) {
        self.accepting = None;
        self.stops = true;
    }

    /// Waits until the connections have ended.
    pub(super) async fn ended(&mut self) {
        while self.servers.join_next().await.is_some() {}
    }

    /// Ends the connections that there still are, and gives the ports back.
    pub(super) async fn end(&mut self) {
        self.servers.shutdown().await;
        self.name_server.give_back();
        self.broker.give_back();
    }
}
