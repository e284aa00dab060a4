//! The description in the form of OpenAPI says what is so: parameters, bounds, answers, words of rules.

use std::time::Duration;

use posthaste::Message;
use posthaste_inspector::Inspector;
use serde_json::{Value, json};

use crate::client::{Answer, call, get};
use crate::schema::wrong;
use crate::{PATHS, order, producer, start};

async fn description(inspector: &Inspector) -> Value {
    get(inspector, "/api/v1/openapi.json").await.expect(200).json()
}

/// Every operation: its method, its path with names in place of parameters, and what is said of it.
fn operations(description: &Value) -> Vec<(String, String, &Value)> {
    let mut all = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        let path = path.replace("{topic}", "orders").replace("{id}", "1");
        for (method, operation) in operations.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    all
}

/// The parameters of its query.
fn parameters(operation: &Value) -> Vec<&Value> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    all.filter(|parameter| parameter["in"] == "query").collect()
}

async fn ask(inspector: &Inspector, method: &str, path: &str) -> Answer {
    call(inspector, method, path).header("Content-Type: application/json").send().await
}

/// What is said of a path: its operations by method.
fn described<'a>(description: &'a Value, path: &str) -> &'a Value {
    let is = |told: &str| {
        let (told, path): (Vec<_>, Vec<_>) = (told.split('/').collect(), path.split('/').collect());
        let fits = |(told, path): (&&str, &&str)| told == path || told.starts_with('{');
        told.len() == path.len() && told.iter().zip(&path).all(fits)
    };
    let all = description["paths"].as_object().unwrap();
    let found = all.iter().find(|(told, _)| is(told));
    found.unwrap_or_else(|| panic!("{path} is not described")).1
}

#[tokio::test]
async fn a_path_takes_the_methods_that_are_described() {
    let (broker, inspector) = start().await;
    broker.fault("on=recall do=pass".parse().unwrap()).unwrap();
    let description = description(&inspector).await;
    assert_eq!(description["paths"].as_object().unwrap().len(), PATHS.len());
    for path in PATHS {
        let path = path.split('?').next().unwrap();
        let operations = described(&description, path);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let is_told = operations.get(method.to_lowercase()).is_some();
            let answer = ask(&inspector, method, path).await;
            assert_eq!(answer.status != 405, is_told, "{method} {path}: {answer:?}");
        }
    }
}

/// An unknown parameter is answered with the known ones, which are compared.
#[tokio::test]
async fn the_parameters_are_those_that_a_path_has() {
    let (broker, inspector) = start().await;
    broker.fault("on=recall do=pass".parse().unwrap()).unwrap();
    let description = description(&inspector).await;
    for (method, path, operation) in operations(&description) {
        let parameters = parameters(operation);
        let mut told: Vec<_> = parameters.iter().map(|one| one["name"].as_str().unwrap()).collect();
        if matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics") {
            assert_eq!(told, [""; 0], "{path}");
            continue;
        }
        let refused = ask(&inspector, &method, &format!("{path}?%20=")).await.expect(400).json();
        let message = refused["error"]["message"].as_str().unwrap();
        let (_, known) = message.split_once("unknown field ` `, ").unwrap();
        let mut known: Vec<_> = known.split('`').skip(1).step_by(2).collect();
        known.sort_unstable();
        told.sort_unstable();
        assert_eq!(known, told, "{method} {path}: {message}");
        for parameter in parameters {
            let name = parameter["name"].as_str().unwrap();
            let topic =
                if told.contains(&"topic") && name != "topic" { "topic=orders&" } else { "" };
            for (value, is_good) in values(&parameter["schema"]) {
                let answer =
                    ask(&inspector, &method, &format!("{path}?{topic}{name}={value}")).await;
                assert_eq!(answer.status != 400, is_good, "{path} {name}={value}: {answer:?}");
            }
        }
        if told.contains(&"topic") {
            ask(&inspector, &method, &path).await.expect(400);
        }
    }
}

/// Values that a schema allows, and such that it does not.
fn values(schema: &Value) -> Vec<(String, bool)> {
    let mut values = Vec::new();
    let limit = |name: &str| schema[name].as_i64();
    values.extend(limit("minimum").map(|least| (least.to_string(), true)));
    values.extend(limit("minimum").map(|least| ((least - 1).to_string(), false)));
    values.extend(limit("maximum").map(|most| (most.to_string(), true)));
    values.extend(limit("maximum").map(|most| ((most + 1).to_string(), false)));
    for value in schema["enum"].as_array().into_iter().flatten() {
        values.push((value.as_str().unwrap().to_owned(), true));
        values.push((format!("{}x", value.as_str().unwrap()), false));
    }
    if schema["type"] == "boolean" {
        values.extend([("true".to_owned(), true), ("1".to_owned(), false)]);
    }
    if schema.get("pattern").is_some() {
        values.extend([("1ms".to_owned(), true), ("1".to_owned(), false)]);
    }
    values
}

