//! A broker that is busy, stalls or falls silent, as the test wants it; and what is said of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use posthaste_broker::Broker;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::shell::{broker, posthaste_at, run, send};

const SEND_MESSAGE_V2: i64 = 310;
const SYSTEM_BUSY: i64 = 2;

/// What the broker does with a send, other than to store it.
#[derive(Clone, Copy)]
enum Script {
    /// Refuses the first, the third, the fifth …
    BusyEveryOther,
    /// Answers the second late.
    StallsOnce(Duration),
    /// Answers this many, and no more.
    FallsSilentAfter(u64),
}

/// Starts it, and says how a command is made to go there instead of to the embedded broker.
async fn in_place_of(broker: &Broker, script: Script) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sends = Arc::new(AtomicU64::new(0));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let sends = Arc::clone(&sends);
            tokio::spawn(async move { while answer(&mut socket, script, &sends).await.is_ok() {} });
        }
    });
    format!("{}={address}", broker.address())
}

/// Answers one request; an error at the end of the connection.
async fn answer(socket: &mut TcpStream, script: Script, sends: &AtomicU64) -> io::Result<()> {
    let mut frame = vec![0; socket.read_u32().await? as usize];
    socket.read_exact(&mut frame).await?;
    // The first four bytes of a frame are the length of its header.
    let length = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
    let request: Value = serde_json::from_slice(&frame[4..4 + length])?;
    let mut code = 0;
    if request["code"] == SEND_MESSAGE_V2 {
        match (script, sends.fetch_add(1, Ordering::Relaxed)) {
            (Script::BusyEveryOther, n) if n % 2 == 0 => code = SYSTEM_BUSY,
            (Script::StallsOnce(time), 1) => tokio::time::sleep(time).await,
            (Script::FallsSilentAfter(count), n) if n >= count => return Ok(()),
            _ => {}
        }
    }
    let header = json!({
        "code": code, "flag": 1, "language": "JAVA", "opaque": request["opaque"], "version": 0,
        "extFields": {"msgId": "7F000001000078BF0000000000000000", "queueId": "0", "queueOffset": "0"},
    })
    .to_string();
    let length = header.len() as u32;
    let mut answer = [(length + 4).to_be_bytes(), length.to_be_bytes()].concat();
    answer.extend_from_slice(header.as_bytes());
    socket.write_all(&answer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn send_says_how_many_requests_were_refused() {
    let broker = broker().await;
    let map = in_place_of(&broker, Script::BusyEveryOther).await;
    let flags = ["T", "--in-flight", "1", "--broker-map", &map];
    let run = send(&broker, &flags, "1\n2\n3\n").await.expect_code(0);
    assert!(run.stderr.contains("3 stored, 0 failed"), "{}", run.stderr);
    assert!(run.stderr.contains("3 requests refused as busy"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_counts_what_was_refused_while_it_measured() {
    let broker = broker().await;
    let map = in_place_of(&broker, Script::BusyEveryOther).await;
    let args = ["bench", "latency", "--count", "4", "--broker-map", &map, "-o", "json"];
    let fail_if = ["--fail-if", "busy>3", "--fail-if", "busy>4"];
    let command = posthaste_at(broker.name_server(), &[&args[..], &fail_if].concat());
    let run = run(command, "").await.expect_code(1);
    let report = &run.json()[0];
    assert_eq!(report["outcomes"]["stored"], 4);
    // The message that goes ahead was refused too, and is not in the figures.
    assert_eq!(report["totals"]["busy"], 4, "{report}");
    assert_eq!(report["failed_conditions"], json!(["busy>3: busy is 4"]));
    assert!(run.stderr.contains("4 requests refused, and sent again"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_rate_what_a_stall_keeps_waiting_is_in_the_latency() {
    let broker = broker().await;
    let map = in_place_of(&broker, Script::StallsOnce(Duration::from_millis(400))).await;
    let args = ["bench", "send", "--count", "10", "--in-flight", "1", "--rate", "100/s"];
    let args = [&args[..], &["-o", "json", "--broker-map", &map]].concat();
    let run = run(posthaste_at(broker.name_server(), &args), "").await.expect_code(0);
    let latency = &run.json()[0]["latency_us"];
    // All ten are due within 90 ms, and nine of them have to wait for the first. Were latency
    // counted from when they begin, only that one would show it.
    assert!(latency["p50"].as_u64().unwrap() > 300_000, "{latency}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_exits_with_4_when_some_were_stored_and_some_are_unknown() {
    let broker = broker().await;
    for (condition, code) in [("errors>3", 4), ("unknown>=3", 1)] {
        let map = in_place_of(&broker, Script::FallsSilentAfter(3)).await;
        let args = ["bench", "send", "--count", "5", "--in-flight", "1", "--timeout", "2s"];
        let flags = ["-q", "-o", "json", "--broker-map", &map, "--fail-if", condition];
        let command = posthaste_at(broker.name_server(), &[&args[..], &flags].concat());
        let run = run(command, "").await.expect_code(code);
        let report = &run.json()[0];
        // One went ahead, two were answered.
        let outcomes = json!({"stored": 2, "handed_over": 0, "not_stored": 0, "unknown": 3});
        assert_eq!(report["outcomes"], outcomes);
        assert_eq!(report["totals"]["errors"], 3);
        let kinds = report["errors"].as_object().unwrap().values();
        assert_eq!(kinds.map(|count| count.as_u64().unwrap()).sum::<u64>(), 3, "{report}");
        for told in ["errors        0 not_stored, 3 unknown: ", "unknown: it may have been stored"]
        {
            assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
        }
    }
}
