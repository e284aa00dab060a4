//! The values that count for a command, whether flags, contexts or the environment have them.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::{Flags, Format, When};

/// What every command goes by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Global {
    pub(crate) output: Format,
    pub(crate) quiet: bool,
    pub(crate) verbose: u8,
    pub(crate) timeout: Duration,
    pub(crate) color: When,
    /// Flags that say which cluster is meant and how it is reached, as users write them.
    pub(crate) cluster_flags: Vec<&'static str>,
    pub(crate) servers: Servers,
    /// The context that says where the name servers are.
    pub(crate) context: Option<String>,
    pub(crate) broker_map: Vec<(String, String)>,
    pub(crate) broker_host: Option<String>,
    pub(crate) trusted_brokers: Vec<String>,
    pub(crate) access_key: Option<String>,
    pub(crate) secret: Option<Secret>,
    pub(crate) security_token: Option<String>,
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) namespace: Option<String>,
    pub(crate) namespace_v2: Option<String>,
    pub(crate) socks5: Option<Socks>,
    pub(crate) vip: bool,
    pub(crate) unit: Option<String>,
    pub(crate) instance_name: Option<String>,
    /// Queues of a topic that is created without a number of them.
    pub(crate) topic_queues: u32,
}

impl Global {
    /// What the flags say of how to speak: enough to report that the rest is wrong.
    pub(crate) fn to_speak(flags: &Flags) -> Self {
        Self {
            output: flags.output.unwrap_or_default(),
            quiet: flags.quiet,
            verbose: flags.verbose,
            color: flags.color.unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// Where the name servers are.
#[derive(Debug, Clone)]
pub(crate) enum Servers {
    /// `host:port;host:port`
    List(String),
    /// The HTTP server that lists them.
    AddressServer(String),
}

impl Default for Servers {
    fn default() -> Self {
        Self::List("127.0.0.1:9876".to_owned())
    }
}

/// Where a secret is.
#[derive(Clone)]
pub(crate) enum Secret {
    /// Here it is.
    Text(String),
    File(PathBuf),
    /// What this program, with these arguments, writes.
    Command(Vec<String>),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command(words) => f.debug_tuple("Command").field(words).finish(),
        }
    }
}

/// How connections are encrypted.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsSettings {
    pub(crate) ca: Option<PathBuf>,
    /// Certificate and key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    pub(crate) server_name: Option<String>,
    pub(crate) min: TlsMin,
    pub(crate) accept_any: bool,
}

/// The lowest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum TlsMin {
    #[default]
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

/// A SOCKS5 proxy, and who this program is to it.
#[derive(Debug, Clone)]
pub(crate) struct Socks {
    pub(crate) address: String,
    /// User and password.
    pub(crate) login: Option<(String, Secret)>,
}
