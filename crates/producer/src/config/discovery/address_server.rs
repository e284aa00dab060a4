//! An HTTP server that lists name servers (Java: `TopAddressing`).

use std::time::Duration;

/// What is asked for when only a host is given.
const DEFAULT_PATH: &str = "/rocketmq/nsaddr";
const DEFAULT_PORT: u16 = 8080;
const USER_NAME: &str = "it has a user name, which would not be sent";
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressServer {
    /// `host:port`.
    pub(crate) address: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) refresh: Duration,
}

impl AddressServer {
    pub(crate) fn new(url: &str, unit: Option<&str>, refresh: Duration) -> Result<Self, String> {
        let shown = super::without_user(url);
        let wrong = |why: &str| format!("address server `{shown}`: {why}");
        let (scheme, rest) = match url.split_once("://") {
            None => (None, url),
            Some((scheme, rest)) => (Some(scheme), rest),
        };
        let (host, path) = rest.find('/').map_or((rest, DEFAULT_PATH), |at| rest.split_at(at));
        // Before anything else is said of it: there may be a password with it.
        if host.contains('@') || scheme.is_some_and(|scheme| scheme.contains('@')) {
            return Err(wrong(USER_NAME));
        }
        if url.contains(|c: char| !c.is_ascii_graphic()) {
            return Err(wrong("a URL has no spaces and no characters outside of ASCII"));
        }
        let default_port = match scheme {
            None => DEFAULT_PORT,
            Some("http") => 80,
            Some(scheme) => {
                return Err(wrong(&format!("`{scheme}` is not spoken, only http")));
            }
        };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let address = if has_port { host.to_owned() } else { format!("{host}:{default_port}") };
        super::check(&address).map_err(|why| match url.contains('@') {
            true => wrong(USER_NAME),
            false => wrong(&why),
        })?;
        let path = unit.map_or_else(|| path.to_owned(), |unit| of_unit(path, unit));
        Ok(Self { address, path, refresh: refresh.max(SHORTEST_REFRESH) })
    }
}

/// The path that a producer of a unit asks for.
fn of_unit(path: &str, unit: &str) -> String {
    match path.split_once('?') {
        None => format!("{path}-{unit}?nofix=1"),
        Some((path, query)) => format!("{path}-{unit}?nofix=1&{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_stands_for_javas_url() {
        for (url, unit, address, path) in [
            ("http://ns.example.com/list", None, "ns.example.com:80", "/list"),
            ("http://ns.example.com:81/a/b?c=d", None, "ns.example.com:81", "/a/b?c=d"),
            ("http://ns.example.com", None, "ns.example.com:80", DEFAULT_PATH),
            ("http://[::1]/x", None, "[::1]:80", "/x"),
            ("http://[::1]:8080/x", None, "[::1]:8080", "/x"),
            ("jmenv.tbsite.net", None, "jmenv.tbsite.net:8080", DEFAULT_PATH),
            ("jmenv.tbsite.net:8081", None, "jmenv.tbsite.net:8081", DEFAULT_PATH),
            ("ns/rocketmq/other", None, "ns:8080", "/rocketmq/other"),
            ("ns", Some("unit1"), "ns:8080", "/rocketmq/nsaddr-unit1?nofix=1"),
            ("http://ns/p?q=1", Some("u"), "ns:80", "/p-u?nofix=1&q=1"),
        ] {
            let server = AddressServer::new(url, unit, Duration::from_secs(5)).unwrap();
            assert_eq!((&*server.address, &*server.path), (address, path), "{url}");
        }
        for (url, words) in [
            ("https://ns/list", "only http"),
            ("http:///list", "not `host:port`"),
            ("http://ns:0/list", "not `host:port`"),
            ("http://me:secret@ns/list", "user name"),
            ("http://ns/list\r\nX: y", "ASCII"),
            ("", "not `host:port`"),
            ("https://me:secret@ns/list", "user name"),
            ("me:secret@ns:0 ", "user name"),
            ("http://me:secret@", "user name"),
            ("http://me:secret/2@ns/list", "user name"),
        ] {
            let error = AddressServer::new(url, None, Duration::from_secs(5)).unwrap_err();
            assert!(error.contains(words) && !error.contains("secret"), "{url}: {error}");
        }
        let server = AddressServer::new("ns", None, Duration::ZERO).unwrap();
        assert_eq!(server.refresh, SHORTEST_REFRESH);
    }
}
