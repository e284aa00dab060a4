//! Accepting connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::connection::{self, Shared};
use crate::engine::SessionId;
use crate::failure::Failure;
use crate::seats::{Seat, Seats};

/// How many connections there may be, over both ports.
pub(crate) const MAX_CONNECTIONS: usize = 1_024;
/// How long accepting pauses when the system has no descriptor to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Whether the connections end at once when accepting ends.
pub(crate) type Stop = tokio::sync::watch::Receiver<bool>;

/// Accepts the connections of one port.
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) shared: Shared,
    /// A seat for each connection that there may be.
    pub(crate) seats: Arc<Seats>,
    /// The number of the next session, over both ports.
    pub(crate) sessions: Arc<AtomicU64>,
    /// Whether the broker has stopped by itself.
    pub(crate) failure: Failure,
}

impl Server {
    /// Accepts until the other side of `stop` is dropped or says `true`; then waits until the
    /// connections have ended. They end at once after `true`, when this future is dropped, or when
    /// the broker has failed.
    pub(crate) async fn run(self, stop: Stop) {
        let failure = self.failure.clone();
        tokio::select! {
            () = self.serve(stop) => {}
            _ = failure.wait() => {}
        }
    }

    async fn serve(self, stop: Stop) {
        let mut connections = JoinSet::new();
        {
            let stopped = stopped(stop.clone());
            tokio::pin!(stopped);
            loop {
                tokio::select! {
                    () = &mut stopped => break,
                    (socket, peer, seat) = self.accept() => {
                        let session = SessionId(self.sessions.fetch_add(1, Ordering::Relaxed));
                        let shared = self.shared.clone();
                        connections.spawn(async move {
                            connection::serve(socket, peer, seat, session, shared).await;
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        }
        drop(self);
        if *stop.borrow() {
            connections.shutdown().await;
        }
        while connections.join_next().await.is_some() {}
    }

    /// The next connection that may stay.
    async fn accept(&self) -> (TcpStream, SocketAddr, Seat) {
        loop {
            match self.listener.accept().await {
                Ok((socket, peer)) => match self.seats.take(peer.ip()) {
                    Some(seat) => return (socket, peer, seat),
                    None => tracing::warn!(%peer, "its address has its share of connections"),
                },
                Err(error) => {
                    // Mostly: no descriptors left. Clients that are connected go on being served.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn stopped(mut stop: Stop) {
    let _ = stop.wait_for(|at_once| *at_once).await;
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc;

    use tokio::io::AsyncReadExt as _;
    use tokio::sync::{Semaphore, watch};

    use super::*;
    use crate::engine_loop::Event;

    /// Far longer than it takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn when_all_places_are_taken_a_newcomer_gets_that_of_the_longest_silent() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (events, received) = mpsc::channel();
        let permits = || Arc::new(Semaphore::new(8));
        let shared = Shared {
            events,
            rules: Arc::default(),
            wire: Arc::default(),
            accounts: Arc::default(),
            encryption: None,
            runs: permits(),
            long_frames: permits(),
        };
        let (accepting, stop) = watch::channel(false);
        let server = Server {
            listener,
            shared,
            seats: Arc::new(Seats::new(3, 1)),
            sessions: Arc::default(),
            failure: Failure::default(),
        };
        let running = tokio::spawn(server.run(stop));
        let mut clients = Vec::new();
        for expected in 1..=5 {
            clients.push(TcpStream::connect(address).await.expect("connect"));
            // It has its place once the engine would know of it.
            while received.try_iter().filter(|event| matches!(event, Event::Opened { .. })).count()
                == 0
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for sent_away in clients.iter_mut().take(expected.max(3) - 3) {
                let end = sent_away.read_u8();
                let end = tokio::time::timeout(PATIENCE, end).await.expect("the end");
                assert!(end.is_err(), "something was written to it");
            }
            for kept in clients.iter().skip(expected.max(3) - 3) {
                let nothing = kept.try_read(&mut [0]).map_err(|error| error.kind());
                assert_eq!(nothing, Err(std::io::ErrorKind::WouldBlock), "it was closed");
            }
        }
        drop((accepting, clients));
        tokio::time::timeout(PATIENCE, running).await.expect("it ends").expect("without a panic");
    }
}
