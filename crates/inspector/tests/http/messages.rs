//! Messages, asked for and waited for.

use posthaste::Message;
use serde_json::{Value, json};

use crate::client::{call, get, read};
use crate::{order, producer, start};

fn bodies(answer: &Value) -> Vec<&str> {
    let messages = answer["messages"].as_array().unwrap();
    messages.iter().map(|message| message["body"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_answer_comes_as_soon_as_what_is_needed_is_stored() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    let path = "/api/v1/messages?topic=orders&key=o-1&tag=paid&count=2&wait=60s";
    let wait = call(&inspector, "GET", path).begin().await;
    while !get(&inspector, "/metrics").await.body.contains("http_waiting 1\n") {}
    for (body, key, tag) in
        [("1", "o-1", "paid"), ("2", "o-2", "paid"), ("3", "o-1", "new"), ("4", "o-1", "paid")]
    {
        producer.send(order(body).key(key).tag(tag)).await.unwrap();
    }
    let answer = read(wait).await.expect(200).json();
    assert_eq!(bodies(&answer), ["1", "4"]);
    assert_eq!((&answer["end"], &answer["looked_at"]), (&json!(true), &json!(4)));
    // What is there already needs no wait.
    let path = "/api/v1/messages?topic=orders&key=o-1&count=3";
    assert_eq!(bodies(&get(&inspector, path).await.expect(200).json()), ["1", "3", "4"]);
}

#[tokio::test]
async fn what_does_not_come_is_answered_with_what_did() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    for body in ["1", "2"] {
        producer.send(order(body).key("o-1")).await.unwrap();
    }
    let path = "/api/v1/messages?topic=orders&key=o-1&count=3&wait=1ms";
    let answer = get(&inspector, path).await.expect(504);
    assert_eq!(answer.kind(), "not_stored");
    let answer = answer.json();
    let said = "2 of 3 messages with the key \"o-1\" are stored in topic \"orders\" after 0.001 s";
    assert_eq!(answer["error"]["message"], said);
    assert_eq!(bodies(&answer), ["1", "2"]);

    let answer = get(&inspector, "/api/v1/messages?topic=orders&key=o-7&count=1").await.expect(504);
    let answer = answer.json();
    assert_eq!(bodies(&answer), [""; 0]);
    let recent: Vec<_> = answer["recent"].as_array().unwrap().iter().map(|m| &m["body"]).collect();
    assert_eq!(recent, ["2", "1"]);
    assert_eq!(answer.get("topics"), None);

    let answer = get(&inspector, "/api/v1/messages?topic=Orders&count=1").await.expect(504).json();
    let said = "0 of 1 messages are stored in topic \"Orders\", which does not exist";
    assert_eq!(answer["error"]["message"], said);
    assert_eq!(answer["topics"], json!(["orders"]));
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    for body in ["1", "2", "3", "4", "5"] {
        producer.send(order(body)).await.unwrap();
    }
    for (order, expected) in [
        ("oldest", [&["1", "2"][..], &["3", "4"], &["5"]]),
        ("newest", [&["5", "4"], &["3", "2"], &["1"]]),
    ] {
        let mut from = String::new();
        for (number, expected) in expected.into_iter().enumerate() {
            let path = format!("/api/v1/messages?topic=orders&order={order}&limit=2&from={from}");
            let answer = get(&inspector, &path).await.expect(200).json();
            assert_eq!(bodies(&answer), expected, "{path}");
            assert_eq!(answer["end"], number == 2, "{path}");
            answer["next"].as_str().unwrap().clone_into(&mut from);
        }
    }
    let none = get(&inspector, "/api/v1/messages?topic=none").await.expect(200).json();
    assert_eq!(none, json!({"messages": [], "next": "", "end": true, "looked_at": 0}));
}

#[tokio::test]
async fn a_message_has_the_fields_of_the_command_line_and_its_details() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    let message = order("hé").tag("new").keys(["o-1", "c-7"]).flag(42).property("colour", "red");
    let receipt = producer.send(message).await.unwrap();
    producer.send(order([0xff, 0])).await.unwrap();
    // Its heartbeat says who has sent it, and may come later.
    while !get(&inspector, "/api/v1/groups").await.body.contains("orders-service") {}
    let answer = get(&inspector, "/api/v1/messages?topic=orders").await.expect(200).json();
    let mut first = answer["messages"][0].clone();
    let details = first.as_object_mut().unwrap().remove("details").unwrap();
    for field in ["born_ms", "stored_ms"] {
        assert!(first.as_object_mut().unwrap().remove(field).unwrap().is_u64());
    }
    assert_eq!(
        first,
        json!({
            "topic": "orders", "broker": "dev", "queue": 0, "offset": 0,
            "msg_id": receipt.message_id(), "offset_msg_id": receipt.offset_message_id(),
            "keys": ["o-1", "c-7"], "tag": "new", "flag": 42,
            "properties": {"colour": "red"}, "body": "hé",
        })
    );
    assert_eq!(details["group"], "orders-service");
    assert_eq!(details["redelivered"], 0);
    assert_eq!(details["system_properties"]["KEYS"], "o-1 c-7");
    let second = &answer["messages"][1];
    assert_eq!((&second["body_b64"], second.get("body")), (&json!("/wA="), None));
    assert_eq!(second["keys"], json!([]));

    for id in [receipt.message_id(), receipt.offset_message_id()] {
        let found = get(&inspector, &format!("/api/v1/messages/{id}")).await.expect(200).json();
        assert_eq!(found, answer["messages"][0], "{id}");
    }
    let none = get(&inspector, "/api/v1/messages/none").await.expect(404);
    assert_eq!(none.kind(), "no_such_message");
}

