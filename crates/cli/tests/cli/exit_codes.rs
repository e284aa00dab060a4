//! The table of exit codes, a row at a time, and what is said with each.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Stdio;

use posthaste_broker::Broker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::shell::{Run, broker, finish, landed_bodies, posthaste, posthaste_at, run, send};

/// A name server that answers whatever comes with these bytes, and then waits.
async fn answers_with(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(1..) = socket.read(&mut buffer).await {
                    let _ = socket.write_all(bytes).await;
                }
            });
        }
    });
    address
}

async fn send_to(name_server: SocketAddr) -> Run {
    run(posthaste_at(name_server, &["send", "T", "hi", "--timeout", "1s"]), "").await
}

fn assert_explains(run: &Run) {
    // A note may stand before it: that the command still tries.
    assert!(run.stderr.lines().any(|line| line.starts_with("error: ")), "{}", run.stderr);
    assert!(run.stderr.contains("not stored."), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

/// One table for all commands: 5 for the rules for topics, wherever they are broken, and 4 wherever
/// something was stored and something not.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_has_one_meaning() {
    let settings = Broker::builder().auto_create_topics(false).topic("T", 4);
    let broker = settings.start().await.unwrap();
    let taken = broker.name_server().port().to_string();
    let send_json: &[&str] = &["send", "T", "--json", "--on-error", "continue"];
    let stopping: &[&str] = &["send", "T", "--json"];
    let (good, bad) = ("{\"body\":\"a\"}\n", "{\"bodie\":\"a\"}\n");
    let large = format!("a\n{}\n", "x".repeat(5 << 20));
    let rows: [(i32, &[&str], String); 21] = [
        (0, send_json, good.repeat(2)),
        (0, send_json, String::new()),
        (0, &["topic", "create", "T", "--queues", "4", "--if-not-exists"], String::new()),
        (1, &["dev", "--namesrv-port", &taken, "--port", "0"], String::new()),
        (2, send_json, bad.to_owned()),
        (2, stopping, bad.to_owned()),
        (2, &["send", "T", ""], String::new()),
        (2, &["send", "T", "x", "--rate", "fast"], String::new()),
        (2, &["-n", "", "topic", "list"], String::new()),
        (3, &["send", "Typo", "x"], String::new()),
        (3, &["send", "T", "x", "--queue", "nope:0", "--timeout", "200ms"], String::new()),
        (3, &["tail", "Typo", "--until", "now"], String::new()),
        (3, &["topic", "update", "Typo", "--queues", "4"], String::new()),
        (4, send_json, format!("{good}{bad}{good}")),
        (4, stopping, format!("{good}{bad}{good}")),
        (4, &["send", "T", "--on-error", "continue"], large),
        (5, &["send", "TBW102", "x"], String::new()),
        (5, &["send", "bad topic", "x"], String::new()),
        (5, &["bench", "send", "--topic", "SELF_TEST_TOPIC", "--count", "1"], String::new()),
        (5, &["topic", "create", "TBW102"], String::new()),
        (5, &["topic", "create", "T"], String::new()),
    ];
    for (code, args, stdin) in rows {
        let run = run(posthaste_at(broker.name_server(), args), stdin).await;
        assert_eq!(run.code, code, "{args:?}: {}", run.stderr);
        assert!(code == 0 || run.stderr.contains("error: "), "{args:?}: {}", run.stderr);
    }
    for help in [&["--help"][..], &["send", "--help"]] {
        let help = run(posthaste(help), "").await.expect_code(0).stdout;
        for code in ["0  ", "1  ", "2  ", "3  ", "4  ", "5  ", "130"] {
            assert!(help.contains(&format!("\n  {code}  ")), "{code}: {help}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_when_there_is_nothing_to_send() {
    let nowhere = run(posthaste(&["-n", "127.0.0.1:1", "send", "T"]), "").await.expect_code(0);
    assert_eq!(nowhere.stderr, "nothing to send\n");
    assert_eq!(nowhere.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_when_the_deadline_passed_and_nothing_was_stored() {
    // A broker that reads nothing would leave the outcome unknown. One that refuses does not.
    let run = send_to(answers_with(b"").await).await;
    assert!(matches!(run.code, 1 | 3), "{run:?}");
    assert_explains(&run);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_for_usage_and_configuration() {
    for args in [
        &["send"][..],
        &["send", "T", "--no-such-flag"],
        &["send", "T", "x", "--json", "-F", "y"],
        &["send", "T", "--rate", "fast"],
        &["send", "T", "hi", "-n", "http://localhost"],
        &["send", "T", "hi", "-n", "localhost:port"],
        &["send", "T", "-l", "/no/such/file"],
        &["send", "T", "-F", "/no/such/file"],
        &["send", "T", "hi", "--failed-to", "/no/such/folder/file"],
        &["topic"],
        &[],
    ] {
        let run = run(posthaste(args), "").await.expect_code(2);
        assert_ne!(run.stderr, "", "{args:?}");
        assert_eq!(run.stdout, "", "{args:?}");
    }
    let mut command = posthaste(&["send", "T", "hi"]);
    command.env("NAMESRV_ADDR", "what is this");
    assert!(run(command, "").await.expect_code(2).stderr.contains("NAMESRV_ADDR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_for_a_bad_line_before_anything_was_stored() {
    let broker = broker().await;
    let run =
        send(&broker, &["T", "--json"], "\nnonsense\n{\"body\":\"a\"}\n").await.expect_code(2);
    assert!(run.stderr.contains("error: line 2: "), "{}", run.stderr);
    assert!(
        run.stderr.contains("stopped after line 2; nothing behind it was sent"),
        "{}",
        run.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn four_for_a_bad_line_among_stored_ones_with_its_number() {
    let broker = broker().await;
    let lines = "{\"body\":\"a\"}\n\n{\"body\":\"b\"}\nnonsense\n{\"body\":\"c\"}\n";
    let stopped = send(&broker, &["Stop", "--json"], lines).await.expect_code(4);
    assert!(stopped.stderr.contains("error: line 4: "), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("stopped after line 4"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("2 stored, 1 failed (1 bad input)"), "{}", stopped.stderr);
    assert_eq!(landed_bodies(&broker, "Stop").await, ["a", "b"]);
    let went_on =
        send(&broker, &["GoOn", "--json", "--on-error", "continue"], lines).await.expect_code(4);
    assert!(went_on.stderr.contains("error: line 4: "), "{}", went_on.stderr);
    assert_eq!(landed_bodies(&broker, "GoOn").await, ["a", "b", "c"]);
    let json = send(&broker, &["Json", "--json", "-o", "json"], lines).await.expect_code(4).json();
    assert_eq!(json.len(), 3);
    assert_eq!(json[2]["line"], 4);
    assert_eq!(json[2]["error"]["kind"], "bad_input");
}

/// The first file was sent before the second was found missing.
#[tokio::test(flavor = "multi_thread")]
async fn two_for_a_missing_file_before_any_is_sent() {
    let broker = broker().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, "a").unwrap();
    let (file, folder) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
    for (missing, why) in [("/no/such/file", "No such file"), (folder, "is a directory")] {
        let run = send(&broker, &["T", "-F", file, "-F", missing], "").await.expect_code(2);
        let error = run.stderr.lines().next().unwrap();
        assert!(error.starts_with(&format!("error: {missing}: {why}")), "{}", run.stderr);
        assert!(run.stderr.contains("Nothing was sent."), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    let on = ["T", "--on-error", "continue", "-F", "/no/such/file", "-F", file];
    let run = send(&broker, &on, "").await.expect_code(4);
    assert!(run.stderr.contains("error: file 1: /no/such/file: No such file"), "{}", run.stderr);
    assert_eq!(landed_bodies(&broker, "T").await, ["a"]);
}

/// It can be opened, and not be read: that is seen only when its turn comes.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn four_for_a_file_that_cannot_be_read_among_stored_ones() {
    let broker = broker().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, "a").unwrap();
    let file = file.to_str().unwrap();
    let files = ["T", "-F", file, "-F", "/proc/self/mem", "-F", file];
    let run = send(&broker, &files, "").await.expect_code(4);
    assert!(run.stderr.contains("stopped after file 2"), "{}", run.stderr);
    assert_eq!(landed_bodies(&broker, "T").await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_for_a_stdin_that_cannot_be_read() {
    let broker = broker().await;
    let mut command = posthaste_at(broker.name_server(), &["send", "T"]);
    command.stdin(Stdio::from(File::open("/").unwrap()));
    let run = finish(command.spawn().unwrap()).await.expect_code(2);
    assert!(run.stderr.contains("cannot read stdin"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_for_bodies_that_no_broker_takes() {
    let broker = broker().await;
    let empty = send(&broker, &["T", ""], "").await.expect_code(2);
    assert!(empty.stderr.contains("empty"), "{}", empty.stderr);
    assert_explains(&empty);
    let large = send(&broker, &["T"], vec![b'x'; 5 << 20]).await.expect_code(2);
    assert!(large.stderr.contains("5242880"), "{}", large.stderr);
    let endless = send(&broker, &["T"], vec![b'x'; 40 << 20]).await.expect_code(2);
    assert!(endless.stderr.contains("longer than 32 MiB"), "{}", endless.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_when_there_is_no_name_server() {
    let run = send_to(closed_port().await).await.expect_code(3);
    assert_explains(&run);
    assert!(run.stderr.contains("posthaste dev"), "{}", run.stderr);
}

/// A port that nothing listens on.
async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_when_something_else_answers() {
    let http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let tls_alert = b"\x15\x03\x01\x00\x02\x02\x46";
    let garbage = b"\x00\x00\x00\x10\x00\x00\x00\x0c{not json at";
    for bytes in [&http[..], tls_alert, garbage] {
        assert_explains(&send_to(answers_with(bytes).await).await.expect_code(3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_when_the_topic_does_not_exist() {
    let broker = Broker::builder().auto_create_topics(false).start().await.unwrap();
    let run = send(&broker, &["Typo", "hi"], "").await.expect_code(3);
    assert_explains(&run);
    assert!(run.stderr.contains("posthaste topic create Typo --queues 8"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_when_the_broker_cannot_be_reached() {
    let broker = broker().await;
    let elsewhere = closed_port().await.to_string();
    let map = format!("{}={elsewhere}", broker.address());
    let run = send(&broker, &["T", "hi", "--timeout", "1s", "--broker-map", &map], "")
        .await
        .expect_code(3);
    assert_explains(&run);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_when_some_were_stored_and_some_not() {
    let broker = broker().await;
    let input = format!("small\n{}\nsmall\n", "x".repeat(5 << 20));
    let run = send(&broker, &["T", "--on-error", "continue"], &input).await.expect_code(4);
    assert!(run.stderr.contains("error: line 2: "), "{}", run.stderr);
    assert!(run.stderr.contains("2 stored, 1 failed (1 not_stored)"), "{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 2);
    let quiet = send(&broker, &["T", "-q", "--on-error", "continue"], &input).await.expect_code(4);
    assert!(quiet.stderr.contains("2 stored, 1 failed (1 not_stored)"), "{}", quiet.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_when_the_outcome_is_unknown() {
    // Takes the send and never answers: it stays unknown whether it was stored.
    let broker = broker().await;
    let silent = answers_with(b"").await;
    let map = format!("{}={silent}", broker.address());
    let run = send(&broker, &["T", "hi", "--timeout", "3s", "--broker-map", &map], "")
        .await
        .expect_code(4);
    assert!(run.stderr.contains("unknown: it may have been stored"), "{}", run.stderr);
    assert!(run.stderr.contains("0 stored, 1 failed (1 unknown)"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_for_a_topic_that_breaks_the_rules() {
    let too_long = "x".repeat(128);
    for topic in ["a/b", "", "a b", "ä", &too_long] {
        let run =
            run(posthaste(&["-n", "127.0.0.1:1", "send", topic, "hi"]), "").await.expect_code(5);
        assert!(run.stderr.contains("is not a valid topic name"), "{}", run.stderr);
    }
    let json = run(posthaste(&["send", "a/b", "hi", "-o", "json"]), "").await.expect_code(5).json();
    assert_eq!(
        (json[0]["_cmd"].as_str(), json[0]["error"]["kind"].as_str()),
        (Some("send"), Some("invalid"))
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn one_and_no_panic_when_the_program_may_open_no_files() {
    let broker = broker().await;
    let binary = env!("CARGO_BIN_EXE_posthaste");
    for limit in 4..=20 {
        let mut command = tokio::process::Command::new("sh");
        let script = format!("ulimit -n {limit} && exec {binary} send T x");
        command.args(["-c", &script]).env("NAMESRV_ADDR", broker.name_server().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = run(command, "").await;
        assert!(!run.stderr.contains("panicked"), "{limit}: {}", run.stderr);
        assert!(matches!(run.code, 0..=4), "{limit}: {run:?}");
        assert!(limit > 6 || run.stderr.contains("ulimit -n"), "{limit}: {}", run.stderr);
    }
}
