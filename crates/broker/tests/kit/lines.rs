//! Fault rules at the level of TCP: connections that are slow, deaf, or cut off in a request.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::BytesMut;
use posthaste_broker::{Broker, Fault, FaultRule, On};
use posthaste_protocol::command::put_request;
use posthaste_protocol::request::{RouteOf, SendMessage};

use crate::HANG;
use crate::support::{Client, message};

/// Far longer than a test runs.
const HOURS: Duration = Duration::from_secs(10_000);

async fn start() -> (Broker, Client) {
    let broker = Broker::builder().topic("orders", 1).topic("others", 1).start().await.unwrap();
    let client = Client::connect(broker.address()).await;
    (broker, client)
}

fn add(broker: &Broker, fault: Fault) -> FaultRule {
    broker.fault(fault).unwrap()
}

fn frame(topic: &str, length: usize) -> BytesMut {
    let body = "x".repeat(length);
    let mut out = BytesMut::new();
    let message: SendMessage<'_> = message(topic, 0, &body);
    put_request(&mut out, 1_000, false, &message);
    out
}

/// The broker does something else, again and again.
async fn meanwhile(broker: &Broker) {
    let mut other = Client::connect(broker.address()).await;
    for _ in 0..100 {
        other.send("others", 0, "x").await;
    }
}

async fn stored(broker: &Broker) -> Vec<usize> {
    let messages = broker.messages("orders").await.unwrap();
    messages.iter().map(|message| message.body.len()).collect()
}

#[tokio::test]
async fn a_connection_that_is_not_read_takes_no_more_and_goes_on_when_the_rule_is_removed() {
    const LARGE: usize = 1024 * 1024;
    let (broker, mut client) = start().await;
    let deaf = add(&broker, Fault::on(On::Route).topic("orders").first(1).stop_reading());
    // The request itself is answered.
    client.call(&RouteOf { topic: "orders".into(), standard_json: None }).await;
    let frame = frame("orders", LARGE);
    let (mut written, mut still) = (0, 0);
    while still < 5 {
        match client.socket.try_write(&frame[written % frame.len()..]) {
            Ok(length) => (written, still) = (written + length, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                meanwhile(&broker).await;
                still += 1;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(written < 64 * LARGE, "it is read");
    }
    assert!(stored(&broker).await.is_empty());
    deaf.remove();
    client.put_raw(&frame[written % frame.len()..]).await;
    let all = written.div_ceil(frame.len());
    broker.wait_for("orders", all, HANG).await.unwrap();
    assert_eq!(deaf.hits(), 1);
}

#[tokio::test]
async fn a_connection_is_read_slowly_until_the_time_of_the_rule_is_over() {
    let (broker, mut first) = start().await;
    first.send("others", 0, "it is accepted").await;
    let slow = add(&broker, Fault::on(On::Connect).first(1).read_at(1));
    let mut client = Client::connect(broker.address()).await;
    client.put_raw(&frame("orders", 100)).await;
    meanwhile(&broker).await;
    assert_eq!((stored(&broker).await, slow.hits()), (vec![], 1));
    slow.remove();
    broker.wait_for("orders", 1, HANG).await.unwrap();
    client.answer_to(1_000).await;
    // A rule whose time is over slows nothing any more.
    let short = Fault::on(On::Connect).for_time(Duration::from_millis(1)).stop_reading();
    add(&broker, short);
    let mut client = Client::connect(broker.address()).await;
    client.send("orders", 0, "x").await;
}

#[tokio::test]
async fn answers_leave_slowly_until_the_rule_is_removed() {
    let (broker, mut client) = start().await;
    let slow = add(&broker, Fault::on(On::Send).topic("orders").first(1).write_at(1));
    for _ in 0..3 {
        client.put_raw(&frame("orders", 10)).await;
    }
    broker.wait_for("orders", 3, HANG).await.unwrap();
    meanwhile(&broker).await;
    let mut some = [0; 512];
    let read = client.socket.try_read(&mut some).unwrap_or(0);
    assert!(read < 100, "{read} bytes have come");
    client.put_back(&some[..read]);
    slow.remove();
    for _ in 0..3 {
        assert_eq!(client.next().await.unwrap().code, 0);
    }
}

#[tokio::test]
async fn a_slow_close_leaves_the_connection_open_and_deaf() {
    let (broker, mut client) = start().await;
    let slow = add(&broker, Fault::on(On::Send).topic("orders").first(1).slow_close(HOURS));
    client.put_raw(&frame("orders", 1)).await;
    slow.wait_for(1, HANG).await.unwrap();
    slow.remove();
    client.put_raw(&frame("orders", 2)).await;
    meanwhile(&broker).await;
    assert!(stored(&broker).await.is_empty());
    let open = client.socket.try_read(&mut [0; 8]).map_err(|error| error.kind());
    assert_eq!(open, Err(ErrorKind::WouldBlock));

    let ends = Fault::on(On::Send).topic("orders").after_store();
    add(&broker, ends.slow_close(Duration::from_millis(1)));
    let mut client = Client::connect(broker.address()).await;
    client.put_raw(&frame("orders", 3)).await;
    assert!(client.next().await.is_none(), "an answer");
    assert_eq!(stored(&broker).await, [3]);

    add(&broker, Fault::on(On::Connect).slow_close(Duration::from_millis(1)));
    let mut client = Client::connect(broker.address()).await;
    let _ = client.try_put_raw(&frame("others", 4)).await;
    assert!(client.next().await.is_none(), "an answer");
    assert_eq!(broker.messages("others").await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_request_is_cut_off_after_some_of_its_bytes() {
    let (broker, mut client) = start().await;
    let cut = add(&broker, Fault::on(On::Send).topic("orders").cut_request_after(5_000));
    // A shorter request goes on though it is hit, and none is counted twice.
    client.put_raw(&frame("orders", 1)).await;
    client.put_raw(&frame("others", 1_000_000)).await;
    for _ in 0..2 {
        client.answer_to(1_000).await;
    }
    assert_eq!((cut.matched(), cut.hits()), (1, 1));
    let mut both = frame("others", 2);
    both.extend_from_slice(&frame("orders", 1_000_000)[..4_000]);
    client.put_raw(&both).await;
    broker.wait_for("others", 2, HANG).await.unwrap();
    cut.wait_for(2, HANG).await.unwrap();
    client.put_raw(&[b'x'; 1_000]).await;
    while client.next().await.is_some() {}
    let mut client = Client::connect(broker.address()).await;
    client.put_raw(&frame("orders", 3)).await;
    client.answer_to(1_000).await;
    assert_eq!((stored(&broker).await, cut.matched(), cut.hits()), (vec![1, 3], 3, 3));

    // Of a whole connection.
    add(&broker, Fault::on(On::Connect).cut_request_after(frame("orders", 4).len() + 10));
    let mut client = Client::connect(broker.address()).await;
    client.put_raw(&frame("orders", 4)).await;
    client.answer_to(1_000).await;
    client.put_raw(&frame("orders", 5)[..10]).await;
    assert!(client.next().await.is_none(), "an answer");
    assert_eq!(stored(&broker).await, [1, 3, 4]);
}
