//! Signals, and a broker that goes away.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::shell::{
    broker, finish, json_lines, landed_bodies, next_line, posthaste_at, send, signal,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_a_stream_with_130_and_what_was_sent_is_stored() {
    let broker = broker().await;
    for name in ["INT", "TERM"] {
        let mut child = posthaste_at(broker.name_server(), &["send", name]).spawn().unwrap();
        // Kept open: only the signal ends the stream.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"1\n2\n").await.unwrap();
        let mut receipts = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..2 {
            assert!(next_line(&mut receipts).await.unwrap().starts_with("stored"));
        }
        signal(&child, name).await;
        let run = finish(child).await.expect_code(130);
        assert!(run.stderr.contains("2 stored, 0 failed"), "{}", run.stderr);
        assert!(run.stderr.contains("stopped after line 2"), "{}", run.stderr);
        assert_eq!(landed_bodies(&broker, name).await, ["1", "2"]);
        drop(stdin);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_at_an_interrupt_is_accounted_for() {
    // Takes the send and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = broker().await;
    let map = format!("{}={}", broker.address(), listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("undelivered.jsonl");
    let flags = [
        "send",
        "T",
        "--timeout",
        "1s",
        "--broker-map",
        &map,
        "--failed-to",
        file.to_str().unwrap(),
    ];
    let mut child = posthaste_at(broker.name_server(), &flags).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"1\n").await.unwrap();
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut arrived = Vec::new();
    while !String::from_utf8_lossy(&arrived).contains("\"code\":310") {
        socket.read_buf(&mut arrived).await.unwrap();
    }
    signal(&child, "INT").await;
    let run = finish(child).await.expect_code(130);
    assert!(run.stderr.contains("0 stored, 1 failed (1 unknown)"), "{}", run.stderr);
    let undelivered = json_lines(&std::fs::read_to_string(&file).unwrap());
    assert_eq!((undelivered[0]["body"].as_str(), undelivered.len()), (Some("1"), 1));
    drop(stdin);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_in_the_stream_leaves_an_exact_account() {
    let first = broker().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("undelivered.jsonl");
    let flags =
        ["send", "T", "-o", "json", "--timeout", "1s", "--failed-to", file.to_str().unwrap()];
    let mut child = posthaste_at(first.name_server(), &flags).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = tokio::spawn(async move {
        let mut n = 0_u64;
        while stdin.write_all(format!("{n}\n").as_bytes()).await.is_ok() {
            n += 1;
        }
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stdout = Vec::new();
    for _ in 0..500 {
        stdout.push(next_line(&mut lines).await.unwrap());
    }
    first.stop().await;
    while let Some(line) = next_line(&mut lines).await {
        stdout.push(line);
    }
    let run = finish(child).await.expect_code(4);
    writer.abort();
    let told = json_lines(&stdout.join("\n"));
    let (failed, stored): (Vec<_>, Vec<_>) =
        told.iter().partition(|line| line["error"].is_object());
    let undelivered = json_lines(&std::fs::read_to_string(&file).unwrap());
    assert!(!failed.is_empty() && stored.len() >= 500);
    // Every line that was read is told once: stored, or failed and in the file.
    assert_eq!(failed.len(), undelivered.len(), "{}", run.stderr);
    let stopped: u64 = run
        .stderr
        .split("stopped after line ")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .replace(',', "")
        .parse()
        .unwrap();
    assert_eq!(told.len() as u64, stopped, "{}", run.stderr);
    for line in &undelivered {
        assert_eq!(line["body"], (line["line"].as_u64().unwrap() - 1).to_string());
        assert!(matches!(line["error"]["outcome"].as_str(), Some("unknown" | "not_stored")));
    }
    // And the list can be sent again as it is.
    let second = broker().await;
    let again = std::fs::read(&file).unwrap();
    send(&second, &["T", "--json", "-q"], again).await.expect_code(0);
    let mut expected: Vec<String> =
        undelivered.iter().map(|line| line["body"].as_str().unwrap().to_owned()).collect();
    expected.sort_unstable();
    assert_eq!(landed_bodies(&second, "T").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn undelivered_messages_keep_everything_that_belongs_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("undelivered.jsonl");
    let flags = [
        "-n",
        "127.0.0.1:1",
        "--timeout",
        "300ms",
        "send",
        "T",
        "--tag",
        "t",
        "-H",
        "a=1",
        "-K",
        ":",
        "--ordered-by",
        "key",
        "--on-error",
        "continue",
        "--failed-to",
        file.to_str().unwrap(),
    ];
    crate::shell::run(crate::shell::posthaste(&flags), b"k1:one\nk2:\xff\n").await.expect_code(3);
    let broker = broker().await;
    send(&broker, &["T", "--json", "-q"], std::fs::read(&file).unwrap()).await.expect_code(0);
    let mut landed = crate::shell::landed(&broker, "T").await;
    landed.sort_by_key(|line| line["keys"][0].as_str().unwrap().to_owned());
    assert_eq!(
        (landed[0]["body"].as_str(), landed[1]["body_b64"].as_str()),
        (Some("one"), Some("/w=="))
    );
    for (line, key) in landed.iter().zip(["k1", "k2"]) {
        assert_eq!(
            (line["tag"].as_str(), line["properties"]["a"].as_str()),
            (Some("t"), Some("1"))
        );
        assert_eq!(line["ordered_by"], key);
    }
    // A list of undelivered messages is never overwritten, least of all while it is being read.
    let again =
        send(&broker, &["T", "x", "--failed-to", file.to_str().unwrap()], "").await.expect_code(2);
    assert!(again.stderr.contains("not empty"), "{}", again.stderr);
}
