//! One port of a broker, which is the broker's from its start to its end, whether it listens or not.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::error::BrokerError;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Whether a port can be listened on beside the socket that keeps it. Elsewhere that socket itself
/// listens; when listening ends, the port is free for a moment.
const KEPT_WHILE_IT_LISTENS: bool = cfg!(target_os = "linux");

/// A port that no other program gets as a free one.
pub(super) struct Port {
    address: SocketAddr,
    /// Bound, and never listening.
    keeps: Option<TcpSocket>,
}

impl Port {
    /// Takes a port; 0 is any free one.
    pub(super) fn take(ip: IpAddr, port: u16) -> Result<Self, BrokerError> {
        let wanted = SocketAddr::new(ip, port);
        let keeps = bound(wanted)?;
        let address = keeps.local_addr();
        let address = address.map_err(|source| BrokerError::Listen { address: wanted, source })?;
        Ok(Self { address, keeps: Some(keeps) })
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to listen. It ends when the listener is dropped; then `keep` has to be called.
    pub(super) fn listen(&mut self) -> Result<TcpListener, BrokerError> {
        let socket = match self.keeps.take() {
            Some(keeps) if KEPT_WHILE_IT_LISTENS => {
                self.keeps = Some(keeps);
                bound(self.address)?
            }
            Some(keeps) => keeps,
            None => bound(self.address)?,
        };
        socket.listen(BACKLOG).map_err(|source| failure(self.address, source))
    }

    /// Keeps the port while it does not listen.
    pub(super) fn keep(&mut self) -> Result<(), BrokerError> {
        if self.keeps.is_none() {
            self.keeps = Some(bound(self.address)?);
        }
        Ok(())
    }

    /// Lets others have the port.
    pub(super) fn give_back(&mut self) {
        self.keeps = None;
    }
}

/// A socket that has the address, and does not listen.
fn bound(address: SocketAddr) -> Result<TcpSocket, BrokerError> {
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
    socket().map_err(|source| failure(address, source))
}

fn failure(address: SocketAddr, source: std::io::Error) -> BrokerError {
    match source.kind() {
        ErrorKind::AddrInUse => BrokerError::PortTaken(address),
        _ => BrokerError::Listen { address, source },
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;

    use super::*;

    /// Another broker of the same test program got the port in the moment between.
    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_port_stays_taken_while_listening_begins_and_ends() {
        let mut port = Port::take(Ipv4Addr::LOCALHOST.into(), 0).expect("a free port");
        for _ in 0..3 {
            let listener = port.listen().expect("it listens");
            TcpStream::connect(port.address()).await.expect("a connection");
            drop(listener);
            // It is bound still: a socket that shares no address does not get it.
            let other = TcpSocket::new_v4().expect("a socket");
            let taken = other.bind(port.address()).expect_err("the port is taken");
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
            TcpStream::connect(port.address()).await.expect_err("nobody listens");
            port.keep().expect("it keeps the port");
        }
    }
}
