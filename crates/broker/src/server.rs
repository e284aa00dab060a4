//! Accepting connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::connection::{self, Shared};
use crate::engine::SessionId;
use crate::error::BrokerError;

/// How many connections there may be, over both ports. One more waits to be accepted.
pub(crate) const MAX_CONNECTIONS: usize = 1_024;
/// How long accepting pauses when the system has no descriptor to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds a port; 0 is any free one.
pub(crate) async fn bind(ip: IpAddr, port: u16) -> Result<TcpListener, BrokerError> {
    let address = SocketAddr::new(ip, port);
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => BrokerError::PortTaken(address),
        _ => BrokerError::Listen { address, source },
    })
}

/// Accepts the connections of one port.
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) shared: Shared,
    /// One permit for each connection that there may be.
    pub(crate) connections: Arc<Semaphore>,
    /// The number of the next session, over both ports.
    pub(crate) sessions: Arc<AtomicU64>,
}

impl Server {
    /// Accepts until `stop` is dropped; then waits until the connections have ended. Dropping this
    /// future ends them at once.
    pub(crate) async fn run(self, stop: tokio::sync::watch::Receiver<()>) {
        let mut connections = JoinSet::new();
        {
            let stopped = stopped(stop);
            tokio::pin!(stopped);
            loop {
                tokio::select! {
                    () = &mut stopped => break,
                    (socket, peer, permit) = self.accept() => {
                        let session = SessionId(self.sessions.fetch_add(1, Ordering::Relaxed));
                        let shared = self.shared.clone();
                        connections.spawn(async move {
                            connection::serve(socket, peer, session, shared).await;
                            drop(permit);
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        }
        drop(self);
        while connections.join_next().await.is_some() {}
    }

    async fn accept(&self) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        loop {
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else {
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((socket, peer)) => return (socket, peer, permit),
                Err(error) => {
                    // Mostly: no descriptors left. Those who are connected go on being served.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn stopped(mut stop: tokio::sync::watch::Receiver<()>) {
    while stop.changed().await.is_ok() {}
}
