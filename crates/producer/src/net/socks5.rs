//! Reaching servers through a SOCKS5 proxy (RFC 1928, with the login of RFC 1929).

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::net::address;
use crate::net::reach;

/// Chooses the addresses, as `host:port`, that a proxy is used for.
type Chooses = dyn Fn(&str) -> bool + Send + Sync;

/// A SOCKS5 proxy that connections go through: settings for
/// [`ProducerBuilder::socks5`](crate::ProducerBuilder::socks5).
///
/// The proxy resolves the names of servers. TLS, if it is on, is spoken with the servers, through
/// the proxy. (Java: `socksProxyConfig`.)
#[derive(Clone)]
pub struct Socks5 {
    address: String,
    login: Option<(String, String)>,
    only_for: Option<Arc<Chooses>>,
}

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const NO_METHOD: u8 = 0xFF;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

impl Socks5 {
    /// The proxy at `host:port`, without a login.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), login: None, only_for: None }
    }

    /// Logs in with this user and password, 1 to 255 bytes each. They travel unencrypted.
    #[must_use]
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some((user.into(), password.into()));
        self
    }

    /// Uses the proxy only for addresses that `chooses` takes, given as `host:port`; other
    /// addresses are connected to directly. Default: all addresses. It is called at every connect;
    /// if it panics, the proxy is used.
    #[must_use]
    pub fn only_for(mut self, chooses: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.only_for = Some(Arc::new(chooses));
        self
    }

    /// # Errors
    /// What is wrong with the settings.
    pub(crate) fn check(&self) -> Result<(), String> {
        if split(&self.address).is_none() {
            return Err(format!("SOCKS5 proxy: `{}` is not `host:port`", self.address));
        }
        let fits = |text: &String| (1..=255).contains(&text.len());
        match &self.login {
            Some((user, password)) if !fits(user) || !fits(password) => {
                Err("SOCKS5 proxy: user and password have 1 to 255 bytes each".into())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn is_for(&self, address: &str) -> bool {
        let Some(chooses) = &self.only_for else { return true };
        catch_unwind(AssertUnwindSafe(|| chooses(address))).unwrap_or(true)
    }

    /// Connects to `host:port` by way of the proxy.
    pub(crate) async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        let connected = async {
            let mut stream = reach::connect(&self.address).await?;
            self.greet(&mut stream).await?;
            ask(&mut stream, address).await?;
            Ok(stream)
        };
        connected.await.map_err(|error: io::Error| {
            let text = format!("by the SOCKS5 proxy {}: {error}", self.address);
            io::Error::new(error.kind(), text)
        })
    }

    /// Agrees on how to log in, and does so.
    async fn greet(&self, stream: &mut TcpStream) -> io::Result<()> {
        let method = if self.login.is_some() { LOGIN } else { NO_LOGIN };
        stream.write_all(&[VERSION, 1, method]).await?;
        let [version, chosen] = read(stream).await?;
        match (version, chosen, &self.login) {
            (VERSION, NO_LOGIN, None) => Ok(()),
            (VERSION, LOGIN, Some((user, password))) => log_in(stream, user, password).await,
            (VERSION, NO_METHOD, None) => Err(refused("it requires a login")),
            (VERSION, NO_METHOD, Some(_)) => {
                Err(refused("it does not accept a user name and password"))
            }
            _ => Err(no_socks()),
        }
    }
}

impl fmt::Debug for Socks5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks5")
            .field("address", &self.address)
            .field("login", &self.login.is_some())
            .finish_non_exhaustive()
    }
}

async fn log_in(stream: &mut TcpStream, user: &str, password: &str) -> io::Result<()> {
    let mut request = vec![LOGIN_VERSION];
    for text in [user, password] {
        request.push(u8::try_from(text.len()).map_err(|_| refused("the login is too long"))?);
        request.extend_from_slice(text.as_bytes());
    }
    stream.write_all(&request).await?;
    match read(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(refused("wrong user or password")),
    }
}

/// Asks for a connection to `host:port`.
async fn ask(stream: &mut TcpStream, address: &str) -> io::Result<()> {
    stream.write_all(&connect_request(address)?).await?;
    let [version, reply, _, kind] = read(stream).await?;
    if version != VERSION {
        return Err(no_socks());
    }
    if reply != 0 {
        return Err(refused(meaning(reply)));
    }
    // Where the proxy is connected from: of no use, but what follows belongs to the server.
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let [length] = read(stream).await?;
            usize::from(length)
        }
        _ => return Err(no_socks()),
    };
    let mut bound = [0; 255 + 2];
    let bound = bound.get_mut(..length + 2).unwrap_or_default();
    stream.read_exact(bound).await?;
    Ok(())
}

fn connect_request(address: &str) -> io::Result<Vec<u8>> {
    let (host, port) = split(address).ok_or_else(|| refused("the address is not host:port"))?;
    let mut request = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            request.push(IPV4);
            request.extend_from_slice(&ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            request.push(IPV6);
            request.extend_from_slice(&ip.octets());
        }
        Err(_) => {
            let length = u8::try_from(host.len()).map_err(|_| refused("the name is too long"))?;
            request.extend_from_slice(&[NAME, length]);
            request.extend_from_slice(host.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

async fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Host without brackets, and port.
fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address::host_and_port(address);
    let port = port.filter(|port| *port != 0)?;
    (!host.is_empty()).then_some((host, port))
}

fn meaning(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "its rules do not allow the connection",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "the host refuses the connection",
        6 => "no answer from the host",
        7 => "it could not connect",
        8 => "it does not know this kind of address",
        _ => "it fails without a known reason",
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, why)
}

fn no_socks() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what answers there does not speak SOCKS5")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_asked_for_as_they_are() {
        let name = *b"\x05\x01\0\x03\x02mq\x26\x94";
        let ipv4 = *b"\x05\x01\0\x01\x0a\0\0\x07\x2a\x9f";
        assert_eq!(connect_request("mq:9876").unwrap(), name);
        assert_eq!(connect_request("10.0.0.7:10911").unwrap(), ipv4);
        let ipv6 = connect_request("[::1]:10911").unwrap();
        assert_eq!((ipv6[3], ipv6.len()), (IPV6, 4 + 16 + 2));
        assert!(connect_request(&format!("{}:1", "x".repeat(256))).is_err());
        assert!(connect_request("nowhere").is_err());
    }

    #[test]
    fn wrong_settings_are_told_and_passwords_are_not() {
        let proxy = Socks5::new("proxy:1080").login("me", "hush");
        assert_eq!(proxy.check(), Ok(()));
        let shown = format!("{proxy:?}");
        assert!(shown.contains("proxy:1080") && !shown.contains("hush"), "{shown}");
        for wrong in [
            Socks5::new("proxy"),
            Socks5::new(":1080"),
            Socks5::new("proxy:0"),
            Socks5::new("proxy:1080").login("", "x"),
            Socks5::new("proxy:1080").login("me", "x".repeat(256)),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
