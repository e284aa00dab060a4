//! What a client sees, over a socket, with the protocol crate alone.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use posthaste_broker::Broker;
use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{MaxOffset, MinOffset, RouteOf};
use support::Client;

#[tokio::test]
async fn send_to_a_new_topic_and_read_it_back() {
    let broker = Broker::builder().start().await.expect("start");
    let mut client = Client::connect(broker.name_server()).await;

    let unknown = RouteOf { topic: "orders".into(), standard_json: Some(true) };
    assert_eq!(client.refused(&unknown).await, ResponseCode::TOPIC_NOT_EXIST);
    let route = client.call(&RouteOf { topic: "TBW102".into(), standard_json: Some(true) }).await;
    assert_eq!(route.queues[0].write_queue_nums, 8);
    assert_eq!(route.queues[0].perm, 7);
    assert_eq!(route.brokers[0].master(), Some(broker.address().to_string().as_str()));

    let mut client = Client::connect(broker.address()).await;
    for (offset, body) in ["one", "two", "three"].iter().enumerate() {
        let answer = client.send("orders", 2, body).await;
        assert_eq!((answer.queue_id, answer.queue_offset), (2, offset as i64));
        assert_eq!(answer.offset_message_id.len(), 32);
        assert_eq!(answer.region.as_deref(), Some("DefaultRegion"));
    }
    let messages = client.read("orders", 2, 0).await;
    let bodies: Vec<_> = messages.iter().map(|m| m.body.as_ref()).collect();
    assert_eq!(bodies, [b"one".as_ref(), b"two", b"three"]);
    assert_eq!(messages[1].property("CLUSTER"), Some("DefaultCluster"));
    assert_eq!(messages[1].born_host.ip(), broker.address().ip());
    assert_eq!(messages[1].store_host, broker.address());

    let route = client.call(&RouteOf { topic: "orders".into(), standard_json: None }).await;
    assert_eq!(route.queues[0].write_queue_nums, 4);
    assert_eq!(route.queues[0].perm, 6);
    let max = MaxOffset { topic: "orders".into(), queue_id: 2, ..MaxOffset::default() };
    assert_eq!(client.call(&max).await.offset, 3);
    let min = MinOffset { topic: "orders".into(), queue_id: 2, ..MinOffset::default() };
    assert_eq!(client.call(&min).await.offset, 0);
    broker.stop().await;
}
