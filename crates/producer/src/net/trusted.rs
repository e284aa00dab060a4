//! Which brokers are trusted with what a producer sends: hosts by name or address, and networks.

use std::net::IpAddr;

use crate::net::address::{bare, host};

/// Hosts and networks that a producer connects to when a route names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustedBrokers(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// A host name, in lower case.
    Name(String),
    Network(Network),
}

/// Addresses that agree in their first `bits`; a single one in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl TrustedBrokers {
    /// Reads a list of hosts and networks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(list: &[String]) -> Result<Self, String> {
        if list.is_empty() {
            return Err("trusted_brokers is empty, so no broker could be used".into());
        }
        let entries = list.iter().map(|text| {
            Entry::parse(text.trim()).map_err(|why| format!("trusted_brokers: `{text}` {why}"))
        });
        entries.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a server at `host:port` is trusted.
    ///
    /// A name is trusted as a name alone: what it resolves to is for others to say.
    pub(crate) fn trusts(&self, address: &str) -> bool {
        let host = host(address);
        match host.parse::<IpAddr>() {
            Ok(ip) => {
                self.0.iter().any(|entry| matches!(entry, Entry::Network(net) if net.has(ip)))
            }
            Err(_) => self
                .0
                .iter()
                .any(|entry| matches!(entry, Entry::Name(name) if name.eq_ignore_ascii_case(host))),
        }
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str =
            "is neither a host (`broker.example.org`, `10.1.2.3`) nor a network (`10.1.0.0/16`)";
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits) = (ip(address).ok_or(WANTED)?, bits.parse().map_err(|_| WANTED)?);
            let most = if address.is_ipv4() { 32 } else { 128 };
            let network = Network { address, bits };
            return if bits <= most { Ok(Self::Network(network)) } else { Err(WANTED) };
        }
        if let Some(address) = ip(text) {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            return Ok(Self::Network(Network { address, bits }));
        }
        let in_names = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        match text {
            "" => Err(WANTED),
            _ if text.contains(':') => {
                Err("has a port; leave the port out: all ports of a host are trusted")
            }
            _ if text.chars().all(in_names) => Ok(Self::Name(text.to_ascii_lowercase())),
            _ => Err(WANTED),
        }
    }
}

impl Network {
    fn has(self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let (differ, width) = match (self.address, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => (u128::from(own.to_bits() ^ ip.to_bits()), 32),
            (IpAddr::V6(own), IpAddr::V6(ip)) => (own.to_bits() ^ ip.to_bits(), 128),
            _ => return false,
        };
        // Of a network of no bits at all, nothing is compared.
        differ.checked_shr(width - self.bits).unwrap_or(0) == 0
    }
}

/// An address, in brackets or not.
fn ip(text: &str) -> Option<IpAddr> {
    bare(text).parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[&str]) -> Result<TrustedBrokers, String> {
        TrustedBrokers::new(&list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn hosts_and_networks_are_trusted_and_nobody_else_is() {
        for (list, address, trusted) in [
            (&["10.1.2.3"][..], "10.1.2.3:10911", true),
            (&["10.1.2.3"], "10.1.2.4:10911", false),
            (&["10.1.2.3"], "110.1.2.3:10911", false),
            (&["10.1.0.0/16"], "10.1.255.1:10909", true),
            (&["10.1.0.0/16"], "10.2.0.1:10911", false),
            (&["10.1.99.99/16"], "10.1.0.1:10911", true),
            (&["10.0.0.0/9"], "10.127.0.1:1", true),
            (&["10.0.0.0/9"], "10.128.0.1:1", false),
            (&["0.0.0.0/0"], "203.0.113.9:10911", true),
            (&["0.0.0.0/0"], "[2001:db8::1]:10911", false),
            (&["::/0"], "[2001:db8::1]:10911", true),
            (&["fd00::/8"], "[fd12::7]:10911", true),
            (&["fd00::/8"], "[fe80::7]:10911", false),
            (&["[::1]"], "[::1]:10911", true),
            (&["127.0.0.1"], "[::ffff:127.0.0.1]:10911", true),
            (&["::ffff:127.0.0.1"], "127.0.0.1:10911", true),
            (&["broker.example.org"], "Broker.Example.org:10911", true),
            (&["broker.example.org"], "broker.example.org.evil.net:10911", false),
            (&["broker.example.org"], "evil-broker.example.org:10911", false),
            (&["example.org"], "broker.example.org:10911", false),
            // Text that only a resolver would take for an address is a name.
            (&["127.0.0.0/8"], "127.1:10911", false),
            (&["127.0.0.0/8"], "localhost:10911", false),
            (&["broker", "10.0.0.0/8"], "10.9.9.9:10911", true),
            (&["broker", "10.0.0.0/8"], "broker:10911", true),
            (&["broker", "10.0.0.0/8"], "10.9.9.9", true),
            (&["10.0.0.0/8"], "", false),
            (&["10.0.0.0/8"], ":10911", false),
        ] {
            assert_eq!(of(list).unwrap().trusts(address), trusted, "{list:?} {address}");
        }
    }

    #[test]
    fn what_is_neither_host_nor_network_is_refused() {
        for (list, words) in [
            (&[][..], "empty"),
            (&[""], "neither a host"),
            (&["broker", "10.0.0.1:10911"], "`10.0.0.1:10911` has a port"),
            (&["broker:10911"], "has a port"),
            (&["10.0.0.0/33"], "neither a host"),
            (&["10.0.0.0/"], "neither a host"),
            (&["10.0.0.0/-1"], "neither a host"),
            (&["broker/8"], "neither a host"),
            (&["fd00::/129"], "neither a host"),
            (&["*.example.org"], "neither a host"),
            (&["http://broker"], "neither a host"),
        ] {
            let error = of(list).unwrap_err();
            assert!(error.contains(words), "{list:?}: {error}");
        }
        assert_eq!(of(&[" 10.0.0.1 "]), of(&["10.0.0.1/32"]));
    }
}
