//! What `send` writes for what it reads.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use posthaste::Producer;
use serde_json::json;

use crate::shell::{
    PATIENCE, broker, json_lines, landed, landed_bodies, posthaste, posthaste_at, run, send,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_a_message_and_a_receipt() {
    let broker = broker().await;
    let run = send(&broker, &["Orders", "--tag", "created", "-k", "order-42"], "hello\n")
        .await
        .expect_code(0);
    let words: Vec<&str> = run.stdout.split_whitespace().collect();
    assert_eq!(words[..3], ["stored", "Orders", "broker=dev"], "{}", run.stdout);
    assert!(words[3].starts_with("queue=") && words[4] == "offset=0", "{}", run.stdout);
    assert_eq!(words[5].len(), 32, "{}", run.stdout);
    assert_eq!(run.stderr, "", "one message needs no summary");
    let landed = landed(&broker, "Orders").await;
    assert_eq!(landed.len(), 1);
    assert_eq!(landed[0]["body"], "hello");
    assert_eq!(landed[0]["keys"], json!(["order-42"]));
    assert_eq!(landed[0]["tag"], "created");
    assert_eq!(landed[0]["msg_id"], words[5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_as_json() {
    let broker = broker().await;
    let run =
        send(&broker, &["Orders", "hi", "--tag", "t", "-k", "a", "-k", "b", "-o", "json"], "")
            .await
            .expect_code(0);
    let [line] = &run.json()[..] else { panic!("{}", run.stdout) };
    let mut fields: Vec<&String> = line.as_object().unwrap().keys().collect();
    fields.sort_unstable();
    let expected = [
        "_cmd",
        "_v",
        "broker",
        "keys",
        "ms",
        "msg_id",
        "offset",
        "offset_msg_id",
        "queue",
        "status",
        "tag",
        "topic",
    ];
    assert_eq!(fields, expected);
    assert_eq!((&line["_cmd"], &line["_v"]), (&json!("send"), &json!(1)));
    assert_eq!(
        (&line["topic"], &line["broker"], &line["offset"]),
        (&json!("Orders"), &json!("dev"), &json!(0))
    );
    assert_eq!(
        (&line["keys"], &line["tag"], &line["status"]),
        (&json!(["a", "b"]), &json!("t"), &json!("ok"))
    );
    assert!(line["queue"].is_u64() && line["ms"].is_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_come_in_the_order_of_the_input() {
    let broker = broker().await;
    let lines: String = (0..2_000).map(|n| format!("k{n}:{n}\n")).collect();
    let run = send(&broker, &["T", "-K", ":", "-o", "json"], lines).await.expect_code(0);
    let keys: Vec<String> =
        run.json().iter().map(|line| line["keys"][0].as_str().unwrap().to_owned()).collect();
    assert_eq!(keys, (0..2_000).map(|n| format!("k{n}")).collect::<Vec<_>>());
    assert!(run.stderr.starts_with("2,000 stored, 0 failed in "), "{}", run.stderr);
    assert!(
        run.stderr.contains("p50 ") && run.stderr.contains("p99 ") && run.stderr.contains("max "),
        "{}",
        run.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_in_the_order_of_the_input_too() {
    let broker = broker().await;
    // Every other line fails before it leaves, long before the line above it is answered.
    let lines: String = (1..=100)
        .map(|n| format!("{{\"body\":\"{}\"}}\n", if n % 2 == 0 { "" } else { "x" }))
        .collect();
    let flags = ["T", "--json", "-o", "json", "--on-error", "continue"];
    let told = send(&broker, &flags, lines).await.expect_code(4).json();
    assert_eq!(told.len(), 100);
    for (line, n) in told.iter().zip(1..) {
        match n % 2 {
            0 => {
                assert_eq!((&line["line"], &line["error"]["kind"]), (&json!(n), &json!("invalid")))
            }
            _ => assert_eq!(line["status"], "ok", "line {n}: {line}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_only_where_they_are_wanted() {
    for (when, coloured) in [("always", true), ("never", false), ("auto", false)] {
        let run = run(posthaste(&["send", "a/b", "x", "--color", when]), "").await.expect_code(5);
        assert_eq!(run.stderr.contains('\x1b'), coloured, "{when}: {:?}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_says_nothing_when_all_is_well() {
    let broker = broker().await;
    let run = send(&broker, &["T", "-q"], "1\n2\n3\n").await.expect_code(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    assert_eq!(landed_bodies(&broker, "T").await, ["1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_without_a_terminal_never_reaches_stdout() {
    let broker = broker().await;
    let run = send(&broker, &["T", "--progress", "always"], "1\n2\n").await.expect_code(0);
    assert_eq!(run.stdout.lines().filter(|line| line.starts_with("stored  T")).count(), 2);
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(run.stderr.contains("2 stored, 0 failed"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn delimiters_of_all_kinds() {
    let broker = broker().await;
    for (topic, delimiter, input) in [
        ("Nul", r"\0", "a\0b\nc\0"),
        ("Record", r"\x1e", "a\x1eb\nc"),
        ("Long", "<->", "a<->b\nc<->"),
    ] {
        send(&broker, &[topic, "-D", delimiter], input).await.expect_code(0);
        assert_eq!(landed_bodies(&broker, topic).await, ["a", "b\nc"], "{topic}");
    }
}

/// A file from Windows: every body kept a CR that its author never saw, and not a word was said.
#[tokio::test(flavor = "multi_thread")]
async fn a_cr_at_the_end_of_lines_is_kept_and_spoken_of() {
    let broker = broker().await;
    let warning = "warning: line 2 ends in CR LF, and bodies keep the CR. If every line ends like \
                   this,  -D \"\\r\\n\"  leaves it out.";
    let lines = "a\nb\r\nc\r\n";
    let kept = send(&broker, &["Kept"], lines).await.expect_code(0);
    assert_eq!(kept.stderr.matches("CR LF").count(), 1, "{}", kept.stderr);
    assert!(kept.stderr.lines().any(|line| line == warning), "{}", kept.stderr);
    assert_eq!(landed_bodies(&broker, "Kept").await, ["a", "b\r", "c\r"]);
    let dry = send(&broker, &["Kept", "--dry-run"], lines).await.expect_code(0);
    assert!(dry.stderr.lines().any(|line| line == warning), "{}", dry.stderr);

    // The remedy works; and where a CR means nothing or was meant, not a word.
    let cut = send(&broker, &["Cut", "-D", r"\r\n"], "b\r\nc\r\n").await.expect_code(0);
    assert_eq!(landed_bodies(&broker, "Cut").await, ["b", "c"]);
    let json = "{\"body\":\"a\"}\r\n";
    let json = send(&broker, &["Json", "--json"], json).await.expect_code(0);
    assert_eq!(landed_bodies(&broker, "Json").await, ["a"]);
    let quiet = send(&broker, &["Kept", "-q"], lines).await.expect_code(0);
    for run in [cut, json, quiet] {
        assert!(!run.stderr.contains("CR LF"), "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_lines_are_no_messages() {
    let broker = broker().await;
    let run = send(&broker, &["T"], "\na\n\n\nb").await.expect_code(0);
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(run.stderr.contains("3 empty lines passed over"), "{}", run.stderr);
    let run = send(&broker, &["T"], "\n\n").await.expect_code(0);
    assert!(run.stderr.contains("nothing to send"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_the_command_line_and_how_often() {
    let broker = broker().await;
    let run = send(&broker, &["T", "a", "b", "-C", "2", "-H", "source=cli"], "not read")
        .await
        .expect_code(0);
    assert_eq!(run.stdout.lines().count(), 4);
    assert_eq!(landed_bodies(&broker, "T").await, ["a", "a", "b", "b"]);
    assert_eq!(landed(&broker, "T").await[0]["properties"], json!({"source": "cli"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn count_stops_a_stream() {
    let broker = broker().await;
    let run = send(&broker, &["T", "-C", "3"], "1\n2\n3\n4\n5\n").await.expect_code(0);
    assert_eq!(run.stdout.lines().count(), 3);
    assert_eq!(landed_bodies(&broker, "T").await, ["1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_whole_and_by_line() {
    let broker = broker().await;
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    std::fs::write(&one, b"x\ny").unwrap();
    std::fs::write(&two, [0xff, 0x00, 0x80]).unwrap();
    send(&broker, &["Whole", "-F", one.to_str().unwrap(), "-F", two.to_str().unwrap()], "")
        .await
        .expect_code(0);
    let mut bodies: Vec<String> = landed(&broker, "Whole")
        .await
        .iter()
        .map(|line| format!("{}{}", line["body"], line["body_b64"]))
        .collect();
    bodies.sort_unstable();
    assert_eq!(bodies, [r#""x\ny"null"#, r#"null"/wCA""#]);
    send(&broker, &["Lines", "-l", one.to_str().unwrap()], "").await.expect_code(0);
    assert_eq!(landed_bodies(&broker, "Lines").await, ["x", "y"]);
}

/// `-F blob Topic` took the topic for another file, and said that the topic was missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_takes_one_value_and_may_be_stdin() {
    let broker = broker().await;
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("blob");
    std::fs::write(&blob, "from a file").unwrap();
    send(&broker, &["-F", blob.to_str().unwrap(), "T"], "").await.expect_code(0);
    let stdin = "from stdin,\nwith two lines\n";
    send(&broker, &["T", "-F", "-"], stdin).await.expect_code(0);
    assert_eq!(landed_bodies(&broker, "T").await, ["from a file", stdin]);
    let twice = send(&broker, &["T", "-F", "-", "-F", "-"], stdin).await.expect_code(2);
    assert!(twice.stderr.contains("stdin"), "{}", twice.stderr);
}

/// The library's log came in colours, whatever --color said.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_colours_only_where_they_are_wanted_too() {
    for (when, coloured) in [("always", true), ("never", false), ("auto", false)] {
        let args = ["-n", "127.0.0.1:1", "--timeout", "200ms", "send", "T", "x", "-vvv"];
        let run = run(posthaste(&[&args[..], &["--color", when]].concat()), "").await;
        let logged = run.stderr.lines().filter(|line| line.contains("posthaste"));
        let logged: Vec<&str> = logged.collect();
        assert!(logged.len() > 1, "{}", run.stderr);
        assert_eq!(run.stderr.contains('\x1b'), coloured, "{when}: {:?}", run.stderr);
    }
    let mut command = posthaste(&["send", "T", "x"]);
    command.env("POSTHASTE_LOG", "posthaste=loud");
    let run = run(command, "").await.expect_code(2);
    assert!(run.stderr.contains("POSTHASTE_LOG"), "{}", run.stderr);
}

/// An unset variable of a script: `-n "$SERVERS"`.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_value_is_refused() {
    for args in [
        &["-n", "", "send", "T", "x"][..],
        &["-n", " ; ", "send", "T", "x"],
        &["send", "T", "x", "--broker-host", ""],
        &["send", "T", "x", "--access-key", ""],
        &["send", "T", "x", "--tag", ""],
        &["send", "T", "x", "-k", ""],
        &["send", "T", "x", "--ordered-by", ""],
        &["send", "T", "--failed-to", "", "x"],
        &["tail", "T", "--key", ""],
        &["tail", "T", "--tag", ""],
        &["dev", "--data", ""],
        &["dev", "--advertise", ""],
    ] {
        // Of the environment it is none of their business.
        let mut command = posthaste(args);
        command.env("POSTHASTE_NAMESRV", "127.0.0.1:1");
        let run = run(command, "").await.expect_code(2);
        assert!(run.stderr.starts_with("error: "), "{args:?}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_queue_gets_everything() {
    let broker = broker().await;
    posthaste_topic(&broker, "T", "4").await;
    let run =
        send(&broker, &["T", "--queue", "dev:2", "-o", "json"], "1\n2\n3\n").await.expect_code(0);
    assert!(run.json().iter().all(|line| line["queue"] == 2), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_messages_land_later() {
    let broker = broker().await;
    for flags in [["--delay", "2s"], ["--delay-level", "1"]] {
        let topic = flags[0].trim_start_matches('-');
        let began = Instant::now();
        send(&broker, &[topic, "later", flags[0], flags[1]], "").await.expect_code(0);
        while landed_bodies(&broker, topic).await != ["later"] {
            assert!(began.elapsed() < PATIENCE, "{flags:?} never landed");
        }
        assert!(began.elapsed() >= Duration::from_secs(1), "{flags:?} landed at once");
    }
    let both = send(&broker, &["T", "x", "--delay", "2s", "--delay-level", "1"], "").await;
    both.expect_code(2);
    send(&broker, &["T", "x", "--delay-level", "19"], "").await.expect_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_compressed_as_the_flag_says() {
    let broker = broker().await;
    let body = "over and over ".repeat(1_000);
    let how = ["none", "zlib", "lz4", "zstd"];
    for how in how {
        send(&broker, &[how, &body, "-z", how], "").await.expect_code(0);
        assert_eq!(landed_bodies(&broker, how).await, [body.as_str()], "{how}");
    }
    let reader = Producer::builder("test", broker.name_server().to_string());
    let admin = reader.start().await.unwrap().admin();
    let mut beginnings = Vec::new();
    for how in how {
        let mut reader = admin.reader(how).until_now().open().await.unwrap();
        let message = reader.next().await.unwrap().unwrap();
        beginnings.push(message.stored_body()[..2].to_vec());
    }
    // Each format begins in its own way.
    assert_eq!(beginnings, [&b"ov"[..], b"\x78\x5e", b"\x04\x22", b"\x28\xb5"]);
}

async fn posthaste_topic(broker: &posthaste_broker::Broker, topic: &str, queues: &str) {
    let create =
        posthaste_at(broker.name_server(), &["topic", "create", topic, "--queues", queues]);
    run(create, "").await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ordered_by_key_keeps_each_key_in_order_on_one_queue() {
    let broker = broker().await;
    let lines: String = (0..1_500).map(|n| format!("k{}:{n}\n", n % 7)).collect();
    send(&broker, &["T", "-q", "-K", ":", "--ordered-by", "key"], lines).await.expect_code(0);
    let landed = landed(&broker, "T").await;
    assert_eq!(landed.len(), 1_500);
    for key in 0..7 {
        let name = format!("k{key}");
        let mut of_key: Vec<_> =
            landed.iter().filter(|line| line["keys"][0] == name.as_str()).collect();
        of_key.sort_by_key(|line| line["offset"].as_i64().unwrap());
        assert!(of_key.iter().all(|line| line["queue"] == of_key[0]["queue"]), "{name}");
        assert!(of_key.iter().all(|line| line["ordered_by"] == name.as_str()), "{name}");
        let numbers: Vec<u32> =
            of_key.iter().map(|line| line["body"].as_str().unwrap().parse().unwrap()).collect();
        let expected: Vec<u32> = (0..1_500).filter(|n| n % 7 == key).collect();
        assert_eq!(numbers, expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ordered_by_a_field_of_the_body() {
    let broker = broker().await;
    let lines: String = (0..100).map(|n| format!("{{\"shop\":{},\"n\":{n}}}\n", n % 3)).collect();
    send(&broker, &["T", "-q", "--ordered-by", "shop"], lines).await.expect_code(0);
    let landed = landed(&broker, "T").await;
    assert_eq!(landed.len(), 100);
    for line in &landed {
        let body: serde_json::Value = serde_json::from_str(line["body"].as_str().unwrap()).unwrap();
        assert_eq!(line["ordered_by"], body["shop"].to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_says_that_nobody_confirms() {
    let broker = broker().await;
    let run = send(&broker, &["T", "--oneway"], "1\n2\n3\n").await.expect_code(0);
    assert_eq!(run.stdout.lines().count(), 3);
    assert!(run.stdout.lines().all(|line| line.contains("one-way")), "{}", run.stdout);
    assert!(run.stderr.starts_with("3 handed over, 0 failed"), "{}", run.stderr);
    let tail = posthaste_at(broker.name_server(), &["tail", "T", "-C", "3"]);
    assert_eq!(crate::shell::run(tail, "").await.expect_code(0).stdout.lines().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn tee_copies_what_is_stored() {
    let broker = broker().await;
    let run = send(&broker, &["T", "--tee"], "one\ntwo\n").await.expect_code(0);
    assert_eq!(run.stdout, "one\ntwo\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_needs_no_cluster() {
    let args =
        ["-n", "127.0.0.1:1", "send", "T", "--dry-run", "-K", ":", "--tag", "t", "-o", "json"];
    let dry = run(posthaste(&args), "a:1\nb:2\n").await.expect_code(0);
    let lines = json_lines(&dry.stdout);
    assert_eq!(
        lines[1],
        json!({"_cmd":"send","_v":1,"topic":"T","keys":["b"],"tag":"t","body":"2"})
    );
    let broker = broker().await;
    send(&broker, &["T", "--json"], dry.stdout).await.expect_code(0);
    assert_eq!(landed_bodies(&broker, "T").await, ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_map_reaches_what_is_advertised_elsewhere() {
    let broker = posthaste_broker::Broker::builder().advertise("192.0.2.1").start().await.unwrap();
    send(&broker, &["T", "hi", "--broker-map", "192.0.2.1=127.0.0.1"], "").await.expect_code(0);
    send(&broker, &["T", "hi", "--broker-host", "localhost"], "").await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_servers_come_from_flag_then_environment() {
    let broker = broker().await;
    let here = broker.name_server().to_string();
    let mut command = posthaste(&["send", "T", "hi", "-n", &here]);
    command.env("POSTHASTE_NAMESRV", "127.0.0.1:1").env("NAMESRV_ADDR", "127.0.0.1:1");
    run(command, "").await.expect_code(0);
    let mut command = posthaste(&["send", "T", "hi"]);
    command.env("POSTHASTE_NAMESRV", &here).env("NAMESRV_ADDR", "127.0.0.1:1");
    run(command, "").await.expect_code(0);
    let mut command = posthaste(&["send", "T", "hi"]);
    command.env("POSTHASTE_NAMESRV", "").env("NAMESRV_ADDR", &here);
    run(command, "").await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_rate_is_not_exceeded() {
    let broker = broker().await;
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let run = send(&broker, &["T", "--rate", "100/s", "-o", "json"], "1\n2\n3\n4\n5\n6\n")
        .await
        .expect_code(0);
    assert_eq!(run.json().len(), 6);
    // The sixth is due 50 ms after the first was, whenever that went; nothing is said about how
    // much later it went itself.
    let stored: Vec<i64> =
        landed(&broker, "T").await.iter().map(|line| line["born_ms"].as_i64().unwrap()).collect();
    let last = stored.iter().max().unwrap() - began;
    assert!(last >= 49, "{last} ms");
}
