//! Where the name servers of a cluster are: a list, the environment, or an address server.

mod address_server;

use std::fmt;
use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use address_server::AddressServer;

use crate::StartError;

/// What Java clients and RocketMQ's own tools read, too.
const VARIABLE: &str = "NAMESRV_ADDR";
const REFRESH: Duration = Duration::from_secs(120);

/// Where a producer finds the name servers of its cluster.
///
/// A text is a list, `host:port;host:port`: names, IPv4 addresses, or IPv6 addresses in brackets
/// (`[::1]:9876`). Names are looked up anew at every connect. Give several name servers: a server
/// that does not answer costs at most a second, once.
///
/// An invalid text shows when a producer [starts](crate::ProducerBuilder::start), as
/// [`StartError::NameServers`]; the list of a running producer can be replaced
/// ([`Producer::set_name_servers`](crate::Producer::set_name_servers)).
#[derive(Clone)]
pub struct NameServers {
    source: Source,
    refresh: Duration,
}

#[derive(Clone)]
enum Source {
    List(String),
    /// What the environment says.
    Environment(Option<String>),
    AddressServer(String),
}

/// Name servers, or who is asked for them, checked.
#[derive(Debug, Clone)]
pub(crate) enum Discovery {
    List(Vec<Arc<str>>),
    AddressServer(AddressServer),
}

impl NameServers {
    fn new(source: Source) -> Self {
        Self { source, refresh: REFRESH }
    }

    /// The name servers in the environment variable `NAMESRV_ADDR`, which Java clients read too. It
    /// is read now; if it is missing, that shows when a producer starts.
    pub fn from_env() -> Self {
        let list = std::env::var_os(VARIABLE).map(|list| list.to_string_lossy().into_owned());
        Self::new(Source::Environment(list.filter(|list| !list.trim().is_empty())))
    }

    /// The name servers that an HTTP server lists (Java: `TopAddressing`).
    ///
    /// `url` is `http://host:port/path`; `host` or `host:port` alone stand for the URL that Java
    /// makes of its `rocketmq.namesrv.domain`: `http://host:8080/rocketmq/nsaddr`. A producer with
    /// a [`unit_name`](crate::ProducerBuilder::unit_name) asks for `path-unit?nofix=1`. The first
    /// line of the answer is the list; it may have 64 KiB, and must come within three seconds.
    ///
    /// The server is asked at the start of a producer, before the first topic is looked up, and
    /// again every [`refresh_interval`](Self::refresh_interval). If it fails, the list stays; as
    /// long as there is no list, it is asked again soon, and sends wait within their deadlines.
    /// Plain HTTP only: anyone who can change the traffic can send a producer to their own servers.
    /// A [SOCKS5 proxy](crate::ProducerBuilder::socks5) is used for it, too.
    pub fn address_server(url: impl Into<String>) -> Self {
        Self::new(Source::AddressServer(url.into()))
    }

    /// How often an address server is asked. Default: 120 s, as in Java; at least 1 s. It has no
    /// effect on a fixed list. With a longer interval, a name server that has moved is missed for
    /// longer.
    #[must_use]
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh = interval;
        self
    }

    pub(crate) fn checked(&self, unit: Option<&str>) -> Result<Discovery, StartError> {
        let checked = match &self.source {
            Source::List(list) => addresses(list).map(Discovery::List),
            Source::Environment(None) => {
                Err(format!("{VARIABLE} is not set; set it to `host:port;host:port`"))
            }
            Source::Environment(Some(list)) => match addresses(list) {
                Ok(list) => Ok(Discovery::List(list)),
                Err(why) => Err(format!("{VARIABLE}: {why}")),
            },
            Source::AddressServer(url) => {
                AddressServer::new(url, unit, self.refresh).map(Discovery::AddressServer)
            }
        };
        checked.map_err(StartError::NameServers)
    }
}

impl fmt::Debug for NameServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, source) = match &self.source {
            Source::List(list) => ("list", Some(list)),
            Source::Environment(list) => ("environment", list.as_ref()),
            Source::AddressServer(url) => ("address_server", Some(url)),
        };
        let shown = source.map(|text| without_user(text));
        f.debug_struct("NameServers").field(name, &shown).field("refresh", &self.refresh).finish()
    }
}

/// A URL or address as it may be shown: what stands before an `@` may be a password.
fn without_user(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, behind)| behind)
}

impl From<&str> for NameServers {
    fn from(list: &str) -> Self {
        Self::new(Source::List(list.into()))
    }
}

