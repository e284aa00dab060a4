//! Fault rules, added, listed, waited for and removed.

use posthaste_broker::Fault;
use posthaste_inspector::Inspector;
use serde_json::{Value, json};

use crate::client::{Answer, call, get, read};
use crate::{order, producer, start};

const PATH: &str = "/api/v1/faults";
/// Rules that a broker may have.
const MOST: usize = 100;

async fn post(inspector: &Inspector, body: &str) -> Answer {
    let request = call(inspector, "POST", PATH).header("Content-Type: application/json");
    request.header(&format!("Content-Length: {}", body.len())).body(body).send().await
}

async fn delete(inspector: &Inspector, path: &str) -> Answer {
    call(inspector, "DELETE", path).header("Content-Type: application/json").send().await
}

fn rules(answer: &Value) -> Vec<&str> {
    let faults = answer["faults"].as_array().unwrap();
    faults.iter().map(|fault| fault["rule"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_rule_is_added_hits_and_goes() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    let rule = r#"{"on": "send", "topic": "orders", "first": 2, "do": "refuse", "code": 2}"#;
    let added = post(&inspector, rule).await.expect(201).json();
    let words = "on=send topic=orders first=2 do=refuse code=SYSTEM_BUSY";
    let fault = json!({"on": "send", "topic": "orders", "first": "2", "do": "refuse", "code": "SYSTEM_BUSY"});
    let expected = |hits: u64, matched: u64| {
        json!({
            "id": 1, "rule": words, "fault": fault,
            "hits": hits, "hit_messages": hits, "matched": matched,
        })
    };
    assert_eq!(added, expected(0, 0));
    // What is given back is a rule too.
    let rule: Fault = serde_json::from_value(added["fault"].clone()).unwrap();
    assert_eq!((rule.to_string().as_str(), &rule), (words, broker.faults()[0].fault()));
    let wait = call(&inspector, "GET", "/api/v1/faults/1?hits=2&wait=60s").begin().await;
    while !get(&inspector, "/metrics").await.body.contains("http_waiting 1\n") {}
    producer.send(order("one")).await.unwrap();
    assert_eq!(read(wait).await.expect(200).json()["hits"], 2);
    assert_eq!(get(&inspector, "/api/v1/faults/1").await.expect(200).json(), expected(2, 3));
    let listed = get(&inspector, PATH).await.expect(200).json();
    assert_eq!(listed, json!({"faults": [expected(2, 3)]}));
    assert_eq!(delete(&inspector, "/api/v1/faults/1").await.expect(200).json(), expected(2, 3));
    assert!(broker.faults().is_empty());
    let gone = delete(&inspector, "/api/v1/faults/1").await.expect(404);
    assert_eq!(gone.kind(), "no_such_fault");
}

#[tokio::test]
async fn a_list_is_added_as_a_whole_or_not_at_all() {
    let (broker, inspector) = start().await;
    let (good, bad) = (r#"{"on": "send", "do": "pass"}"#, r#"{"on": "send", "do": "refuse"}"#);
    let refused = post(&inspector, &format!("[{good}, {bad}]")).await.expect(400);
    assert_eq!(refused.kind(), "bad_fault");
    assert_eq!(refused.json()["error"]["message"], "rule 2: do=refuse needs code=SYSTEM_BUSY");
    // Each of its words is right.
    let senseless = r#"{"on": "heartbeat", "topic": "orders", "do": "pass"}"#;
    let refused = post(&inspector, &format!("[{good}, {senseless}]")).await.expect(400);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("a heartbeat has no topic"), "{message}");
    assert!(broker.faults().is_empty());
    let added = post(&inspector, &format!("[{good}]")).await.expect(201).json();
    assert_eq!(rules(&added), ["on=send do=pass"]);
    let route = r#"{"on": "route", "do": "unknown"}"#;
    let added = post(&inspector, &format!("[{good}, {route}]")).await.expect(201).json();
    assert_eq!(rules(&added), ["on=send do=pass", "on=route do=unknown"]);
    let all = ["on=send do=pass", "on=send do=pass", "on=route do=unknown"];
    assert_eq!(rules(&get(&inspector, PATH).await.expect(200).json()), all);
    assert_eq!(rules(&delete(&inspector, PATH).await.expect(200).json()), all);
    assert!(broker.faults().is_empty());
    assert_eq!(post(&inspector, "[]").await.expect(201).json(), json!({"faults": []}));
}

/// What is misspelt is named, with what there is.
#[tokio::test]
async fn a_wrong_rule_is_an_error_that_says_what_there_is() {
    let (broker, inspector) = start().await;
    for (body, said) in [
        (
            r#"{"on": "send", "topc": "a", "do": "pass"}"#,
            r#""topc" is no word of a fault rule; perhaps topic; there is: on, kind, topic"#,
        ),
        (r#"{"on": "snd", "do": "pass"}"#, r#"perhaps send; there is: send, route"#),
        (r#"{"on": "send", "do": "refus"}"#, "perhaps refuse; there is: refuse, status"),
        (r#"{"on": "send", "do": "refuse", "code": "SYSTEM_BUZY"}"#, "perhaps SYSTEM_BUSY"),
        (r#"{"on": "send"}"#, "a rule says what it does, as do=...; there is: refuse"),
        (r#"{"on": "send", "do": "pass", "do": "pass"}"#, "do is said twice"),
        (r#"{"on": "send", "first": 0, "do": "pass"}"#, "first"),
        (
            r#"{"on": "send", "first": true, "do": "pass"}"#,
            "the value of first is no text and no number",
        ),
        (r#""on=send do=pass""#, "expected a fault rule, such as {"),
        ("7", "expected a fault rule"),
        (r#"{"on": "send", "do": "pass""#, "this is no JSON"),
        (r#"{"on": "send", "do": "pass"} x"#, "this is no JSON"),
        ("", "this is no JSON"),
        ("[[]]", "rule 1: "),
    ] {
        let refused = post(&inspector, body).await.expect(400);
        assert_eq!(refused.kind(), "bad_fault", "{body}");
        let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{body}: {message}");
    }
    let long = format!(r#"{{"on": "send", "topic": "{}", "do": "pass"}}"#, "t".repeat(4096));
    let refused = post(&inspector, &long).await.expect(400);
    assert_eq!(refused.json()["error"]["message"], "a rule in words has at most 4 KiB");
    assert!(broker.faults().is_empty());
}

#[tokio::test]
async fn hits_that_do_not_come_are_said_with_those_that_did() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    post(&inspector, r#"{"on": "send", "every": 2, "do": "pass"}"#).await.expect(201);
    let never = get(&inspector, "/api/v1/faults/1?hits=1").await.expect(504);
    assert_eq!(never.kind(), "not_hit");
    let help = never.json()["error"]["help"].as_str().unwrap().to_owned();
    assert!(help.contains("nothing fitted the rule"), "{help}");
    for body in ["1", "2", "3"] {
        producer.send(order(body)).await.unwrap();
    }
    let missed = get(&inspector, "/api/v1/faults/1?hits=2&wait=1ms").await.expect(504).json();
    let said = "the rule has hit 1 of 2 requests after 1 ms; 3 requests fitted it";
    assert_eq!(missed["error"]["message"], said);
    assert_eq!((&missed["fault"]["hits"], &missed["fault"]["matched"]), (&json!(1), &json!(3)));
    // Without a number one hit is enough, and without a wait what is there already.
    for wanted in ["wait=60s", "hits=1"] {
        get(&inspector, &format!("/api/v1/faults/1?{wanted}")).await.expect(200);
    }
    for (path, said) in [
        ("/api/v1/faults/1?hits=0", "`hits` cannot be 0"),
        ("/api/v1/faults/1?hits=-1", "hits"),
        ("/api/v1/faults/1?wait=5", "`wait` cannot be"),
        ("/api/v1/faults/1?wait=61s", "`wait` cannot be"),
        ("/api/v1/faults/1?hit=1", "unknown field `hit`, expected `hits` or `wait`"),
        ("/api/v1/faults?hits=1", "unknown field `hits`"),
        ("/api/v1/faults/%ff", "the percent-encoding in the path"),
    ] {
        let refused = get(&inspector, path).await.expect(400);
        let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{path}: {message}");
    }
    for (id, help) in [("2", "there are 1"), ("one", "there are 1"), ("-1", "there are 1")] {
        let unknown = get(&inspector, &format!("/api/v1/faults/{id}")).await.expect(404);
        assert_eq!(unknown.json()["error"]["help"], help);
    }
}

#[tokio::test]
async fn a_rule_is_changed_by_no_other_site() {
    let (broker, inspector) = start().await;
    post(&inspector, r#"{"on": "send", "do": "pass"}"#).await.expect(201);
    let rule = r#"{"on": "send", "do": "no-answer"}"#;
    let length = format!("Content-Length: {}", rule.len());
    let json = "Content-Type: application/json";
    for (headers, status) in [
        (&[json, "Origin: http://evil.example"][..], 403),
        (&[json, "Origin: null"], 403),
        (&[json, "Sec-Fetch-Site: cross-site"], 403),
        (&["Content-Type: text/plain"], 415),
        (&[][..], 415),
    ] {
        for (method, path) in [("POST", PATH), ("DELETE", PATH), ("DELETE", "/api/v1/faults/1")] {
            let request = call(&inspector, method, path).header(&length).body(rule);
            let request = headers.iter().fold(request, |request, header| request.header(header));
            request.send().await.expect(status);
        }
    }
    for (path, allowed) in [(PATH, "GET, POST, DELETE"), ("/api/v1/faults/1", "GET, DELETE")] {
        let request = call(&inspector, "PUT", path).header(json).header(&length).body(rule);
        let refused = request.send().await.expect(405);
        assert_eq!(refused.json()["error"]["help"], format!("it takes {allowed}"));
        assert!(refused.head.contains("\r\nallow: get"), "{refused:?}");
    }
    let there: Vec<_> = broker.faults().iter().map(|rule| rule.fault().to_string()).collect();
    assert_eq!(there, ["on=send do=pass"]);
}

#[tokio::test]
async fn rules_are_so_many_and_no_more() {
    let (broker, inspector) = start().await;
    let rule = r#"{"on": "recall", "do": "pass"}"#;
    let list = |count| format!("[{}]", vec![rule; count].join(","));
    post(&inspector, &list(MOST - 1)).await.expect(201);
    assert_eq!(post(&inspector, &list(2)).await.expect(409).kind(), "too_many_faults");
    assert_eq!(broker.faults().len(), MOST - 1);
    post(&inspector, rule).await.expect(201);
    post(&inspector, rule).await.expect(409);
    delete(&inspector, "/api/v1/faults/1").await.expect(200);
    post(&inspector, rule).await.expect(201);
    // The numbers go on: a wait for a rule that is gone is not answered by another one.
    assert_eq!(broker.faults().last().unwrap().id(), MOST as u64 + 1);
}
