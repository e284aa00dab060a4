//! The name servers of a producer: a given list, or the list of an HTTP server (Java:
//! `TopAddressing`).

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::Client;
use crate::config::Config;
use crate::config::discovery::{AddressServer, Discovery, addresses};
use crate::connection::{Peer, dial};
use crate::message::timestamp::ms_since_1970;
use crate::net::backoff::Backoff;

/// Of all of one answer (Java: connect and read 3 s each).
const TIMEOUT: Duration = Duration::from_secs(3);
const MOST_BYTES: usize = 64 * 1024;
/// Pauses before the server is asked again while there is no list.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };

impl Client {
    /// From now on these name servers are asked, and no others.
    pub(crate) fn discover(self: &Arc<Self>, discovery: Discovery) {
        match discovery {
            Discovery::List(addresses) => {
                self.directory.follow(None);
                self.put_name_servers(&addresses, None);
            }
            Discovery::AddressServer(server) => {
                let replaced = CancellationToken::new();
                let (client, ended) = (self.clone(), replaced.clone());
                // First of all the previous task ends, which would put its list in the place of ours.
                self.directory.follow(Some(replaced.drop_guard()));
                self.ledger.spawn(async move {
                    tokio::select! {
                        biased;
                        () = client.ledger.stopped.cancelled() => {}
                        () = ended.cancelled() => {}
                        () = follow(&server, &client, &ended) => {}
                    }
                });
            }
        }
    }
}

impl Client {
    /// These name servers are asked from now on, and every route that is known is looked up there.
    ///
    /// Nothing changes when the source that lists them has been `replaced`. That is checked where
    /// the change is made, so that its list never comes after the list of its replacement.
    fn put_name_servers(
        self: &Arc<Self>,
        addresses: &[Arc<str>],
        replaced: Option<&CancellationToken>,
    ) {
        let is_over = || {
            self.ledger.stopped.is_cancelled()
                || replaced.is_some_and(CancellationToken::is_cancelled)
        };
        let open = |address: &Arc<str>| self.open(address.clone(), Peer::NameServer);
        if self.directory.put(addresses, is_over, open) {
            self.watch.poll_now();
        }
    }
}

/// Asks an address server again and again, and has the producer ask the name servers that are listed; until it
/// is `replaced`.
async fn follow(server: &AddressServer, client: &Arc<Client>, replaced: &CancellationToken) {
    let mut failures = 0;
    loop {
        let pause = match ask(server, client.ledger.config()).await {
            Ok(listed) => {
                client.put_name_servers(&listed, Some(replaced));
                server.refresh
            }
            Err(reason) => {
                tracing::debug!(%reason, "no list of name servers");
                failures += 1;
                let pause = BACKOFF.after(failures).min(server.refresh);
                if client.directory.trouble(reason) { server.refresh } else { pause }
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn ask(server: &AddressServer, config: &Config) -> Result<Vec<Arc<str>>, String> {
    let address = &server.address;
    let answer = match tokio::time::timeout(TIMEOUT, get(server, config)).await {
        Ok(Ok(answer)) => {
            list_in(&answer).and_then(addresses).and_then(|listed| trusted(listed, config))
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {TIMEOUT:?}")),
    };
    answer.map_err(|why| format!("address server {address}: {why}"))
}

/// One GET; the answer with its head.
async fn get(server: &AddressServer, config: &Config) -> io::Result<Vec<u8>> {
    let mut stream = dial::reach(&server.address, config).await?;
    stream.write_all(request(server, SystemTime::now()).as_bytes()).await?;
    let mut answer = Vec::new();
    while stream.read_buf(&mut answer).await? > 0 && !HttpAnswer::is_whole(&answer) {
        if answer.len() > MOST_BYTES {
            return Err(io::Error::other(format!("more than {MOST_BYTES} bytes")));
        }
    }
    Ok(answer)
}

/// HTTP/1.0, so that the answer comes in one piece. Java clients send the same headers.
fn request(server: &AddressServer, now: SystemTime) -> String {
    let mut request = format!("GET {} HTTP/1.0\r\nHost: {}\r\n", server.path, server.address);
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

/// The trusted servers of a list: anyone who can change the list could name their own servers.
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

/// The list in an answer.
fn list_in(answer: &[u8]) -> Result<&str, String> {
    let answer = HttpAnswer::of(answer).ok_or("this is not HTTP")?;
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

struct HttpAnswer<'a> {
    status: &'a str,
    headers: &'a str,
    body: &'a [u8],
}

impl<'a> HttpAnswer<'a> {
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
        HttpAnswer::of(answer)
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
    use crate::Producer;

    #[test]
    fn the_request_is_javas() {
        let server = AddressServer::new("ns", None, Duration::ZERO).unwrap();
        let request = request(&server, UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
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
            assert_eq!(HttpAnswer::is_whole(answer.as_bytes()), whole, "{answer}");
        }
    }

    /// Its answer may have come in the very moment in which it was replaced.
    #[tokio::test]
    async fn an_address_server_that_was_replaced_puts_no_list_any_more() {
        let producer = Producer::builder("replaced", "old:1").start().await.unwrap();
        let (client, replaced) = (producer.client(), CancellationToken::new());
        let known = || -> Vec<Arc<str>> {
            client.directory.all().iter().map(|one| one.address().clone()).collect()
        };
        client.put_name_servers(&["listed:1".into()], Some(&replaced));
        assert_eq!(known(), ["listed:1".into()]);
        client.directory.follow(Some(replaced.clone().drop_guard()));
        producer.set_name_servers("new:1").unwrap();
        client.put_name_servers(&["late:1".into()], Some(&replaced));
        assert_eq!(known(), ["new:1".into()]);
    }
}
