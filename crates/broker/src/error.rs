//! Why a broker does not start, or has stopped.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Why a broker does not start, or has stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
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
    /// The address can be reached from other machines, and the settings do not allow that.
    #[error(
        "{0} can be reached from other machines, and this broker lets anyone read and write; \
         listen on 127.0.0.1, require an access key, or allow anyone to connect"
    )]
    NotLoopback(IpAddr),
    /// The broker listens on all addresses of the machine, and has none to advertise to clients.
    #[error(
        "{0} stands for every address of this machine, and a client cannot connect to it; set the \
         address that clients use with advertise"
    )]
    NoAddress(IpAddr),
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
    /// The data folder cannot be created or read.
    #[error("cannot use the data folder {folder}")]
    DataFolder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has the data folder open.
    #[error(
        "the data folder {0} is in use by another broker; stop that one, or use another folder"
    )]
    DataInUse(PathBuf),
    /// The data is not what was written.
    #[error(
        "the data in {folder} is damaged ({reason}); no message in it was changed: restore the file \
         from a copy, or start with another folder"
    )]
    DataDamaged {
        /// The folder.
        folder: PathBuf,
        /// Which file, and what does not fit.
        reason: String,
    },
    /// The system gives no thread.
    #[error("cannot start the broker's thread")]
    Thread(#[source] io::Error),
    /// The thread that does the broker's work has ended.
    #[error("the broker has stopped, because of a bug: {0}")]
    Failed(String),
}

/// A broker that does not run any more; why, if it has failed.
#[derive(Debug)]
pub(crate) struct Stopped(pub(crate) Option<String>);
