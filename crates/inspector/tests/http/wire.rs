//! What went over connections.

use posthaste_broker::{Fault, On};
use posthaste_protocol::ResponseCode;
use serde_json::{Value, json};

use crate::client::get;
use crate::{order, producer, start};

fn sends(wire: &Value) -> Vec<(Value, Value)> {
    let connections = wire["connections"].as_array().unwrap();
    let all = connections.iter().flat_map(|connection| {
        let exchanges = connection["exchanges"].as_array().unwrap().iter();
        exchanges.map(|exchange| (connection.clone(), exchange.clone()))
    });
    all.filter(|(_, exchange)| exchange["request"]["name"] == "SEND_MESSAGE_V2").collect()
}

#[tokio::test]
async fn the_requests_of_a_connection_are_told_with_their_answers() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    producer.send(order("before")).await.unwrap();
    let first = get(&inspector, "/api/v1/wire").await.expect(200).json();
    assert_eq!((sends(&first).len(), &first["left_out"]), (0, &json!(0)));

    let busy = Fault::on(On::Send).first(1).refuse(ResponseCode::SYSTEM_BUSY).remark("later");
    broker.fault(busy).unwrap();
    let receipt = producer.send(order("hello")).await.unwrap();
    let wire = get(&inspector, "/api/v1/wire").await.expect(200).json();
    let told = sends(&wire);
    assert_eq!(told.len(), 2, "{wire}");
    let (connection, refused) = &told[0];
    assert_eq!((&connection["encrypted"], &connection["ended_ms"]), (&json!(false), &Value::Null));
    assert!(connection["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{connection}");
    assert_eq!((&refused["asked_by"], &refused["topic"]), (&json!("client"), &json!("orders")));
    let answer = &refused["answer"];
    assert_eq!((&answer["name"], &answer["remark"]), (&json!("SYSTEM_BUSY"), &json!("later")));
    let (_, stored) = &told[1];
    let (request, answer) = (&stored["request"], &stored["answer"]);
    assert_eq!((&request["body"], &request["body_length"]), (&json!("hello"), &json!(5)));
    assert_eq!(request["fields"]["topic"], "orders");
    assert_eq!((&answer["code"], &answer["name"]), (&json!(0), &json!("SUCCESS")));
    assert_eq!(answer["fields"]["msgId"], receipt.offset_message_id());
    assert!(stored["took_ms"].is_f64(), "{stored}");

    let one = format!("/api/v1/wire?limit=1&connection={}", connection["connection"]);
    let one = get(&inspector, &one).await.expect(200).json();
    assert_eq!(one["connections"].as_array().unwrap().len(), 1);
    let exchanges = one["connections"][0]["exchanges"].as_array().unwrap();
    assert!(!exchanges.is_empty() && one["left_out"].as_u64() >= Some(1), "{one}");
    assert_eq!(exchanges.last().unwrap()["number"], stored["number"]);
    let none = get(&inspector, "/api/v1/wire?connection=999999").await.expect(404);
    assert_eq!(none.kind(), "no_such_connection");
    assert_eq!(get(&inspector, "/api/v1/wire?limit=0").await.expect(400).kind(), "bad_request");
}