impl From<String> for NameServers {
    fn from(list: String) -> Self {
        Self::new(Source::List(list))
    }
}

impl From<&String> for NameServers {
    fn from(list: &String) -> Self {
        Self::from(list.as_str())
    }
}

/// A single name server.
impl From<SocketAddr> for NameServers {
    fn from(address: SocketAddr) -> Self {
        Self::from(address.to_string())
    }
}

/// Splits `host:port;host:port`; spaces around a part are allowed, and one named twice counts once.
pub(crate) fn addresses(list: &str) -> Result<Vec<Arc<str>>, String> {
    let mut addresses: Vec<Arc<str>> = Vec::new();
    for address in list.split(';').map(str::trim).filter(|address| !address.is_empty()) {
        check(address)?;
        if !addresses.iter().any(|known| **known == *address) {
            addresses.push(address.into());
        }
    }
    match addresses.is_empty() {
        true => Err("no name server is given; write `host:port;host:port`".into()),
        false => Ok(addresses),
    }
}

/// Says what is wrong with a `host:port`, if anything is.
fn check(address: &str) -> Result<(), String> {
    if address.contains('@') {
        let shown = without_user(address);
        return Err(format!("the user name before `{shown}` would not be sent"));
    }
    if address.contains("://") {
        return Err(format!(
            "`{address}` is a URL, not `host:port`; an address server is given as `NameServers::address_server`"
        ));
    }
    let split = address.rsplit_once(':');
    let valid = split.filter(|(_, port)| port.parse::<u16>().is_ok_and(|port| port != 0));
    let Some((host, port)) = valid else {
        return Err(format!("`{address}` is not `host:port`"));
    };
    let is_strange = |c: char| c.is_whitespace() || c.is_control();
    match host {
        "" => Err(format!("`{address}` is not `host:port`")),
        _ if host.contains(is_strange) => Err(format!("`{address}` is not `host:port`")),
        _ if host.starts_with('[') => match address.parse::<SocketAddrV6>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("`{host}` is not an IPv6 address")),
        },
        _ if host.contains(':') => {
            Err(format!("an IPv6 address wants brackets: `[{host}]:{port}`, not `{address}`"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_hosts_and_ports() {
        for (list, expected) in [
            ("a:9876", &["a:9876"][..]),
            (" a:1 ; b.example.com:2;;", &["a:1", "b.example.com:2"]),
            ("127.0.0.1:9876;[::1]:9876", &["127.0.0.1:9876", "[::1]:9876"]),
            ("a:1;b:1;a:1", &["a:1", "b:1"]),
        ] {
            let found = addresses(list).unwrap();
            assert_eq!(found.iter().map(|one| &**one).collect::<Vec<_>>(), expected, "{list}");
        }
        for (list, words) in [
            ("", "no name server is given"),
            (" ; ;", "no name server is given"),
            ("a", "`a` is not `host:port`"),
            ("a:", "not `host:port`"),
            (":9876", "not `host:port`"),
            ("a:0", "not `host:port`"),
            ("a:65536", "not `host:port`"),
            ("good:1;a b:1", "`a b:1` is not"),
            ("::1:9876", "`[::1]:9876`"),
            ("[::1:9876", "not an IPv6 address"),
            ("[a]:9876", "not an IPv6 address"),
            ("http://a:9876", "address_server"),
            ("http://me:secret@a:9876", "before `a:9876`"),
        ] {
            let error = addresses(list).unwrap_err();
            assert!(error.contains(words) && !error.contains("secret"), "{list}: {error}");
        }
    }

    #[test]
    fn what_stands_before_a_name_is_not_shown() {
        let server = NameServers::address_server("http://me:a;secret@ns/list");
        for servers in [server, "a:1;http://me:secret@ns:9876".into()] {
            let shown = format!("{servers:?}");
            assert!(shown.contains("ns") && !shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn a_missing_variable_is_said_to_be_missing() {
        let of = |list: Option<&str>| {
            let source = Source::Environment(list.map(str::to_owned));
            NameServers::new(source).checked(None)
        };
        let error = of(None).unwrap_err().to_string();
        assert!(error.contains("NAMESRV_ADDR is not set"), "{error}");
        let error = of(Some("here")).unwrap_err().to_string();
        assert!(error.contains("NAMESRV_ADDR: `here` is not"), "{error}");
        assert!(matches!(of(Some("a:1")), Ok(Discovery::List(list)) if list.len() == 1));
    }
}
