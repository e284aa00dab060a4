//! What is too much: it is refused in words, and the broker goes on.

use std::net::TcpListener;

use posthaste::Producer;
use posthaste_inspector::{ServeError, serve};
use tokio::net::TcpStream;

use crate::client::{bare, call, get, read};
use crate::{HANG, order, producer, start};

const MIB: usize = 1024 * 1024;
/// Requests that may wait, and connections that may be open.
const WAITING: usize = 128;
const CONNECTIONS: usize = 256;

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused_however_it_comes() {
    let (_broker, inspector) = start().await;
    let post =
        || call(&inspector, "POST", "/api/v1/topics").header("Content-Type: application/json");
    let by_length = |length: usize| {
        post().header(&format!("Content-Length: {length}")).body(vec![b' '; length])
    };
    by_length(MIB).send().await.expect(405);
    // Only the length has come.
    let announced = post().header(&format!("Content-Length: {}", MIB + 1)).send().await;
    assert_eq!(announced.expect(413).kind(), "too_long");
    let chunks = |length: usize| {
        let chunk = format!("{length:x}\r\n{}\r\n0\r\n\r\n", " ".repeat(length));
        post().header("Transfer-Encoding: chunked").body(chunk)
    };
    chunks(MIB).send().await.expect(405);
    chunks(MIB + 1).send().await.expect(413);
}

#[tokio::test]
async fn requests_that_wait_are_so_many_and_no_more() {
    let (broker, inspector) = start().await;
    let wait = || call(&inspector, "GET", "/api/v1/messages?topic=orders&wait=60s");
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        waiting.push(wait().begin().await);
    }
    let all_wait = format!("posthaste_broker_http_waiting {WAITING}\n");
    while !get(&inspector, "/metrics").await.expect(200).body.contains(&all_wait) {}
    assert_eq!(wait().send().await.expect(503).kind(), "too_many_waiting");
    producer(&broker).await.send(order("at last")).await.unwrap();
    for stream in waiting {
        let answer = read(stream).await.expect(200);
        assert_eq!(answer.json()["messages"][0]["body"], "at last");
    }
    wait().send().await.expect(200);
}

#[tokio::test]
async fn connections_are_so_many_and_no_more() {
    let (broker, inspector) = start().await;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        open.push(TcpStream::connect(inspector.address()).await.unwrap());
    }
    let refused = get(&inspector, "/healthz").await.expect(503);
    assert_eq!(refused.kind(), "too_many_connections");
    producer(&broker).await.send(order("meanwhile")).await.unwrap();
    open.clear();
    while get(&inspector, "/healthz").await.status != 200 {}
}

/// Each answer has 24 MiB: a byte that is a control character takes six in JSON.
#[tokio::test]
async fn answers_that_are_not_read_leave_the_broker_and_short_answers_alone() {
    let (broker, inspector) = start().await;
    let producer = Producer::builder("orders-service", broker.name_server().to_string());
    let producer = producer.compress_from(usize::MAX).send_timeout(HANG).start().await.unwrap();
    producer.send(order(vec![1; 4 * MIB - 1024])).await.unwrap();
    let long = || call(&inspector, "GET", "/api/v1/messages?topic=orders");
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(long().begin().await);
    }
    // One after the other is told that there is no room, however long that takes.
    let mut refused = 0;
    for stream in unread.drain(4..) {
        refused += u32::from(read(stream).await.status == 503);
    }
    assert!(refused > 0);
    get(&inspector, "/readyz").await.expect(200);
    producer.send(order("meanwhile")).await.unwrap();
    unread.clear();
    while long().send().await.status != 200 {}
}

#[tokio::test]
async fn a_taken_port_is_said() {
    let (broker, _inspector) = start().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = serve(&broker, taken.local_addr().unwrap()).await.unwrap_err();
    assert!(matches!(error, ServeError::PortTaken(_)), "{error}");
}

#[tokio::test]
async fn stopping_ends_requests_that_wait_and_frees_the_port() {
    let (broker, inspector) = start().await;
    let address = inspector.address();
    let wait = call(&inspector, "GET", "/api/v1/messages?topic=orders&wait=60s").begin().await;
    while !get(&inspector, "/metrics").await.body.contains("http_waiting 1\n") {}
    inspector.stop().await;
    assert_eq!(read(wait).await.expect(503).kind(), "stopping");
    let inspector = serve(&broker, address).await.unwrap();
    broker.stop().await;
    get(&inspector, "/healthz").await.expect(200);
    for path in ["/readyz", "/metrics", "/api/v1/topics", "/api/v1/messages?topic=orders"] {
        assert_eq!(get(&inspector, path).await.expect(503).kind(), "broker");
    }
    bare(&inspector, "nonsense").send().await.expect(400);
}
