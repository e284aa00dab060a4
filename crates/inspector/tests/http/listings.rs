//! Topics, groups, clients, and figures.

use serde_json::{Value, json};

use crate::client::get;
use crate::{order, producer, start};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn topics_are_listed_and_one_has_its_queues() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    let empty = get(&inspector, "/api/v1/topics/orders").await.expect(200).json();
    assert_eq!((&empty["messages"], &empty["last_write_ms"]), (&json!(0), &Value::Null));
    producer.send(order("one")).await.unwrap();
    let listed = get(&inspector, "/api/v1/topics").await.expect(200).json();
    assert_eq!(names(&listed["topics"]), ["orders"]);
    let topic = &listed["topics"][0];
    assert_eq!((&topic["messages"], topic.get("queues")), (&json!(1), None));
    let one = get(&inspector, "/api/v1/topics/orders").await.expect(200).json();
    assert_eq!(one["queues"], json!([{"queue": 0, "min_offset": 0, "max_offset": 1}]));
    assert!(one["last_write_ms"].is_u64());
    let all = get(&inspector, "/api/v1/topics?system=true").await.expect(200).json();
    assert!(names(&all["topics"]).contains(&"SCHEDULE_TOPIC_XXXX"), "{all}");
    let none = get(&inspector, "/api/v1/topics/Orders").await.expect(404);
    assert_eq!(none.kind(), "no_such_topic");
    assert_eq!(none.json()["error"]["help"], "there are orders");
}

#[tokio::test]
async fn a_producer_is_seen_among_clients_and_groups() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    producer.send(order("one")).await.unwrap();
    // Its first heartbeat may come after its first message.
    let client = loop {
        let clients = get(&inspector, "/api/v1/clients").await.expect(200).json();
        let clients = clients["clients"].as_array().unwrap().clone();
        let named = |client: &Value| client["producer_groups"] == json!(["orders-service"]);
        if let Some(client) = clients.into_iter().find(named) {
            break client;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&client["consumer_groups"], &client["language"]), (&json!([]), &json!("RUST")));
    assert!(client["last_heartbeat_ms"].is_u64() && client["connected_ms"].is_u64());
    assert!(client["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{client}");
    let groups = get(&inspector, "/api/v1/groups").await.expect(200).json();
    let groups = groups["groups"].as_array().unwrap();
    let own = groups.iter().find(|group| group["name"] == "orders-service").unwrap();
    assert_eq!(own["producers"], json!([client["client"]]));
    let figures = get(&inspector, "/metrics").await.expect(200).body;
    assert!(figures.contains("posthaste_broker_clients 1\n"), "{figures}");
}

/// Each figure has its kind and its help, as Prometheus wants it.
#[tokio::test]
async fn figures_are_what_the_broker_has_counted() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    for body in ["1", "2", "3"] {
        producer.send(order(body)).await.unwrap();
    }
    let answer = get(&inspector, "/metrics").await.expect(200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{answer:?}");
    for line in [
        "# TYPE posthaste_broker_messages_stored_total counter",
        "posthaste_broker_messages_stored_total 3",
        "posthaste_broker_messages_dropped_total 0",
        "posthaste_broker_topic_messages{topic=\"orders\"} 3",
        "posthaste_broker_http_waiting 0",
    ] {
        assert!(answer.body.lines().any(|one| one == line), "{line}: {}", answer.body);
    }
    let mut described = "";
    for line in answer.body.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(kind) => described = kind.split(' ').next().unwrap(),
            None if line.starts_with('#') => {}
            None => {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(name, described, "{line}");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
        }
    }
    for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
        assert_eq!(get(&inspector, path).await.expect(200).json(), json!({"status": status}));
    }
}
