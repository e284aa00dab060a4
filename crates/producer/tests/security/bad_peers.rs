//! Peers that are not who they should be, or do not speak TLS: nothing is sent to them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use posthaste::{ErrorKind, Message, Outcome, Producer, ProducerBuilder, Tls};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::rustls::ServerConfig;

use crate::fake::{Broker, HANG, HOUR, NameServer, broker_data, queue_data, route, soon, until};
use crate::pki::{self, Authority, BOTH, Door, TLS_1_2, TLS_1_3};

const HERE: &[&str] = &["127.0.0.1"];

/// How a peer is wrong, and what the error says then.
struct Case {
    name: &'static str,
    peer: Peer,
    says: &'static str,
    /// Whether it is reported at once: trying again would not help.
    at_once: bool,
}

enum Peer {
    /// With the wrong certificate.
    Tls(Box<ServerConfig>),
    /// Answers the first bytes with these, and closes or does not.
    Bytes(&'static [u8], Then),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Closes,
    Waits,
}

/// A `ServerHello` that chooses TLS 1.0, and after it the certificate that would follow.
const TLS_1_0: &[u8] = &[
    0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0, 0, 0x2F, 0,
];
/// A fatal `handshake_failure`.
const ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];

fn cases(authority: &Authority) -> Vec<Case> {
    let stranger = Authority::new("a stranger");
    let tls =
        |certificate, versions| Peer::Tls(Box::new(pki::server(&certificate, versions, None)));
    let expired = || {
        authority.issue_with(HERE, |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        })
    };
    let future = authority.issue_with(HERE, |params| params.not_before = date_time_ymd(2090, 1, 1));
    let for_clients = authority.issue_with(HERE, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let case = |name, peer, says, at_once| Case { name, peer, says, at_once };
    let bytes = |bytes, then| Peer::Bytes(bytes, then);
    vec![
        case("expired", tls(expired(), BOTH), "expired", true),
        case("expired, TLS 1.2", tls(expired(), TLS_1_2), "expired", true),
        case("not valid yet", tls(future, BOTH), "not valid yet", true),
        case(
            "wrong host",
            tls(authority.issue(&["other.example"]), BOTH),
            "not valid for name",
            true,
        ),
        case(
            "wrong address",
            tls(authority.issue(&["127.0.0.2"]), TLS_1_3),
            "not valid for name",
            true,
        ),
        case("unknown CA", tls(stranger.issue(HERE), BOTH), "UnknownIssuer", true),
        case("unknown CA, TLS 1.2", tls(stranger.issue(HERE), TLS_1_2), "UnknownIssuer", true),
        case("self-signed", tls(pki::self_signed(HERE), BOTH), "UnknownIssuer", true),
        case("not for servers", tls(for_clients, BOTH), "certificate", true),
        case("TLS 1.0", bytes(TLS_1_0, Then::Waits), "peer", true),
        case("an alert", bytes(ALERT, Then::Closes), "HandshakeFailure", true),
        case(
            "HTTP",
            bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n", Then::Closes),
            "InvalidContentType",
            true,
        ),
        case("noise", bytes(&[0; 64], Then::Waits), "InvalidContentType", true),
        case("closes", bytes(b"", Then::Closes), "does that port speak TLS?", false),
        case(
            "half an answer",
            bytes(&[0x16, 3, 3, 0, 90, 2], Then::Closes),
            "does that port speak TLS?",
            false,
        ),
        case("says nothing", bytes(b"", Then::Waits), "no answer to the TLS handshake", false),
    ]
}

/// What has come in, unencrypted.
type Heard = Arc<Mutex<Vec<u8>>>;

/// An address with such a peer; what it hears.
async fn open(peer: Peer, backend: &str) -> (String, Heard, Option<Door>) {
    let heard = Heard::default();
    let (greeting, then) = match peer {
        Peer::Tls(config) => {
            let door = Door::before(backend, *config).await;
            return (door.address.clone(), heard, Some(door));
        }
        Peer::Bytes(greeting, then) => (greeting, then),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, list) = (listener.local_addr().unwrap().to_string(), heard.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let list = list.clone();
            tokio::spawn(async move {
                let mut first = [0; 4096];
                let length = stream.read(&mut first).await.unwrap_or(0);
                list.lock().unwrap().extend_from_slice(&first[..length]);
                drop(stream.write_all(greeting).await);
                if then == Then::Closes {
                    drop(stream.shutdown().await);
                }
                while let Ok(length @ 1..) = stream.read(&mut first).await {
                    list.lock().unwrap().extend_from_slice(&first[..length]);
                }
            });
        }
    });
    (address, heard, None)
}

fn trusting(authority: &Authority, name_server: &str) -> ProducerBuilder {
    Producer::builder("security", name_server).tls(Tls::new().ca_pem(authority.pem.clone()))
}

