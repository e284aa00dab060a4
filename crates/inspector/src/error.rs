//! Why the server does not start.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another process listens on the port.
    #[error("port {port} is taken; stop what listens on {0}, or choose another port", port = .0.port())]
    PortTaken(SocketAddr),
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The address can be reached from other machines, and there is no password.
    #[error(
        "{0} can be reached from other machines, and anyone there could read every message; listen \
         on 127.0.0.1, or set a password"
    )]
    NoPassword(IpAddr),
    /// The password is too short.
    #[error("a password has at least {least} characters")]
    ShortPassword {
        /// How many it has at least.
        least: usize,
    },
    /// The system gives no random bytes for a password.
    #[error("the system gives no random bytes; set a password")]
    NoRandom,
    /// A host is not written as a name, or a name and a port.
    #[error("`{0}` is no host; write it as in `dev.example` or `dev.example:9877`")]
    Host(String),
}
