//! The two ports of a broker: its servers listen there, and while it is down the ports stay taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::connection::Shared;
use crate::error::BrokerError;
use crate::failure::Failure;
use crate::seats::Seats;
use crate::server::{Server, bind};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1_024;

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
    addresses: Addresses,
    /// Dropped to stop accepting.
    accepting: Option<watch::Sender<bool>>,
    servers: JoinSet<()>,
    /// Bound, so that no program gets the ports as free ones, and not listening, so that they refuse.
    kept: Vec<TcpSocket>,
}

impl Ports {
    /// Listens.
    pub(super) fn open(
        entrance: Entrance,
        name_server: TcpListener,
        broker: TcpListener,
        addresses: Addresses,
    ) -> Self {
        let (servers, kept) = (JoinSet::new(), Vec::new());
        let mut ports = Self { entrance, addresses, accepting: None, servers, kept };
        ports.listen([name_server, broker]);
        ports
    }

    fn listen(&mut self, listeners: [TcpListener; 2]) {
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
    }

    /// Where they are.
    pub(super) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Whether connections are refused.
    pub(super) fn is_down(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Ends all connections and refuses new ones. The ports stay taken.
    ///
    /// # Errors
    /// When another program took one in the moment between.
    pub(super) async fn down(&mut self) -> Result<(), BrokerError> {
        if self.is_down() {
            return Ok(());
        }
        if let Some(accepting) = self.accepting.take() {
            accepting.send_replace(true);
        }
        while self.servers.join_next().await.is_some() {}
        let Addresses { name_server, broker } = self.addresses;
        self.kept = vec![keep(name_server)?, keep(broker)?];
        Ok(())
    }

    /// Listens again where it did.
    ///
    /// # Errors
    /// When the system does not let it.
    pub(super) fn up(&mut self) -> Result<(), BrokerError> {
        let mut listeners = Vec::new();
        for socket in std::mem::take(&mut self.kept) {
            let address = socket.local_addr().unwrap_or(self.addresses.broker);
            let listening = socket.listen(BACKLOG);
            listeners.push(listening.map_err(|source| BrokerError::Listen { address, source })?);
        }
        // None were kept: it listens already.
        if let Ok(listeners) = listeners.try_into() {
            self.listen(listeners);
        }
        Ok(())
    }

    /// Goes to other ports while it is down: the broker, and with it the name server if that is
    /// wanted.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) async fn change(&mut self, name_server_too: bool) -> Result<(), BrokerError> {
        if !self.is_down() {
            return Ok(());
        }
        // The old ports are given up last, or they might be the new ones.
        let mut addresses = self.addresses;
        let changed: &mut [&mut SocketAddr] = match name_server_too {
            true => &mut [&mut addresses.name_server, &mut addresses.broker],
            false => &mut [&mut addresses.broker],
        };
        let mut found = Vec::new();
        for address in changed {
            let listener = bind(address.ip(), 0).await?;
            let unknown = **address;
            let local = listener.local_addr();
            **address = local.map_err(|source| BrokerError::Listen { address: unknown, source })?;
            found.push(listener);
        }
        drop(found);
        let broker = keep(addresses.broker)?;
        if name_server_too {
            let name_server = keep(addresses.name_server)?;
            self.kept = vec![name_server, broker];
        } else {
            self.kept.truncate(1);
            self.kept.push(broker);
        }
        self.addresses = addresses;
        Ok(())
    }

    /// Takes no more connections.
    pub(super) fn stop_accepting(&mut self) {
        self.accepting = None;
        self.kept.clear();
    }

    /// Waits until the connections have ended.
    pub(super) async fn ended(&mut self) {
        while self.servers.join_next().await.is_some() {}
    }

    /// Ends the connections that there still are.
    pub(super) async fn end(&mut self) {
        self.servers.shutdown().await;
    }
}

/// Takes a port without listening there.
fn keep(address: SocketAddr) -> Result<TcpSocket, BrokerError> {
    let socket = || {
        let socket = match address.is_ipv4() {
            true => TcpSocket::new_v4()?,
            false => TcpSocket::new_v6()?,
        };
        // Connections of before may still be closing.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    socket().map_err(|source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AddrInUse => BrokerError::PortTaken(address),
        _ => BrokerError::Listen { address, source },
    })
}