/// Sends one message and sees it end as it should. A failure that is reported at once does not wait
/// for the deadline, which is far away; the others end by their deadline.
async fn fails(builder: ProducerBuilder, case: &str, says: &str, at_once: bool) {
    let (timeout, limit) = match at_once {
        true => (HOUR, HANG),
        false => (Duration::from_secs(2), HANG),
    };
    let builder = builder.send_timeout(timeout).connect_timeout(Duration::from_millis(300));
    let producer = builder.start().await.unwrap();
    let begun = Instant::now();
    let sent = tokio::time::timeout(limit, producer.send(Message::new("t", "a message")));
    let error = sent.await.unwrap_or_else(|_| panic!("{case}: no end")).unwrap_err();
    let end = (error.kind(), error.outcome());
    assert_eq!(end, (ErrorKind::Tls, Outcome::NotStored), "{case}: {error}");
    let whole = format!("{error:#} {:?}", error.attempts());
    assert!(whole.contains(says), "{case}: {whole}");
    assert!(error.help().contains("certificate"));
    println!("{case}: after {:.0?}: {error}", begun.elapsed());
}

/// Nothing of what a producer says in plain was heard.
fn assert_only_hellos(heard: &Heard, case: &str) {
    let heard = heard.lock().unwrap();
    let says = |text: &[u8]| heard.windows(text.len()).any(|window| window == text);
    assert!(heard.is_empty() || heard[0] == 0x16, "{case}: {heard:?}");
    assert!(!says(b"extFields") && !says(b"a message") && !says(b"security"), "{case}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_that_is_not_trusted_is_asked_nothing() {
    let authority = Authority::new("ours");
    let server = NameServer::start().await;
    for Case { name, peer, says, at_once } in cases(&authority) {
        let (address, heard, door) = open(peer, &server.address()).await;
        fails(trusting(&authority, &address), name, says, at_once).await;
        assert_only_hellos(&heard, name);
        assert_eq!(door.map_or(0, |door| door.passed()), 0, "{name}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_not_trusted_gets_no_message() {
    let authority = Authority::new("ours");
    let (server, broker) = (NameServer::start().await, Broker::start("a").await);
    let good = pki::server(&authority.issue(HERE), BOTH, None);
    let names = Door::before(&server.address(), good).await;
    for Case { name, peer, says, at_once } in cases(&authority) {
        let (address, heard, door) = open(peer, &broker.address()).await;
        let mut document = route(&[], 0);
        document.brokers.push(broker_data("a", &address));
        document.queues.push(queue_data("a", 4, 6));
        server.otherwise(crate::fake::Say::Route(document));
        fails(trusting(&authority, &names.address), name, says, at_once).await;
        assert_only_hellos(&heard, name);
        assert_eq!(door.map_or(0, |door| door.passed()), 0, "{name}");
    }
    assert_eq!((broker.connections(), broker.stored_count()), (0, 0));
}

/// A server that speaks no TLS at all, as it is: it closes, for it takes the handshake for a frame
/// that is too long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_server_is_no_peer() {
    let authority = Authority::new("ours");
    let plain = posthaste_broker::Broker::builder().topic("t", 4).start().await.unwrap();
    let address = plain.name_server().to_string();
    let says = "does that port speak TLS?";
    fails(trusting(&authority, &address), "plain", says, false).await;
    assert_eq!(plain.stats().messages, 0);
}

/// The other way round: a plain producer, and a server that wants TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_wants_tls_gets_nothing_from_a_plain_producer() {
    let certificate = Authority::new("ours").issue(HERE);
    let builder = posthaste_broker::Broker::builder().tls(certificate.chain, certificate.key);
    let broker = builder.tls_only().topic("t", 4).start().await.unwrap();
    let builder = Producer::builder("security", broker.name_server().to_string());
    let producer = builder.send_timeout(Duration::from_millis(400)).start().await.unwrap();
    let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
}

/// One of two brokers is not trusted: the other gets everything, and no retry is used up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_one_that_is_trusted_it_is_left_out() {
    let authority = Authority::new("ours");
    let (server, broker) = (NameServer::start().await, Broker::start("b").await);
    let good = || pki::server(&authority.issue(HERE), BOTH, None);
    let bad = pki::server(&Authority::new("a stranger").issue(HERE), BOTH, None);
    let names = Door::before(&server.address(), good()).await;
    let (a, b) =
        (Door::before(&broker.address(), bad).await, Door::before(&broker.address(), good()).await);
    let mut document = route(&[], 0);
    for (name, door) in [("a", &a), ("b", &b)] {
        document.brokers.push(broker_data(name, &door.address));
        document.queues.push(queue_data(name, 4, 6));
    }
    server.otherwise(crate::fake::Say::Route(document));
    let builder = trusting(&authority, &names.address).retries(0);
    let producer = builder.send_timeout(Duration::from_secs(10)).start().await.unwrap();
    for n in 0..40 {
        soon(producer.send(Message::new("t", format!("{n}")))).await.unwrap();
    }
    assert_eq!((a.passed(), broker.stored_count()), (0, 40));
    assert_eq!(producer.stats().retries, 0);
    until("a heartbeat", || broker.connections() == 1).await;
}
