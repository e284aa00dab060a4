//! Signals, and a broker that goes away.

use std::process::Stdio;

use posthaste_broker::Broker;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr};

use crate::shell::{
    PATIENCE, Run, broker, finish, is_hangup_heard, json_lines, landed_bodies, next_line,
    posthaste_at, send, signal, until_landed,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_a_stream_with_130_and_what_was_sent_is_stored() {
    let broker = broker().await;
    let signals = ["INT", "TERM", "HUP"].into_iter();
    for name in signals.filter(|name| *name != "HUP" || is_hangup_heard()) {
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

/// Takes sends and never answers. Gives the flag that leads there, and the socket that listens.
async fn silent_in_place_of(broker: &Broker) -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("{}={}", broker.address(), listener.local_addr().unwrap()), listener)
}

/// Waits until a send has arrived; keeps the connection.
async fn a_send_arrives(listener: &TcpListener) -> TcpStream {
    let arrives = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut arrived = Vec::new();
        // One message, or a batch of them.
        while !["310", "320"]
            .iter()
            .any(|code| String::from_utf8_lossy(&arrived).contains(&format!("\"code\":{code}")))
        {
            socket.read_buf(&mut arrived).await.unwrap();
        }
        socket
    };
    tokio::time::timeout(PATIENCE, arrives).await.expect("no send arrives")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_at_an_interrupt_is_accounted_for() {
    let broker = broker().await;
    let (map, silent) = silent_in_place_of(&broker).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("undelivered.jsonl");
    // It has left, and the interrupt has come, long before.
    let flags = ["send", "T", "--timeout", "5s", "--broker-map", &map];
    let flags = [&flags[..], &["--failed-to", file.to_str().unwrap()]].concat();
    let mut child = posthaste_at(broker.name_server(), &flags).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"1\n").await.unwrap();
    let _socket = a_send_arrives(&silent).await;
    signal(&child, "INT").await;
    let run = finish(child).await.expect_code(130);
    assert!(run.stderr.contains("0 stored, 1 failed (1 unknown)"), "{}", run.stderr);
    let undelivered = json_lines(&std::fs::read_to_string(&file).unwrap());
    assert_eq!((undelivered[0]["body"].as_str(), undelivered.len()), (Some("1"), 1));
    drop(stdin);
}

/// Reads stderr up to where it says that the interrupt was heard.
async fn heard(stderr: &mut Lines<BufReader<ChildStderr>>) {
    while !next_line(stderr).await.unwrap().starts_with("interrupted: waiting") {}
}

/// Everything else on stderr, and how the program ended.
async fn rest(child: Child, mut stderr: Lines<BufReader<ChildStderr>>) -> Run {
    let mut said = String::new();
    while let Some(line) = next_line(&mut stderr).await {
        said += &line;
        said.push('\n');
    }
    Run { stderr: said, ..finish(child).await }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_second_interrupt_each_message_is_in_the_file_and_in_the_counts() {
    // Longer than any test waits: only the second interrupt ends the run.
    const DEADLINE: &str = "1h";
    const LINES: usize = 40;
    let broker = broker().await;
    let (map, silent) = silent_in_place_of(&broker).await;
    // Takes connections, as sockets that listen do, and nothing else.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (known, unknown) = (broker.name_server(), nobody.local_addr().unwrap());
    for (what, name_server) in [("no answer", known), ("no route", unknown)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("undelivered.jsonl");
        let flags = ["send", "T", "--timeout", DEADLINE, "--broker-map", &map];
        let flags = [&flags[..], &["-o", "json", "--failed-to", file.to_str().unwrap()]].concat();
        let mut child = posthaste_at(name_server, &flags).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let lines: String = (1..=LINES).map(|n| format!("{n}\n")).collect();
        stdin.write_all(lines.as_bytes()).await.unwrap();
        let _socket = match what {
            "no answer" => a_send_arrives(&silent).await,
            _ => nobody.accept().await.unwrap().0,
        };
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        signal(&child, "INT").await;
        heard(&mut stderr).await;
        signal(&child, "INT").await;
        let run = rest(child, stderr).await.expect_code(130);
        let undelivered = json_lines(&std::fs::read_to_string(&file).unwrap());
        // As many as may be on their way before the broker has shown how fast it is.
        assert_eq!(undelivered.len(), 16, "{what}: {}", run.stderr);
        let with =
            |outcome| undelivered.iter().filter(|line| line["error"]["outcome"] == outcome).count();
        let counts = match what {
            // What had been written may have been stored.
            "no answer" if with("not_stored") == 0 => format!("{} unknown", with("unknown")),
            "no answer" => {
                format!("{} not_stored, {} unknown", with("not_stored"), with("unknown"))
            }
            _ => "16 not_stored".to_owned(),
        };
        assert!(with("unknown") > 0 || what == "no route");
        let summary = format!("0 stored, 16 failed ({counts})");
        assert!(run.stderr.contains(&summary), "{what}: {summary}: {}", run.stderr);
        assert!(run.stderr.contains("stopped after line 16"), "{what}: {}", run.stderr);
        assert_eq!(run.json().len(), 16, "{what}: each has its line on stdout");
        drop(stdin);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waits_for_room_hears_the_second_interrupt() {
    let broker = broker().await;
    let (map, silent) = silent_in_place_of(&broker).await;
    let args = ["send", "T", "--timeout", "1h", "-z", "none", "--broker-map", &map];
    let mut child = posthaste_at(broker.name_server(), &args).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Together more than the producer takes in at a time.
    let lines = format!("{}\n", "x".repeat(4_000_000)).repeat(10);
    let writing = tokio::spawn(async move { stdin.write_all(lines.as_bytes()).await });
    let _socket = a_send_arrives(&silent).await;
    writing.await.unwrap().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    signal(&child, "TERM").await;
    heard(&mut stderr).await;
    signal(&child, "TERM").await;
    let run = rest(child, stderr).await.expect_code(130);
    assert!(run.stderr.contains("0 stored, "), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_interrupt_ends_a_program_that_is_stuck() {
    let broker = broker().await;
    let mut child = posthaste_at(broker.name_server(), &["send", "T", "--tee"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Nothing reads stdout, and the pipe is full with the first body.
    let stdout = child.stdout.take();
    let line = format!("{}\n", "x".repeat(1 << 20));
    stdin.write_all(line.as_bytes()).await.unwrap();
    until_landed(&broker, "T", 1).await;
    let interrupts = async {
        while child.try_wait().unwrap().is_none() {
            signal(&child, "INT").await;
            // Two that come at once may be taken for one.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, interrupts).await.expect("it does not end");
    finish(child).await.expect_code(130);
    drop((stdin, stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nohup_started_outlives_its_terminal() {
    let broker = broker().await;
    let mut command = tokio::process::Command::new("sh");
    let script = format!("trap '' HUP; exec {} send T", env!("CARGO_BIN_EXE_posthaste"));
    command.args(["-c", &script]).env("NAMESRV_ADDR", broker.name_server().to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut receipts = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in ["1\n", "2\n"] {
        stdin.write_all(line.as_bytes()).await.unwrap();
        assert!(next_line(&mut receipts).await.unwrap().starts_with("stored"));
        signal(&child, "HUP").await;
    }
    drop(stdin);
    finish(child).await.expect_code(0);
    assert_eq!(landed_bodies(&broker, "T").await, ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_in_the_stream_leaves_an_exact_account() {
    let first = broker().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("undelivered.jsonl");
    let flags =
        ["send", "T", "-o", "json", "--timeout", "5s", "--failed-to", file.to_str().unwrap()];
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
    // Every line that was read is reported once: stored, or failed and in the file.
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