/// What is answered has what the description says, and nothing else.
#[tokio::test]
async fn answers_are_what_the_description_says() {
    let (broker, inspector) = start().await;
    // It is kept because it was asked for.
    get(&inspector, "/api/v1/wire").await.expect(200);
    let producer = producer(&broker).await;
    broker.fault("on=send every=2 do=pass".parse().unwrap()).unwrap();
    let message = order("one").key("o-1").tag("new").flag(7).property("colour", "red");
    let id = producer.send(message).await.unwrap().message_id().to_owned();
    producer.send(order([0xff, 0])).await.unwrap();
    let later = Message::new("orders", "later").deliver_after(Duration::from_secs(3_600));
    producer.send(later).await.unwrap();
    let description = description(&inspector).await;
    for (path, query, status) in [
        ("/healthz", "", 200),
        ("/readyz", "", 200),
        ("/api/v1/openapi.json", "", 200),
        ("/api/v1/messages", "?topic=orders", 200),
        ("/api/v1/messages", "?topic=rmq_sys_wheel_timer", 200),
        ("/api/v1/messages", "?topic=orders&count=1", 200),
        ("/api/v1/messages", "?topic=orders&count=9", 504),
        ("/api/v1/messages", "?topic=Orders&count=9", 504),
        ("/api/v1/messages", "", 400),
        ("/api/v1/messages/{id}", "", 200),
        ("/api/v1/messages/none", "", 404),
        ("/api/v1/topics", "?system=true", 200),
        ("/api/v1/topics/orders", "", 200),
        ("/api/v1/topics/none", "", 404),
        ("/api/v1/groups", "", 200),
        ("/api/v1/clients", "", 200),
        ("/api/v1/faults", "", 200),
        ("/api/v1/faults/1", "", 200),
        ("/api/v1/faults/1", "?hits=9", 504),
        ("/api/v1/faults/9", "", 404),
        ("/api/v1/wire", "", 200),
        ("/api/v1/wire", "?connection=999", 404),
    ] {
        let answer = get(&inspector, &format!("{}{query}", path.replace("{id}", &id))).await;
        check(&description, "get", path, &answer.expect(status));
    }
    let json = "Content-Type: application/json";
    for (method, path, body, status) in [
        ("POST", "/api/v1/faults", r#"{"on": "send", "queue": 1, "do": "pass"}"#, 201),
        ("POST", "/api/v1/faults", r#"[{"on": 10, "do": "delay", "by": "1ms"}]"#, 201),
        ("POST", "/api/v1/faults", "{}", 400),
        ("DELETE", "/api/v1/faults/1", "", 200),
        ("DELETE", "/api/v1/faults/1", "", 404),
        ("DELETE", "/api/v1/faults", "", 200),
    ] {
        let length = format!("Content-Length: {}", body.len());
        let answer = call(&inspector, method, path).header(json).header(&length).body(body);
        let answer = answer.send().await.expect(status);
        check(&description, &method.to_lowercase(), path, &answer);
    }
}

fn check(description: &Value, method: &str, path: &str, answer: &Answer) {
    let responses = &described(description, path)[method]["responses"];
    let response = match &responses[answer.status.to_string()] {
        Value::Null => description.pointer("/components/responses/Problem").unwrap(),
        response => response,
    };
    let schema = &response["content"]["application/json"]["schema"];
    let wrong = wrong(description, schema, &answer.json(), path);
    assert!(wrong.is_empty(), "{path}: {wrong:#?}\n{}", answer.body);
}

/// What is wrong with a value is found: without that, every answer would be right.
#[tokio::test]
async fn what_is_not_described_is_found() {
    let (_broker, inspector) = start().await;
    let description = description(&inspector).await;
    let schema = json!({"$ref": "#/components/schemas/Queue"});
    for (value, expected) in [
        (json!({"queue": 0, "min_offset": 0, "max_offset": 1}), &[][..]),
        (json!({"queue": 0, "min_offset": 0}), &["q has no \"max_offset\""]),
        (
            json!({"queue": "0", "min_offset": 0, "max_offset": 1, "more": 1}),
            &["q.more is not described", "q.queue is no \"integer\": \"0\""],
        ),
    ] {
        assert_eq!(wrong(&description, &schema, &value, "q"), expected);
    }
}

/// The words of a rule are those that an unknown word is answered with; so are their values.
#[tokio::test]
async fn the_words_of_rules_are_described() {
    let (_broker, inspector) = start().await;
    let description = description(&inspector).await;
    let words = description.pointer("/components/schemas/Fault/properties").unwrap();
    let there_is = |rule: &str| {
        let error = rule.parse::<posthaste_broker::Fault>().unwrap_err().to_string();
        let mut list: Vec<_> =
            error.split_once("there is: ").unwrap().1.split(", ").map(str::to_owned).collect();
        list.sort_unstable();
        list
    };
    let mut told: Vec<_> = words.as_object().unwrap().keys().cloned().collect();
    told.sort_unstable();
    assert_eq!(there_is("zzz=1"), told);
    for (word, rule) in
        [("do", "on=send do=zzz"), ("kind", "on=send kind=zzz"), ("point", "on=send point=zzz")]
    {
        let values = words[word]["enum"].as_array().unwrap().iter();
        let mut values: Vec<_> = values.map(|value| value.as_str().unwrap().to_owned()).collect();
        values.sort_unstable();
        assert_eq!(there_is(rule), values, "{word}");
    }
    let on = words["on"]["description"].as_str().unwrap();
    for request in there_is("on=zzz do=pass") {
        assert!(on.contains(&request), "{request}");
    }
}
