//! Topics: list, create, describe, delete.

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

/// 8 queues with messages were shrunk to 2 by this, with "created" and exit 0.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_there_is_described_and_not_changed() {
    let broker = broker().await;
    topic(&broker, &["create", "shr", "--queues", "4"]).await.expect_code(0);
    send(&broker, &["shr", "--queue", "dev:3"], "a\nb\nc\n").await.expect_code(0);
    for args in [&["create", "shr", "--queues", "2"][..], &["create", "shr"]] {
        let again = topic(&broker, args).await.expect_code(5);
        let expected = "error: topic shr exists already: 4 queues on dev\n  \
                        It holds 3 messages in 4 queues, and was not changed.\n  \
                        try:  posthaste topic update shr --queues ";
        assert!(again.stderr.starts_with(expected), "{}", again.stderr);
        assert_eq!(again.stdout, "");
    }
    let json = topic(&broker, &["create", "shr", "-o", "json"]).await.expect_code(5).json();
    assert_eq!(json[0]["error"]["kind"], "exists");
    let described = topic(&broker, &["describe", "shr"]).await.expect_code(0);
    assert!(described.stdout.starts_with("shr: 3 messages in 4 queues\n"), "{}", described.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn if_not_exists_takes_a_topic_that_is_as_wanted_and_no_other() {
    let broker = broker().await;
    let create = |queues| ["create", "T", "--if-not-exists", "--queues", queues];
    let first = topic(&broker, &create("4")).await.expect_code(0);
    assert_eq!(first.stdout, "created  T  queues=4 broker=dev\n");
    let second = topic(&broker, &create("4")).await.expect_code(0);
    assert_eq!(second.stdout, "exists   T  queues=4 broker=dev\n");
    let other = topic(&broker, &create("5")).await.expect_code(5);
    assert!(other.stderr.contains("T exists already: 4 queues on dev"), "{}", other.stderr);
    topic(&broker, &["update", "T", "--read-queues", "5"]).await.expect_code(0);
    topic(&broker, &create("4")).await.expect_code(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_says_how_many_messages_get_out_of_reach_and_waits_for_yes() {
    let broker = broker().await;
    topic(&broker, &["create", "T", "--queues", "4"]).await.expect_code(0);
    send(&broker, &["T", "--queue", "dev:3"], "a\nb\n").await.expect_code(0);
    let refused = topic(&broker, &["update", "T", "--queues", "2"]).await.expect_code(5);
    let expected =
        "error: consumers would no longer reach 2 messages of topic T; nothing was changed\n";
    assert!(refused.stderr.starts_with(expected), "{}", refused.stderr);
    let described = |run: Run| run.expect_code(0).stdout.lines().next().map(str::to_owned);
    let whole = Some("T: 2 messages in 4 queues".to_owned());
    assert_eq!(described(topic(&broker, &["describe", "T"]).await), whole);

    // The way without loss that it names: what is written no more is still read, and described.
    let written = topic(&broker, &["update", "T", "--write-queues", "2"]).await.expect_code(0);
    assert_eq!(written.stdout, "updated  T  read-queues=4 write-queues=2 broker=dev\n");
    assert_eq!(described(topic(&broker, &["describe", "T"]).await), whole);
    let meant = topic(&broker, &["update", "T", "--queues", "2", "--yes"]).await.expect_code(0);
    assert_eq!(meant.stdout, "updated  T  queues=2 broker=dev\n");

    let grown = topic(&broker, &["update", "T", "--queues", "6", "-o", "json"]).await;
    let line = &grown.expect_code(0).json()[0];
    assert_eq!((&line["_cmd"], &line["queues"]), (&json!("topic update"), &json!(6)));
    topic(&broker, &["update", "T"]).await.expect_code(2);
    topic(&broker, &["update", "Typo", "--queues", "2"]).await.expect_code(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_deleted_when_that_is_meant_and_not_before() {
    let broker =
        posthaste_broker::Broker::builder().auto_create_topics(false).start().await.unwrap();
    topic(&broker, &["create", "T", "--queues", "4"]).await.expect_code(0);
    send(&broker, &["T"], "a\nb\n").await.expect_code(0);
    let asked = topic(&broker, &["delete", "T"]).await.expect_code(2);
    let expected = format!(
        "error: Delete topic T of the cluster at {}, with 2 messages in 4 queues (2 messages on \
         dev)? There is no terminal to ask on.\n  Nothing was deleted. To delete it: this command \
         again with --yes.\n",
        broker.name_server()
    );
    assert_eq!(asked.stderr, expected);
    topic(&broker, &["describe", "T"]).await.expect_code(0);

    let deleted = topic(&broker, &["delete", "T", "--yes"]).await.expect_code(0);
    assert_eq!(deleted.stdout, "deleted  T  messages=2 broker=dev\n");
    topic(&broker, &["describe", "T"]).await.expect_code(3);
    send(&broker, &["T", "x"], "").await.expect_code(3);
    let gone = topic(&broker, &["delete", "T", "--yes"]).await.expect_code(3);
    assert_eq!(gone.stderr, "error: no such topic: T\n  try:  posthaste topic list\n");

    topic(&broker, &["create", "T", "--queues", "1"]).await.expect_code(0);
    let json = topic(&broker, &["delete", "T", "-y", "-o", "json"]).await.expect_code(0).json();
    let expected = json!({
        "_cmd": "topic delete", "_v": 1, "topic": "T", "broker": "dev", "done": "deleted",
        "messages": 0,
    });
    assert_eq!(json, [expected]);
}

/// "Correct the command; the same command fails again" was all.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_the_system_is_neither_created_nor_changed_nor_deleted() {
    let broker = broker().await;
    for (args, help) in [
        (
            &["create", "TBW102"][..],
            "Brokers have TBW102 where they create topics on their own (autoCreateTopicEnable). \
             Choose another name.",
        ),
        (&["create", "TBW102", "--if-not-exists"], "Choose another name."),
        (&["create", "rmq_sys_of_mine"], "Choose another name."),
        (&["update", "SELF_TEST_TOPIC", "--queues", "4"], "Choose another topic."),
        (&["delete", "SELF_TEST_TOPIC", "--yes"], "Choose another topic."),
    ] {
        let run = topic(&broker, args).await.expect_code(5);
        let error = format!("error: topic {} belongs to the system\n", args[1]);
        assert!(run.stderr.starts_with(&error), "{}", run.stderr);
        assert!(run.stderr.trim_end().ends_with(help), "{args:?}: {}", run.stderr);
    }
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
