//! Messages by their ids and by their keys.

use posthaste_broker::Broker;
use serde_json::Value;

use crate::shell::{Run, broker, landed, posthaste, posthaste_at, run, send};

async fn msg(broker: &Broker, args: &[&str]) -> Run {
    let args: Vec<&str> = ["msg"].iter().chain(args).copied().collect();
    run(posthaste_at(broker.name_server(), &args), "").await
}

/// Sends one message, and gives its receipt.
async fn sent(broker: &Broker, args: &[&str]) -> Value {
    let args = [args, &["-o", "json"]].concat();
    send(broker, &args, "").await.expect_code(0).json().remove(0)
}

fn without_command(mut line: Value) -> Value {
    line.as_object_mut().unwrap().remove("_cmd");
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_shown_by_either_id() {
    let broker = broker().await;
    let args = ["T", "two\nlines", "--tag", "t", "-k", "a", "-k", "b", "-H", "x=1"];
    let receipt = sent(&broker, &args).await;
    sent(&broker, &["T", "other"]).await;
    let unique = receipt["msg_id"].as_str().unwrap();
    let offset = receipt["offset_msg_id"].as_str().unwrap();
    let mut tailed = landed(&broker, "T").await;
    tailed.retain(|line| line["msg_id"] == unique);
    let tailed = without_command(tailed.remove(0));
    for args in [&[unique, "--topic", "T"][..], &[offset], &[offset, "--topic", "T"]] {
        let got = msg(&broker, &[&["get", "-o", "json"], args].concat()).await.expect_code(0);
        let [line] = &got.json()[..] else { panic!("{}", got.stdout) };
        assert_eq!(line["_cmd"], "msg get");
        assert_eq!(without_command(line.clone()), tailed, "{args:?}");

        let text = msg(&broker, &[&["get"], args].concat()).await.expect_code(0).stdout;
        let place = format!("T  broker=dev queue={} offset=0\n", receipt["queue"]);
        assert!(text.starts_with(&place), "{text}");
        for part in [unique, offset, "  tag            t\n", "  keys           a b\n", "x=1\n"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.ends_with("  body           9 bytes\ntwo\\nlines\n"), "{text}");
    }
    let body = msg(&broker, &["get", offset, "--body", "-o", "json"]).await.expect_code(0);
    assert_eq!(body.stdout, "two\nlines");
    // What was looked at can be sent again.
    let got = msg(&broker, &["get", offset, "-o", "json"]).await.expect_code(0);
    send(&broker, &["again", "--json"], &got.stdout).await.expect_code(0);
    assert_eq!(landed(&broker, "again").await[0]["body"], "two\nlines");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_there_is_said_to_be_missing() {
    let broker = broker().await;
    let receipt = sent(&broker, &["T", "x"]).await;
    sent(&broker, &["U", "x"]).await;
    let unique = receipt["msg_id"].as_str().unwrap();
    let offset = receipt["offset_msg_id"].as_str().unwrap();
    let later = format!("{}{:016X}", &offset[..16], 1_u64 << 40);
    for (args, code, words) in [
        (&["get", unique][..], 2, &["is not an offset_msg_id", "--topic TOPIC"][..]),
        (&["get", &later], 1, &["no broker has a message", "--topic TOPIC"]),
        (&["get", &later, "--topic", "T"], 1, &["topic T has no message"]),
        (&["get", unique, "--topic", "U"], 1, &["topic U has no message"]),
        (&["get", offset, "--topic", "U"], 1, &["topic U has no message"]),
        (&["get", "order-42"], 2, &["is not an offset_msg_id", "--topic TOPIC"]),
        (&["get", "", "--topic", "T"], 2, &["a value is required"]),
        (&["get", unique, "--topic", "Typo"], 3, &["no such topic: Typo"]),
        (&["get", unique, "--topic", "a b"], 5, &["not a valid topic name"]),
        (&["find", "T", "--key", "k"], 1, &["topic T has no such message with the key \"k\""]),
        (&["find", "T", "--key", "a b"], 2, &["cannot be a key"]),
        (&["find", "T"], 2, &["--key <KEY>"]),
        (&["find", "Typo", "--key", "k"], 3, &["no such topic: Typo"]),
        (&["find", "T", "--key", "k", "--since", "soon"], 2, &["`soon` is no time", "1h30m"]),
        (
            &["find", "T", "--key", "k", "--since", "1h", "--until", "2h"],
            2,
            &["--until is", "which is earlier"],
        ),
    ] {
        let run = msg(&broker, args).await;
        for word in words {
            assert!(run.stderr.contains(word), "{args:?}: {}", run.stderr);
        }
        assert_eq!(run.expect_code(code).stdout, "", "{args:?}");
    }
    let json = msg(&broker, &["get", &later, "-o", "json"]).await.expect_code(1).json();
    assert_eq!(
        (&json[0]["_cmd"], &json[0]["error"]["kind"]),
        (&"msg get".into(), &"not_found".into())
    );
    let args = ["-n", "127.0.0.1:1", "--timeout", "300ms", "msg", "get", offset];
    run(posthaste(&args), "").await.expect_code(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_by_key_time_and_tag() {
    let broker = broker().await;
    send(&broker, &["T", "-q", "-K", ":", "--tag", "red"], "k:1\nother:2\n").await.expect_code(0);
    send(&broker, &["T", "-q", "-K", ":", "--tag", "blue"], "k:3\n").await.expect_code(0);
    let mut tailed = landed(&broker, "T").await;
    tailed.retain(|line| line["keys"][0] == "k");
    tailed.sort_by_key(|line| line["body"].to_string());
    let at = |n: usize| tailed[n]["stored_ms"].to_string();
    let (first, last) = (at(0), at(1));
    for (flags, expected) in [
        (&[][..], &["1", "3"][..]),
        (&["--tag", "blue"], &["3"]),
        (&["--since", "1h"], &["1", "3"]),
        (&["--since", &first, "--until", "now"], &["1", "3"]),
        (&["--since", "2020-01-01", "--until", &last, "--tag", "red"], &["1"]),
    ] {
        let args = [&["find", "T", "--key", "k", "-o", "json"], flags].concat();
        let found = msg(&broker, &args).await.expect_code(0).json();
        let bodies: Vec<&str> = found.iter().map(|line| line["body"].as_str().unwrap()).collect();
        assert_eq!(bodies, expected, "{flags:?}");
        assert_eq!(found[0]["_cmd"], "msg find");
        let of = |line: &Value| tailed.iter().find(|one| one["body"] == line["body"]).cloned();
        for line in found {
            assert_eq!(Some(without_command(line.clone())), of(&line).map(without_command));
        }
    }
    for flags in [&["--until", "2020-01-01"][..], &["--tag", "green"]] {
        let args = [&["find", "T", "--key", "k"], flags].concat();
        msg(&broker, &args).await.expect_code(1);
    }
    let text = msg(&broker, &["find", "T", "--key", "k"]).await.expect_code(0).stdout;
    let first = text.lines().next().unwrap();
    assert!(first.contains(tailed[0]["msg_id"].as_str().unwrap()), "{text}");
    assert!(first.ends_with("offset=0  tag=red keys=k  1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_messages_of_a_key_than_a_broker_gives_are_no_secret() {
    let broker = broker().await;
    let bodies: String = (0..65).map(|n| format!("{n}\n")).collect();
    send(&broker, &["T", "-q", "-k", "k"], bodies).await.expect_code(0);
    let found = msg(&broker, &["find", "T", "--key", "k"]).await.expect_code(0);
    assert_eq!(found.stdout.lines().count(), 64);
    assert!(found.stderr.contains("no more than its newest 64 messages"), "{}", found.stderr);
}