/// Compressed bodies are short where they lie, and long in an answer.
#[tokio::test]
async fn a_page_ends_where_its_bodies_get_too_long() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    for letter in ["a", "b", "c"] {
        let message = Message::new("orders", letter.repeat(3 * 1024 * 1024));
        producer.send(message).await.unwrap();
    }
    let mut from = String::new();
    for (number, letter) in ["a", "b", "c"].into_iter().enumerate() {
        let path = format!("/api/v1/messages?topic=orders&from={from}");
        let answer = get(&inspector, &path).await.expect(200).json();
        let bodies = bodies(&answer);
        assert_eq!((bodies.len(), &bodies[0][..1]), (1, letter));
        assert_eq!(answer["end"], number == 2);
        answer["next"].as_str().unwrap().clone_into(&mut from);
    }
    let three = get(&inspector, "/api/v1/messages?topic=orders&count=3").await.expect(400);
    assert!(three.json()["error"]["help"].as_str().unwrap().contains("smaller `count`"));
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let (_broker, inspector) = start().await;
    for (path, said) in [
        ("/api/v1/messages", "missing field `topic`"),
        ("/api/v1/messages?topic=", "`topic` is empty"),
        ("/api/v1/messages?topic=a&topic=b", "duplicate field `topic`"),
        ("/api/v1/messages?topic=a&tags=b", "unknown field `tags`, expected one of `topic`"),
        ("/api/v1/messages?topic=a&queue=-1", "queue"),
        ("/api/v1/messages?topic=a&limit=0", "`limit` cannot be 0"),
        ("/api/v1/messages?topic=a&count=1001", "`count` cannot be 1001"),
        ("/api/v1/messages?topic=a&wait=5", "`wait` cannot be \"5\""),
        ("/api/v1/messages?topic=a&wait=61s", "`wait` cannot be \"61s\""),
        ("/api/v1/messages?topic=a&from=x", "`from` is no position"),
        ("/api/v1/messages?topic=a&order=up", "unknown variant `up`"),
        ("/api/v1/messages?topic=a&order=newest&wait=1s", "from the oldest message on"),
        ("/api/v1/messages/x?topic=a", "unknown field `topic`"),
        ("/api/v1/topics?all=true", "unknown field `all`"),
        ("/api/v1/topics/orders?x=1", "unknown field `x`"),
        ("/api/v1/topics/%ff", "the percent-encoding in the path"),
        ("/api/v1/messages/%ff", "the percent-encoding in the path"),
        ("/api/v1/messages?topic=%ff", "the percent-encoding of a parameter"),
        ("/api/v1/messages?topic=a&key=%zz", "the percent-encoding of a parameter"),
        ("/api/v1/groups?x=1", "unknown field `x`"),
        ("/api/v1/clients?x=1", "unknown field `x`"),
    ] {
        let refused = get(&inspector, path).await.expect(400);
        assert_eq!(refused.kind(), "bad_request");
        let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{path}: {message}");
    }
}
