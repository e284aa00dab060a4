//! Topics: list, create, describe.

use serde_json::json;

use crate::shell::{Run, broker, posthaste, posthaste_at, run, send};

async fn topic(broker: &posthaste_broker::Broker, args: &[&str]) -> Run {
    let args: Vec<&str> = ["topic"].iter().chain(args).copied().collect();
    run(posthaste_at(broker.name_server(), &args), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn created_listed_described() {
    let broker = broker().await;
    let created = topic(&broker, &["create", "Orders", "--queues", "3"]).await.expect_code(0);
    assert_eq!(created.stdout, "created  Orders  queues=3 broker=dev\n");
    let list = topic(&broker, &["list"]).await.expect_code(0);
    assert!(list.stdout.lines().any(|line| line == "Orders"), "{}", list.stdout);
    let list = topic(&broker, &["list", "-o", "json"]).await.expect_code(0).json();
    assert!(list[0]["topics"].as_array().unwrap().contains(&json!("Orders")));
    send(&broker, &["Orders", "--queue", "dev:1"], "a\nb\n").await.expect_code(0);
    let described =
        topic(&broker, &["describe", "Orders", "-o", "json"]).await.expect_code(0).json();
    let queue =
        |queue, max| json!({"broker": "dev", "queue": queue, "min_offset": 0, "max_offset": max});
    assert_eq!(
        described,
        [json!({"topic": "Orders", "queues": [queue(0, 0), queue(1, 2), queue(2, 0)]})]
    );
    let described = topic(&broker, &["describe", "Orders"]).await.expect_code(0);
    assert!(described.stdout.contains("2 messages in 3 queues"), "{}", described.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_the_system_are_listed_when_asked_for() {
    let broker = broker().await;
    send(&broker, &["Orders", "hi"], "").await.expect_code(0);
    let own = topic(&broker, &["list"]).await.expect_code(0);
    assert_eq!(own.stdout, "Orders\n");
    let own = topic(&broker, &["list", "-o", "json"]).await.expect_code(0).json();
    assert_eq!(own[0]["topics"], json!(["Orders"]));
    let all = topic(&broker, &["list", "--all"]).await.expect_code(0);
    for name in ["Orders", "SELF_TEST_TOPIC", "SCHEDULE_TOPIC_XXXX", "dev"] {
        assert!(all.stdout.lines().any(|line| line == name), "{name}: {}", all.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_just_created_can_be_sent_to() {
    let broker =
        posthaste_broker::Broker::builder().auto_create_topics(false).start().await.unwrap();
    topic(&broker, &["create", "New"]).await.expect_code(0);
    send(&broker, &["New", "hi"], "").await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_the_same_exit_codes_everywhere() {
    let broker = broker().await;
    topic(&broker, &["describe", "Typo"]).await.expect_code(3);
    topic(&broker, &["create", "a/b"]).await.expect_code(5);
    topic(&broker, &["create", "T", "--queues", "0"]).await.expect_code(2);
    for args in [
        &["topic", "list"][..],
        &["topic", "create", "T"],
        &["topic", "describe", "T"],
        &["tail", "T"],
    ] {
        let mut command = posthaste(args);
        command.args(["-n", "127.0.0.1:1", "--timeout", "500ms"]);
        let run = run(command, "").await.expect_code(3);
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    }
}
