//! A broker that wants signatures, and one that takes encrypted connections.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use posthaste_broker::{Broker, BrokerError};
use posthaste_protocol::request::{RouteOf, SendAnswer};
use posthaste_protocol::sign::Signer;
use posthaste_protocol::{Command, Frame, Request, ResponseCode, frame};
use rcgen::{CertificateParams, KeyPair};
use support::{Client, message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const SECRET: &str = "a long secret";

fn signed<R: Request>(request: &R, opaque: i32, secret_key: &str) -> BytesMut {
    let command = Command::of(request, opaque);
    let (mut out, body) = (BytesMut::new(), command.body.clone());
    let signer = Signer { access_key: "me", secret_key, security_token: None };
    command.encode_with(Some(&signer), &mut out, |out| out.extend_from_slice(&body));
    out
}

fn certificate() -> (String, String, CertificateDer<'static>) {
    let key = KeyPair::generate().expect("key");
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("names");
    let certificate = params.self_signed(&key).expect("certificate");
    (certificate.pem(), key.serialize_pem(), certificate.der().clone())
}

async fn encrypted(broker: &Broker, trusted: CertificateDer<'static>) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).expect("root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(broker.address()).await.expect("connect");
    let name = ServerName::try_from("127.0.0.1").expect("name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("handshake")
}

/// Of one write the signed request is answered, the others are refused, each by its number.
#[tokio::test]
async fn signed_and_unsigned_requests_of_one_write_are_told_apart() {
    let broker = Broker::builder().access_key("me", SECRET).topic("orders", 4).start().await;
    let broker = broker.expect("start");
    for address in [broker.address(), broker.name_server()] {
        let mut client = Client::connect(address).await;
        let send = message("orders", 0, "signed");
        let mut write = signed(&send, 11, SECRET).to_vec();
        write.extend_from_slice(&signed(&send, 12, "another secret"));
        write.extend_from_slice(&support::encoded(&Command::of(&send, 13)));
        write.extend_from_slice(&signed(&send, 14, SECRET));
        client.put_raw(&write).await;
        let mut codes = Vec::new();
        for _ in 0..4 {
            let answer = client.next().await.expect("an answer");
            codes.push((answer.opaque, answer.code, answer.remark.unwrap_or_default()));
        }
        codes.sort();
        assert_eq!((codes[0].1, codes[3].1), (0, 0));
        assert_eq!(codes[1], (12, 16, "check signature failed.".to_owned()));
        assert_eq!(codes[2], (13, 16, "username cannot be null.".to_owned()));
    }
    assert_eq!(broker.stats().messages, 4);
}

/// Frames that are never read do not reach the engine, and a flooding client is disconnected.
#[tokio::test]
async fn garbage_and_floods_of_strangers_end_their_connection_alone() {
    let broker = Broker::builder().access_key("me", SECRET).topic("orders", 4).start().await;
    let broker = broker.expect("start");
    let mut garbage = Client::connect(broker.address()).await;
    garbage.put_raw(&[0, 0, 0, 8, 0, 0, 0, 4, b'n', b'o', b'p', b'e']).await;
    assert!(garbage.next().await.is_none(), "garbage was answered");
    let mut flood = Client::connect(broker.address()).await;
    let unsigned = support::encoded(&Command::of(&message("orders", 0, "x"), 1));
    let many = unsigned.repeat(1_000);
    // It never reads: its answers are not kept for ever.
    let limit = tokio::time::timeout(support::PATIENCE, async {
        while flood.try_put_raw(&many).await.is_ok() {}
    });
    limit.await.expect("the connection ends");
    let mut good = Client::connect(broker.address()).await;
    good.put_raw(&signed(&message("orders", 0, "signed"), 5, SECRET)).await;
    let answer = good.answer_to(5).await;
    assert_eq!(answer.response_code(), ResponseCode::SUCCESS, "{answer:?}");
    assert_eq!(broker.stats().messages, 1);
}

/// Whatever they send, and even though each hears why it is refused.
#[tokio::test(start_paused = true)]
async fn who_signs_nothing_is_let_go_after_the_time_for_the_first_frame() {
    let broker = Broker::builder().access_key("me", SECRET).topic("orders", 4).start().await;
    let broker = broker.expect("start");
    let begun = tokio::time::Instant::now();
    let mut silent = Client::connect(broker.address()).await;
    let mut stranger = Client::connect(broker.address()).await;
    let mut told = 0;
    let unsigned = support::encoded(&Command::of(&message("orders", 0, "x"), 1));
    stranger.put_raw(&unsigned).await;
    while let Some(answer) = stranger.next().await {
        assert_eq!(answer.response_code(), ResponseCode::NO_PERMISSION);
        told += 1;
        assert!(told <= 6, "it is told again and again");
        tokio::time::sleep(Duration::from_secs(1)).await;
        // It may have been closed meanwhile.
        let _ = stranger.try_put_raw(&unsigned).await;
    }
    assert!(silent.next().await.is_none());
    assert!(told >= 2, "{told}");
    assert!(begun.elapsed() <= Duration::from_secs(7), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn off_loopback_it_starts_with_accounts_alone() {
    let anywhere = || Broker::builder().listen(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let refused = anywhere().start().await;
    assert!(matches!(refused, Err(BrokerError::NotLoopback(_))), "{refused:?}");
    let told = anywhere().access_key("me", SECRET).advertise("127.0.0.1");
    let broker = told.start().await.expect("start");
    broker.stop().await;
    for wrong in [
        Broker::builder().access_key("me", "short"),
        Broker::builder().access_key("", SECRET),
        Broker::builder().tls("no PEM", "no PEM"),
        Broker::builder().tls(certificate().0, "no PEM"),
        Broker::builder().tls(certificate().0, certificate().1),
        Broker::builder().tls_only(),
    ] {
        let refused = wrong.start().await;
        assert!(matches!(refused, Err(BrokerError::Setting(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn an_encrypted_connection_takes_what_a_plain_one_takes() {
    let (chain, key, trusted) = certificate();
    let broker = Broker::builder().tls(chain, key).topic("orders", 4).start().await.expect("start");
    let mut stream = encrypted(&broker, trusted).await;
    let large = "x".repeat(3 * 1024 * 1024);
    for (opaque, body) in [(1, "small"), (2, &large)] {
        let mut out = BytesMut::new();
        let request = message("orders", 0, body);
        posthaste_protocol::command::put_request(&mut out, opaque, false, &request);
        stream.write_all(&out).await.expect("write");
        stream.flush().await.expect("flush");
        let mut input = BytesMut::new();
        let answer = loop {
            if let Some(frame) = Frame::take(&mut input, frame::MAX_FRAME).expect("frame") {
                break Command::decode(frame).expect("answer");
            }
            assert!(stream.read_buf(&mut input).await.expect("read") > 0, "it was closed");
        };
        let stored: SendAnswer = answer.read().expect("stored");
        assert_eq!((answer.opaque, stored.queue_offset), (opaque, i64::from(opaque) - 1));
    }
    let mut plain = Client::connect(broker.address()).await;
    plain.call(&RouteOf { topic: "orders".into(), standard_json: None }).await;
    // The end is an orderly one.
    broker.stop().await;
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.expect("close_notify"), 0);
}

#[tokio::test]
async fn who_stalls_in_the_handshake_or_speaks_plain_where_that_is_not_taken_is_let_go() {
    let (chain, key, _) = certificate();
    let broker = Broker::builder().tls(chain, key).tls_only().start().await.expect("start");
    let mut peers = tokio::task::JoinSet::new();
    for first in [&b""[..], b"\x16", b"\x16\x03\x01\0\xC8\x01", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(broker.address()).await.expect("connect");
        peers.spawn(async move {
            stream.write_all(first).await.expect("write");
            let mut rest = Vec::new();
            // It has 5 s; at most an alert comes.
            let ended = tokio::time::timeout(support::PATIENCE, stream.read_to_end(&mut rest));
            drop(ended.await.expect("the connection ends"));
            assert!(rest.is_empty() || rest[0] == 0x15, "{rest:?}");
        });
    }
    while let Some(ended) = peers.join_next().await {
        ended.expect("a peer");
    }
}
