//! Making a connection: TCP, perhaps through a proxy, perhaps encrypted.

use std::io;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tokio_rustls::client::TlsStream;

use super::Peer;
use crate::ErrorKind;
use crate::config::Config;
use crate::message::cause::Cause;
use crate::net::address;
use crate::net::reach;

/// How long written bytes may stay unacknowledged before the system gives the connection up. A peer
/// that vanished without a word would otherwise go unnoticed for a quarter of an hour.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(8);

/// A connection that stands.
pub(super) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoConnection {
    /// `Connect`, `Tls` or `Untrusted`.
    pub(super) kind: ErrorKind,
    pub(super) reason: String,
    /// What the system or TLS said.
    pub(super) cause: Option<Cause>,
    /// Whether trying again soon will end the same way.
    pub(super) for_good: bool,
}

/// Connects to `host:port`, within the time that a connect may take. The name is looked up anew
/// each time. No part of the producer connects to a broker that is not trusted: the first request
/// there would tell who we are.
pub(super) async fn connect(
    address: &str,
    peer: Peer,
    config: &Config,
) -> Result<Stream, NoConnection> {
    if peer == Peer::Broker && !config.trusts(address) {
        return Err(no_trust(address));
    }
    let deadline = Instant::now() + config.connect_timeout;
    let reached = tokio::time::timeout_at(deadline.into(), reach(address, config)).await;
    let stream = reached.unwrap_or_else(|_| Err(too_late("the connect"))).map_err(no_connect)?;
    #[cfg(feature = "tls")]
    if let Some(tls) = &config.tls {
        let shaken = tls.shake_hands(address, stream);
        let shaken = tokio::time::timeout_at(deadline.into(), shaken).await;
        let encrypted = shaken.unwrap_or_else(|_| Err(too_late("the TLS handshake")));
        return encrypted.map(|one| Stream::Tls(Box::new(one))).map_err(no_tls);
    }
    Ok(Stream::Plain(stream))
}

/// Connects to `host:port`, by way of the proxy if there is one for it.
pub(crate) async fn reach(address: &str, config: &Config) -> io::Result<TcpStream> {
    let proxy = config.socks5.as_ref().filter(|proxy| proxy.is_for(address));
    let stream = match proxy {
        Some(proxy) => proxy.connect(address).await?,
        None => reach::connect(address).await?,
    };
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(20)))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(stream)
}

fn no_trust(address: &str) -> NoConnection {
    let reason = format!(
        "nothing was sent to `{}`; if it belongs to the cluster, add it to the trusted brokers",
        address::host(address)
    );
    NoConnection { kind: ErrorKind::Untrusted, reason, cause: None, for_good: true }
}

fn too_late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer to {what}"))
}

fn no_connect(error: io::Error) -> NoConnection {
    NoConnection {
        kind: ErrorKind::Connect,
        reason: error.to_string(),
        cause: Some(error.into()),
        for_good: false,
    }
}

#[cfg(feature = "tls")]
fn no_tls(error: io::Error) -> NoConnection {
    let for_good = crate::net::tls::is_for_good(&error);
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            format!("the TLS handshake broke off ({error}); does that port speak TLS?")
        }
        _ => format!("the TLS handshake failed: {error}"),
    };
    NoConnection { kind: ErrorKind::Tls, reason, cause: Some(error.into()), for_good }
}
