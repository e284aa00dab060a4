//! An HTTP server that lists name servers (Java: `TopAddressing`).

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::addresses;
use crate::client::Client;
use crate::config::Config;
use crate::connection::dial;
use crate::timestamp::ms_since_1970;

/// What is asked for when only a host is given.
const DEFAULT_PATH: &str = "/rocketmq/nsaddr";
const DEFAULT_PORT: u16 = 8080;
const USER_NAME: &str = "it has a user name, which would not be sent";
/// Of all of one answer (Java: connect and read 3 s each).
const TIMEOUT: Duration = Duration::from_secs(3);
const MOST_BYTES: usize = 64 * 1024;
/// Pause before the server is asked again while there is no list; doubles up to the other.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressServer {
    /// `host:port`.
    address: String,
    /// Path and query.
    path: String,
    refresh: Duration,
}

impl AddressServer {
    pub(super) fn new(url: &str, unit: Option<&str>, refresh: Duration) -> Result<Self, String> {
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

    /// Asks again and again, and has the producer ask the name servers that are listed; until it
    /// is `replaced`.
    pub(crate) async fn follow(&self, client: &Arc<Client>, replaced: &CancellationToken) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let pause = match self.ask(client.config()).await {
                Ok(listed) => {
                    client.directory.put(client, &listed, Some(replaced));
                    self.refresh
                }
                Err(reason) => {
                    tracing::debug!(%reason, "no list of name servers");
                    let pause = backoff.min(self.refresh);
                    backoff = (backoff * 2).min(LONGEST_BACKOFF);
                    if client.directory.trouble(reason) { self.refresh } else { pause }
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask(&self, config: &Config) -> Result<Vec<Arc<str>>, String> {
        let address = &self.address;
        let answer = match tokio::time::timeout(TIMEOUT, self.get(config)).await {
            Ok(Ok(answer)) => {
                list_in(&answer).and_then(addresses).and_then(|listed| trusted(listed, config))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {TIMEOUT:?}")),
        };
        answer.map_err(|why| format!("address server {address}: {why}"))
    }

    /// One GET; the answer with its head.
    async fn get(&self, config: &Config) -> io::Result<Vec<u8>> {
        let mut stream = dial::reach(&self.address, config).await?;
        stream.write_all(self.request(SystemTime::now()).as_bytes()).await?;
        let mut answer = Vec::new();
        while stream.read_buf(&mut answer).await? > 0 && !Answer::is_whole(&answer) {
            if answer.len() > MOST_BYTES {
                return Err(io::Error::other(format!("more than {MOST_BYTES} bytes")));
            }
        }
        Ok(answer)
    }

    /// HTTP/1.0, so that the answer comes in one piece. The headers are those of Java clients.
    fn request(&self, now: SystemTime) -> String {
        let mut request = format!("GET {} HTTP/1.0\r\nHost: {}\r\n", self.path, self.address);
        let headers = [
            ("Client-Version", "V5_5_0"),
            ("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8"),
            ("Connection", "close"),
        ];
        for (name, value) in headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        let _ = write!(request, "Metaq-Client-RequestTS: {}\r\n\r\n", ms_since_1970(now));
        request
    }
}

/// Those of a list that are trusted: whoever can change the list could name servers of their own.
fn trusted(listed: Vec<Arc<str>>, config: &Config) -> Result<Vec<Arc<str>>, String> {
    let (trusted, strangers): (Vec<_>, Vec<_>) =
        listed.into_iter().partition(|address| config.trusts(address));
    if !strangers.is_empty() {
        tracing::warn!(?strangers, "name servers that are not trusted are not asked");
    }
    match trusted.is_empty() {
        true => Err(format!(
            "it lists no name server that is trusted; if they belong to the cluster, add them to the trusted brokers: {}",
            strangers.join(" ")
        )),
        false => Ok(trusted),
    }
}

/// The path that a producer of a unit asks for.
fn of_unit(path: &str, unit: &str) -> String {
    match path.split_once('?') {
        None => format!("{path}-{unit}?nofix=1"),
        Some((path, query)) => format!("{path}-{unit}?nofix=1&{query}"),
    }
}

/// The list in an answer.
fn list_in(answer: &[u8]) -> Result<&str, String> {
    let answer = Answer::of(answer).ok_or("this is not HTTP")?;
    match answer.status {
        "200" => {}
        status => return Err(format!("status {status}")),
    }
    if answer.header("transfer-encoding").is_some_and(|coding| coding != "identity") {
        return Err("the answer comes in chunks, which HTTP/1.0 does not know".into());
    }
    let body = match answer.length() {
        None => answer.body,
        Some(length) => answer.body.get(..length).ok_or("the answer is cut short")?,
    };
    let text = std::str::from_utf8(body).map_err(|_| "the answer is not text")?;
    Ok(text.trim().split(['\r', '\n']).next().unwrap_or_default())
}

struct Answer<'a> {
    status: &'a str,
    headers: &'a str,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// `None` while the head is not whole, or when it is none.
    fn of(answer: &'a [u8]) -> Option<Self> {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, body) = answer.split_at_checked(end + 4)?;
        let head = std::str::from_utf8(head).ok()?;
        let (first, headers) = head.split_once("\r\n")?;
        let (version, rest) = first.split_once(' ')?;
        let status = rest.split(' ').next().filter(|_| version.starts_with("HTTP/1."))?;
        Some(Self { status, headers, body })
    }

    /// Whether all has come that the head announces. Without a length the end of the connection is
    /// the end of the answer.
    fn is_whole(answer: &[u8]) -> bool {
        Answer::of(answer)
            .is_some_and(|answer| answer.length().is_some_and(|length| answer.body.len() >= length))
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }

    fn header(&self, wanted: &str) -> Option<&'a str> {
        let fields = self.headers.lines().filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        values.next().map(|(_, value)| value.trim())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

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

    #[test]
    fn the_request_is_javas() {
        let server = AddressServer::new("ns", None, Duration::ZERO).unwrap();
        let request = server.request(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
        assert!(request.starts_with("GET /rocketmq/nsaddr HTTP/1.0\r\nHost: ns:8080\r\n"));
        assert!(request.ends_with("\r\nMetaq-Client-RequestTS: 1700000000123\r\n\r\n"));
    }

    #[test]
    fn the_list_is_the_first_line_of_a_good_answer() {
        let ok = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}");
        for (answer, expected) in [
            (ok("\r\na:1;b:2"), Ok("a:1;b:2")),
            (ok("Server: x\r\n\r\n  a:1;b:2\r\nsecond\r\n"), Ok("a:1;b:2")),
            (ok("\r\na:1\nb:2\n"), Ok("a:1")),
            (ok("\r\n"), Ok("")),
            (ok("content-length: 3\r\n\r\na:1;b:2"), Ok("a:1")),
            (ok("Content-Length: 9\r\n\r\na:1"), Err("cut short")),
            (ok("Transfer-Encoding: chunked\r\n\r\n3\r\na:1\r\n0\r\n\r\n"), Err("chunks")),
            ("HTTP/1.1 404 Not Found\r\n\r\na:1".into(), Err("status 404")),
            ("HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n".into(), Err("status 302")),
            ("HTTP/1.1 200 OK\r\nContent".into(), Err("not HTTP")),
            ("SSH-2.0-x\r\n\r\n".into(), Err("not HTTP")),
            (String::new(), Err("not HTTP")),
        ] {
            match (list_in(answer.as_bytes()), expected) {
                (Ok(list), Ok(expected)) => assert_eq!(list, expected, "{answer}"),
                (Err(error), Err(words)) => assert!(error.contains(words), "{answer}: {error}"),
                (found, _) => panic!("{answer}: {found:?}"),
            }
        }
        assert!(list_in(b"HTTP/1.0 200 OK\r\n\r\n\xff\xfe").unwrap_err().contains("not text"));
    }

    #[test]
    fn an_answer_with_a_length_is_whole_before_the_connection_ends() {
        for (answer, whole) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na:", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na:1", true),
            ("HTTP/1.1 200 OK\r\n\r\na:1", false),
            ("HTTP/1.1 200 OK\r\nContent-Le", false),
        ] {
            assert_eq!(Answer::is_whole(answer.as_bytes()), whole, "{answer}");
        }
    }
}
