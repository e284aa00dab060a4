//! Reading back what landed.

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::shell::{
    Run, broker, finish, landed, landed_bodies, next_line, posthaste_at, run, send, signal,
};

async fn tail(broker: &posthaste_broker::Broker, flags: &[&str]) -> Run {
    let args: Vec<&str> = ["tail"].iter().chain(flags).copied().collect();
    run(posthaste_at(broker.name_server(), &args), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_has_everything_that_is_known() {
    let broker = broker().await;
    let sent = send(
        &broker,
        &["T", "hello", "--tag", "t", "-k", "a", "-k", "b", "-H", "x=1", "-o", "json"],
        "",
    )
    .await;
    let receipt = &sent.expect_code(0).json()[0];
    let landed = &landed(&broker, "T").await[0];
    for field in ["topic", "broker", "queue", "offset", "msg_id", "keys", "tag"] {
        assert_eq!(landed[field], receipt[field], "{field}");
    }
    assert_eq!((&landed["_cmd"], &landed["_v"]), (&json!("tail"), &json!(1)));
    assert_eq!((&landed["properties"], &landed["body"]), (&json!({"x": "1"}), &json!("hello")));
    assert!(landed["born_ms"].as_u64() <= landed["stored_ms"].as_u64(), "{landed}");
}

/// It exited with 3.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_yet_is_waited_for_while_following() {
    for from in ["start", "end"] {
        let broker = broker().await;
        let args = ["tail", "live", "--from", from, "-o", "json", "-C", "2"];
        let mut child = posthaste_at(broker.name_server(), &args).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let waiting = next_line(&mut stderr).await.unwrap();
        assert_eq!(waiting, "topic live does not exist yet; waiting for it");
        send(&broker, &["live"], "a\nb\n").await.expect_code(0);
        let run = finish(child).await.expect_code(0);
        assert_eq!(run.json().len(), 2, "what landed before the tail was open counts, too");
        let now = tail(&broker, &["other", "--from", from, "--until", "now"]).await;
        assert!(now.expect_code(3).stderr.contains("other"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_one_safe_line_a_message() {
    let broker = broker().await;
    send(&broker, &["T", "two\nlines\x1b[2J", "--tag", "t", "-k", "k"], "").await.expect_code(0);
    let run = tail(&broker, &["T", "-C", "1"]).await.expect_code(0);
    assert!(
        run.stdout.starts_with("dev:") && run.stdout.contains(" offset=0  tag=t keys=k  "),
        "{}",
        run.stdout
    );
    assert!(run.stdout.ends_with("two\\nlines\\u{1b}[2J\n"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_tailed_can_be_sent_again() {
    let first = broker().await;
    send(
        &first,
        &["T", "-K", ":", "--tag", "t", "-H", "x=1", "-q"],
        b"a:one\nb:\xff\xfe\nc:three\n",
    )
    .await
    .expect_code(0);
    send(&first, &["T", "-q", "--ordered-by", "key", "-k", "d"], "four\n").await.expect_code(0);
    let backup = tail(&first, &["T", "--from", "start", "--until", "now", "-o", "json"])
        .await
        .expect_code(0);
    let second = broker().await;
    send(&second, &["T", "--json", "-q"], &backup.stdout).await.expect_code(0);
    let strip = |mut lines: Vec<serde_json::Value>| {
        lines.sort_by_key(|line| line["keys"][0].as_str().unwrap().to_owned());
        for line in &mut lines {
            for field in ["queue", "offset", "msg_id", "offset_msg_id", "born_ms", "stored_ms"] {
                line.as_object_mut().unwrap().remove(field);
            }
        }
        lines
    };
    let replayed = strip(landed(&second, "T").await);
    assert_eq!(replayed.len(), 4);
    assert_eq!(replayed[3]["ordered_by"], "d");
    assert_eq!(replayed, strip(backup.json()));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_by_tag_and_key() {
    let broker = broker().await;
    send(&broker, &["T", "-q", "-K", ":", "--tag", "red"], "a:1\nb:2\n").await.expect_code(0);
    send(&broker, &["T", "-q", "-K", ":", "--tag", "blue"], "a:3\nb:4\n").await.expect_code(0);
    for (flags, expected) in [
        (&["--tag", "red"][..], &["1", "2"][..]),
        (&["--key", "a"], &["1", "3"]),
        (&["--key", "b", "--tag", "blue"], &["4"]),
        (&["--key", "c"], &[]),
    ] {
        let all: Vec<&str> =
            ["T", "--until", "now", "-o", "json"].iter().chain(flags).copied().collect();
        let lines = tail(&broker, &all).await.expect_code(0).json();
        let mut bodies: Vec<&str> =
            lines.iter().map(|line| line["body"].as_str().unwrap()).collect();
        bodies.sort_unstable();
        assert_eq!(bodies, expected, "{flags:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_follows_what_lands_until_it_is_interrupted() {
    let broker = broker().await;
    send(&broker, &["T", "old", "-q"], "").await.expect_code(0);
    let mut child =
        posthaste_at(broker.name_server(), &["tail", "T", "-o", "json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(next_line(&mut lines).await.unwrap().contains("\"old\""));
    send(&broker, &["T", "new", "-q"], "").await.expect_code(0);
    assert!(next_line(&mut lines).await.unwrap().contains("\"new\""));
    signal(&child, "INT").await;
    finish(child).await.expect_code(130);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_end_only_new_messages_are_shown() {
    let broker = broker().await;
    send(&broker, &["T", "old", "-q"], "").await.expect_code(0);
    let now = tail(&broker, &["T", "--from", "end", "--until", "now"]).await.expect_code(0);
    assert_eq!(now.stdout, "");
    let mut child =
        posthaste_at(broker.name_server(), &["tail", "T", "--from", "end", "-C", "1", "-v"])
            .spawn()
            .unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap()).lines();
    while !next_line(&mut talk).await.expect("it says that it is reading").contains("following") {}
    send(&broker, &["T", "new", "-q"], "").await.expect_code(0);
    let run = finish(child).await.expect_code(0);
    assert!(run.stdout.contains("new") && !run.stdout.contains("old"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_when_its_reader_does() {
    let broker = broker().await;
    let lines: String = (0..5_000).map(|n| format!("{n}\n")).collect();
    send(&broker, &["T", "-q"], lines).await.expect_code(0);
    let mut child = posthaste_at(broker.name_server(), &["tail", "T"]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    next_line(&mut stdout).await.unwrap();
    drop(stdout);
    // A message that lands makes it write, and so notice.
    send(&broker, &["T", "more", "-q"], "").await.expect_code(0);
    let run = finish(child).await.expect_code(0);
    assert_eq!(run.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_moves_no_groups_offset() {
    let broker = broker().await;
    send(&broker, &["T", "-q"], "1\n2\n").await.expect_code(0);
    for _ in 0..2 {
        assert_eq!(landed_bodies(&broker, "T").await, ["1", "2"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_from_one_cluster_to_another() {
    let first = posthaste_broker::Broker::builder().topic("T", 2).start().await.unwrap();
    let second = broker().await;
    let mut tail =
        posthaste_at(first.name_server(), &["tail", "T", "-o", "json", "-C", "2"]).spawn().unwrap();
    let mut send_on =
        posthaste_at(second.name_server(), &["send", "T", "--json", "-q"]).spawn().unwrap();
    let (mut from, mut to) = (tail.stdout.take().unwrap(), send_on.stdin.take().unwrap());
    send(&first, &["T", "-q"], "1\n2\n").await.expect_code(0);
    tokio::io::copy(&mut from, &mut to).await.unwrap();
    to.shutdown().await.unwrap();
    drop(to);
    finish(tail).await.expect_code(0);
    finish(send_on).await.expect_code(0);
    assert_eq!(landed_bodies(&second, "T").await, ["1", "2"]);
}
