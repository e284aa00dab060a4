//! The hosts by which this server is called.
//!
//! A page on the internet can have a name that leads to 127.0.0.1 (DNS rebinding); what gives it away
//! is that name, in the `Host` of its requests.

use std::net::{IpAddr, SocketAddr};

use crate::error::ServeError;

/// The port that a `Host` without one stands for.
const HTTP: u16 = 80;

/// The hosts that requests may name.
#[derive(Debug)]
pub(crate) struct Hosts {
    address: SocketAddr,
    given: Vec<Host>,
}

/// A name, in lower case, and a port, where one was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    name: String,
    port: Option<u16>,
}

impl Hosts {
    pub(crate) fn new(address: SocketAddr, given: Vec<Host>) -> Self {
        Self { address, given }
    }

    /// Whether a request may have this `Host`.
    pub(crate) fn allow(&self, text: &str) -> bool {
        let Some(host) = Host::read(text) else { return false };
        let port = host.port.unwrap_or(HTTP);
        let ip: Option<IpAddr> = host.name.trim_matches(['[', ']']).parse().ok();
        let is_own = match ip {
            Some(ip) => ip.is_loopback() || (ip == self.address.ip() && !ip.is_unspecified()),
            None => host.name == "localhost",
        };
        let is = |given: &Host| {
            given.name == host.name && given.port.unwrap_or(self.address.port()) == port
        };
        (is_own && port == self.address.port()) || self.given.iter().any(is)
    }
}

impl Host {
    /// A host that someone gives.
    pub(crate) fn given(text: &str) -> Result<Self, ServeError> {
        Self::read(text).ok_or_else(|| ServeError::Host(text.to_owned()))
    }

    fn read(text: &str) -> Option<Self> {
        // What is in brackets has colons of its own.
        let end_of_name = text.rfind(']').map_or(0, |at| at + 1);
        let (name, port) = match text.get(end_of_name..)?.rfind(':') {
            Some(at) => (text.get(..end_of_name + at)?, text.get(end_of_name + at + 1..)),
            None => (text, None),
        };
        let is_bracketed = name.starts_with('[') && name.ends_with(']');
        let is_part = |c: char| {
            c.is_ascii_alphanumeric() || "-._".contains(c) || (is_bracketed && "[]:".contains(c))
        };
        let is_name = !name.is_empty() && name.chars().all(is_part);
        let port = match port {
            Some(port) => Some(port.parse().ok()?),
            None => None,
        };
        is_name.then(|| Self { name: name.to_ascii_lowercase(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_loopback_name_or_a_given_one_with_the_port() {
        let given = ["dev.example", "proxy:80", "Box:8080"];
        let given = given.map(|text| Host::given(text).expect(text)).to_vec();
        let hosts = Hosts::new("10.1.2.3:9877".parse().expect("address"), given);
        for (host, is_allowed) in [
            ("127.0.0.1:9877", true),
            ("127.0.0.2:9877", true),
            ("localhost:9877", true),
            ("LOCALHOST:9877", true),
            ("[::1]:9877", true),
            ("10.1.2.3:9877", true),
            ("dev.example:9877", true),
            ("proxy", true),
            ("proxy:80", true),
            ("box:8080", true),
            ("127.0.0.1", false),
            ("localhost:9876", false),
            ("localhost", false),
            ("::1:9877", false),
            ("[::1]x:9877", false),
            ("10.1.2.4:9877", false),
            ("evil.example:9877", false),
            ("localhost.evil.example:9877", false),
            ("127.0.0.1.evil.example:9877", false),
            ("dev.example", false),
            ("proxy:9877", false),
            ("box:9877", false),
            ("user@localhost:9877", false),
            ("localhost:", false),
            ("localhost:09877x", false),
            ("", false),
        ] {
            assert_eq!(hosts.allow(host), is_allowed, "{host:?}");
        }
        let everywhere = Hosts::new("0.0.0.0:9877".parse().expect("address"), Vec::new());
        assert!(!everywhere.allow("0.0.0.0:9877"));
        assert!(everywhere.allow("localhost:9877"));
    }

    #[test]
    fn what_is_no_host_is_not_given() {
        for text in ["", "http://dev", "dev/", "dev:x", "a b", ":9877", "::1"] {
            assert!(matches!(Host::given(text), Err(ServeError::Host(_))), "{text:?}");
        }
    }
}
