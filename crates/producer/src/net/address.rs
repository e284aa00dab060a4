//! A server's address, `host:port`, taken apart.

/// The host, without the brackets of an IPv6 address, and the port.
pub(crate) fn host_and_port(address: &str) -> (&str, Option<u16>) {
    match address.rsplit_once(':') {
        Some((host, port)) => (bare(host), port.parse().ok()),
        None => (bare(address), None),
    }
}

/// The host, without the brackets of an IPv6 address.
pub(crate) fn host(address: &str) -> &str {
    host_and_port(address).0
}

/// A host without brackets.
pub(crate) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_of_an_address() {
        for (address, host, port) in [
            ("broker:10911", "broker", Some(10911)),
            ("10.1.2.3:10911", "10.1.2.3", Some(10911)),
            ("[fd00::3]:10911", "fd00::3", Some(10911)),
            ("broker", "broker", None),
            ("broker:http", "broker", None),
            (":10911", "", Some(10911)),
            ("", "", None),
        ] {
            assert_eq!(host_and_port(address), (host, port), "{address}");
        }
    }
}
