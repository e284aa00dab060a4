//! What went over each connection, as tests and tools see it.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use crate::broker::BrokerHandle;
use crate::kit::clients;
use crate::kit::error::KitError;
use crate::wire::{WireEnd, WireExchange};

/// A connection, and the last requests and answers that went over it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireConnection {
    /// Its number; none is given twice while the broker runs.
    pub id: u64,
    /// What the client calls itself; `None` until a heartbeat has come on this connection.
    pub client_id: Option<String>,
    /// Where the client is connected from.
    pub address: SocketAddr,
    /// The port of the broker that it has connected to.
    pub port: u16,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
    /// When it began.
    pub connected_at: SystemTime,
    /// When and why it has ended; `None` while it is open.
    pub end: Option<WireEnd>,
    /// Its last exchanges, the oldest first.
    pub exchanges: Vec<WireExchange>,
}

impl BrokerHandle {
    /// The connections, in the order of their beginnings, with the last requests and answers of each.
    ///
    /// The first call switches the wire log on, and finds no exchanges. It stays on until a minute has
    /// passed without a call; then it forgets everything, and costs nothing. While it is on, each frame
    /// is copied and read a second time.
    ///
    /// Of each connection there are the last 100 exchanges, and up to 1,000 requests that wait for their
    /// answers. At most 16 MiB are kept in all: when there are more, connections that have ended go
    /// first, and then the older half of the others' exchanges. The last 32 connections that have ended
    /// while it was on are among the answer. Credentials are not: see [`WireFrame`](crate::WireFrame).
    ///
    /// ```
    /// # use posthaste_broker::{Broker, Fault, On};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = Broker::builder().start().await?;
    /// broker.wire().await?;
    /// // … something is sent …
    /// for connection in broker.wire().await? {
    ///     for exchange in connection.exchanges {
    ///         let code = exchange.request.as_ref().and_then(|request| request.code);
    ///         println!("{:?} {code:?} took {:?}", exchange.topic(), exchange.took);
    ///     }
    /// }
    /// # broker.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`KitError::Stopped`].
    pub async fn wire(&self) -> Result<Vec<WireConnection>, KitError> {
        let recorded = self.wire.ask(Instant::now());
        let mut ids = self.ask(|engine, _, _| clients::ids(engine)).await?;
        let connections = recorded.into_iter().map(|recorded| WireConnection {
            id: recorded.about.id,
            client_id: ids.remove(&recorded.about.id).or(recorded.client_id),
            address: recorded.about.address,
            port: recorded.about.port,
            is_encrypted: recorded.about.is_encrypted,
            connected_at: recorded.about.connected_at,
            end: recorded.end,
            exchanges: recorded.exchanges,
        });
        Ok(connections.collect())
    }
}
