//! What `bench` sends, counts, writes and decides. How fast it was does not matter here.

use std::path::Path;

use posthaste_broker::Broker;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr};

use crate::shell::{Run, broker, finish, landed, next_line, posthaste, posthaste_at, run, signal};

async fn bench(broker: &Broker, args: &[&str]) -> Run {
    let args: Vec<&str> = ["bench"].iter().chain(args).copied().collect();
    run(posthaste_at(broker.name_server(), &args), "").await
}

/// The one object that `-o json` writes.
#[track_caller]
fn report(run: &Run) -> Value {
    let mut lines = run.json();
    assert_eq!(lines.len(), 1, "{}", run.stdout);
    lines.remove(0)
}

#[track_caller]
fn assert_keys(object: &Value, keys: &[&str]) {
    let mut found: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_is_sent_as_the_flags_say() {
    let broker = broker().await;
    let flags =
        "send --topic T --count 500 --producers 2 --in-flight 8 --size 2KiB --tag t -o json";
    let flags: Vec<&str> = flags.split(' ').collect();
    let run = bench(&broker, &flags).await.expect_code(0);
    let report = report(&run);
    assert_keys(
        &report,
        &[
            "_cmd",
            "_v",
            "bytes_per_second",
            "errors",
            "failed_conditions",
            "interrupted",
            "latency_us",
            "outcomes",
            "rate",
            "seconds",
            "settings",
            "totals",
        ],
    );
    assert_eq!((&report["_cmd"], &report["_v"]), (&json!("bench send"), &json!(1)));
    assert_eq!(
        report["outcomes"],
        json!({"stored": 500, "handed_over": 0, "not_stored": 0, "unknown": 0})
    );
    assert_eq!((&report["errors"], &report["totals"]["messages"]), (&json!({}), &json!(500)));
    assert_keys(
        &report["totals"],
        &[
            "batched",
            "batches",
            "busy",
            "errors",
            "messages",
            "messages_per_request",
            "overdue",
            "requests",
            "retries",
            "weaker",
        ],
    );
    assert_keys(&report["latency_us"], &["max", "mean", "p50", "p90", "p95", "p99", "p999"]);
    let latencies = ["p50", "p90", "p95", "p99", "p999", "max"]
        .map(|name| report["latency_us"][name].as_u64().unwrap());
    assert!(latencies[0] > 0 && latencies.is_sorted(), "{latencies:?}");
    let settings = &report["settings"];
    for (name, value) in
        [("count", json!(500)), ("producers", json!(2)), ("size", json!(2048)), ("tag", json!("t"))]
    {
        assert_eq!(settings[name], value, "{name}");
    }
    let seconds = report["seconds"].as_f64().unwrap();
    assert!((report["rate"].as_f64().unwrap() * seconds - 500.0).abs() < 0.01);
    // Of each producer one message went ahead.
    let landed = landed(&broker, "T").await;
    assert_eq!(landed.len(), 502);
    assert!(landed.iter().all(|line| line["tag"] == "t"));
    assert!(landed.iter().all(|line| line["body"].as_str().unwrap().len() == 2048));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_goes_to_stderr_and_nothing_to_stdout() {
    let broker = broker().await;
    let run = bench(&broker, &["send", "--count", "1000", "--no-batching"]).await.expect_code(0);
    assert_eq!(run.stdout, "");
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stderr);
    assert!(
        lines[0].starts_with("total ") && lines[0].contains("  1,000 stored  "),
        "{}",
        lines[0]
    );
    assert!(lines[0].ends_with("  errors 0  retries 0"), "{}", lines[0]);
    assert!(lines[1].starts_with("latency ms    p50 "), "{}", lines[1]);
    assert!(lines[1].ends_with("(HDR file: --hdr out.hgrm)"), "{}", lines[1]);
    let quiet = bench(&broker, &["send", "--count", "10", "-q"]).await.expect_code(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_a_second_when_it_is_wanted() {
    let broker = broker().await;
    let flags = ["send", "--duration", "1200ms", "--rate", "100/s", "--progress", "always"];
    let run = bench(&broker, &flags).await.expect_code(0);
    let lap = run.stderr.lines().next().unwrap();
    for word in [
        "/s ",
        " MiB/s ",
        " p50 ",
        " p95 ",
        " p99 ",
        " p99.9 ",
        " err 0",
        " retry 0",
        " in flight ",
    ] {
        assert!(lap.contains(word), "{word}: {}", run.stderr);
    }
    assert!(run.stderr.contains("total "), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_rate_every_send_of_the_schedule_begins() {
    let broker = broker().await;
    for (command, limit, sends) in [
        ("send", ["--duration", "250ms"], 500),
        ("send", ["--count", "300"], 300),
        ("latency", ["--duration", "100ms"], 200),
    ] {
        let flags = [command, limit[0], limit[1], "--rate", "2000/s", "-o", "json"];
        let report = report(&bench(&broker, &flags).await.expect_code(0));
        assert_eq!(report["outcomes"]["stored"], sends, "{flags:?}");
        assert_eq!(report["totals"]["overdue"], 0, "{flags:?}");
        assert_eq!(report["settings"]["rate"], 2000.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_sends_one_message_at_a_time_for_each_producer() {
    let broker = broker().await;
    let flags = ["latency", "--count", "50", "--producers", "3", "-o", "json"];
    let report = report(&bench(&broker, &flags).await.expect_code(0));
    assert_eq!(report["_cmd"], "bench latency");
    assert_eq!(report["settings"]["in_flight"], 3);
    assert_eq!(report["outcomes"]["stored"], 50);
    assert_eq!(landed(&broker, "Bench").await.len(), 53);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_messages_are_handed_over() {
    let broker = broker().await;
    let flags = ["send", "--count", "200", "--oneway", "-o", "json"];
    let run = bench(&broker, &flags).await.expect_code(0);
    let outcomes = &report(&run)["outcomes"];
    assert_eq!((&outcomes["handed_over"], &outcomes["stored"]), (&json!(200), &json!(0)));
    assert!(run.stderr.contains("  200 handed over  "), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_their_queue() {
    let broker = broker().await;
    bench(&broker, &["send", "--count", "300", "--order-keys", "5"]).await.expect_code(0);
    let landed = landed(&broker, "Bench").await;
    for number in 0..5 {
        let key = format!("key-{number}");
        let of_key: Vec<_> =
            landed.iter().filter(|line| line["ordered_by"] == key.as_str()).collect();
        // 60, and the one that went ahead.
        assert_eq!(of_key.len(), if number == 0 { 61 } else { 60 }, "{key}");
        assert!(of_key.iter().all(|line| line["queue"] == of_key[0]["queue"]), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_counted_and_can_be_turned_off() {
    let broker = broker().await;
    // Of one key one message is on its way; what waits behind it leaves together.
    let flags = ["send", "--count", "640", "--in-flight", "64", "--order-keys", "1", "-o", "json"];
    let run = bench(&broker, &flags).await.expect_code(0);
    let totals = &report(&run)["totals"];
    assert!(totals["batches"].as_u64().unwrap() > 0, "{totals}");
    assert!(totals["messages_per_request"].as_f64().unwrap() > 1.0, "{totals}");
    assert!(run.stderr.contains(" messages a request, "), "{}", run.stderr);
    let run = bench(&broker, &[&flags[..], &["--no-batching"]].concat()).await.expect_code(0);
    let totals = &report(&run)["totals"];
    assert_eq!((&totals["batches"], &totals["batched"]), (&json!(0), &json!(0)));
    assert_eq!((&totals["requests"], &totals["messages_per_request"]), (&json!(640), &json!(1.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_decide_between_0_and_1() {
    let broker = broker().await;
    let conditions = |list: &[&'static str]| -> Vec<&'static str> {
        let flags = list.iter().flat_map(|condition| ["--fail-if", condition]);
        ["send", "--count", "100", "-q"].into_iter().chain(flags).collect()
    };
    let kept = conditions(&["p99>1h", "rate<1/h", "errors>0", "unknown>0", "stored<100"]);
    assert_eq!(bench(&broker, &kept).await.expect_code(0).stderr, "");
    let broken = conditions(&["errors>0", "stored>=100", "max<1h"]);
    let run = bench(&broker, &broken).await.expect_code(1);
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stderr);
    assert_eq!(lines[0], "error: --fail-if stored>=100: stored is 100");
    assert!(lines[1].starts_with("error: --fail-if max<1h: max is "), "{}", lines[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    for flags in [
        &["bench"][..],
        &["bench", "send", "--fail-if", "p99>10"],
        &["bench", "send", "--fail-if", "speed<1"],
        &["bench", "send", "--count", "1", "--duration", "1s"],
        &["bench", "send", "--size", "0"],
        &["bench", "send", "--size", "5MiB"],
        &["bench", "send", "--producers", "4", "--in-flight", "3"],
        &["bench", "send", "--oneway", "--order-keys", "2"],
        &["bench", "latency", "--in-flight", "2"],
        &["bench", "send", "--html", "/no/such/folder/page.html"],
        &["bench", "send", "--hdr", "/"],
    ] {
        let run = run(posthaste(flags), "").await.expect_code(2);
        assert!(!run.stderr.is_empty() && run.stdout.is_empty(), "{flags:?}");
    }
    run(posthaste(&["bench", "send", "--topic", "a/b"]), "").await.expect_code(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_it_fails_as_send_does() {
    let nowhere = ["-n", "127.0.0.1:1", "bench", "send", "--timeout", "500ms", "-o", "json"];
    let unreachable = run(posthaste(&nowhere), "").await.expect_code(3);
    assert!(unreachable.stderr.starts_with("error: "), "{}", unreachable.stderr);
    assert!(unreachable.stderr.contains("not stored."), "{}", unreachable.stderr);
    assert!(unreachable.stderr.contains("posthaste dev"), "{}", unreachable.stderr);
    let line = &unreachable.json()[0];
    assert_eq!((&line["_cmd"], &line["error"]["kind"]), (&json!("bench send"), &json!("no_route")));
    let strict = Broker::builder().auto_create_topics(false).start().await.unwrap();
    let no_topic = bench(&strict, &["latency", "--topic", "Typo"]).await.expect_code(3);
    assert!(no_topic.stderr.contains("posthaste topic create Typo"), "{}", no_topic.stderr);
}

/// Starts a run without end, and waits until it has gone on for a second.
async fn under_way(broker: &Broker, flags: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let args =
        [&["bench", "send", "--duration", "1h", "--progress", "always", "-o", "json"], flags];
    let mut child = posthaste_at(broker.name_server(), &args.concat()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let lap = next_line(&mut lines).await.unwrap();
    assert!(lap.contains("/s "), "{lap}");
    (child, lines.into_inner())
}

/// The rest of stderr, and how the run ended.
async fn ended(child: Child, stderr: BufReader<ChildStderr>) -> Run {
    let mut lines = stderr.lines();
    let reading = async {
        let mut text = String::new();
        while let Some(line) = next_line(&mut lines).await {
            text += &(line + "\n");
        }
        text
    };
    let (run, stderr) = tokio::join!(finish(child), reading);
    Run { stderr, ..run }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_it_with_what_was_measured() {
    let broker = broker().await;
    for (name, rate) in [("INT", "1000/s"), ("TERM", "1/m")] {
        let (child, stderr) = under_way(&broker, &["--topic", name, "--rate", rate]).await;
        signal(&child, name).await;
        let run = ended(child, stderr).await.expect_code(130);
        assert!(run.stderr.contains("total ") && run.stderr.contains(" stored "), "{}", run.stderr);
        let report = report(&run);
        assert_eq!(report["interrupted"], true);
        // All that left was answered, and is in the account.
        let stored = report["outcomes"]["stored"].as_u64().unwrap();
        assert!(stored > 0);
        assert_eq!(landed(&broker, name).await.len() as u64, stored + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_leaves_a_summary_of_everything() {
    let broker = broker().await;
    let flags = ["--rate", "200/s", "--timeout", "300ms"];
    let (child, stderr) = under_way(&broker, &flags).await;
    broker.stop().await;
    // Errors must have been counted, however long that takes.
    let mut lines = stderr.lines();
    while next_line(&mut lines).await.is_some_and(|line| line.contains(" err 0 ")) {}
    signal(&child, "INT").await;
    let run = ended(child, lines.into_inner()).await.expect_code(130);
    let report = report(&run);
    let outcomes = &report["outcomes"];
    let failures = outcomes["not_stored"].as_u64().unwrap() + outcomes["unknown"].as_u64().unwrap();
    let kinds: u64 =
        report["errors"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert!(failures > 0 && outcomes["stored"].as_u64().unwrap() > 0);
    assert_eq!((kinds, &report["totals"]["errors"]), (failures, &json!(failures)));
    assert!(run.stderr.contains("error: the first message that failed: "), "{}", run.stderr);
    assert!(run.stderr.contains(" not_stored, "), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_have_what_was_measured() {
    let broker = broker().await;
    let folder = tempfile::tempdir().unwrap();
    let (hdr, html) = (folder.path().join("out.hgrm"), folder.path().join("out.html"));
    // What a file had before, nothing of it is left.
    std::fs::write(&hdr, "old ".repeat(100_000)).unwrap();
    let tag = r#"<script>"&'"#;
    let (hdr_flag, html_flag) = (hdr.to_str().unwrap(), html.to_str().unwrap());
    let flags = ["send", "--count", "700", "--hdr", hdr_flag, "--html", html_flag, "--tag", tag];
    let broken = ["--fail-if", "stored>1"];
    let run = bench(&broker, &[&flags[..], &broken].concat()).await.expect_code(1);
    assert!(run.stderr.contains(&format!("(HDR file: {hdr_flag})")), "{}", run.stderr);
    let distribution = std::fs::read_to_string(&hdr).unwrap();
    assert!(distribution.contains("Total count    =          700]"), "{distribution}");
    assert!(!distribution.contains("old"), "{distribution}");
    check_page(&html, tag);
}

/// A page is well-formed, needs nothing from elsewhere, and shows text as text.
fn check_page(path: &Path, tag: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let page = roxmltree::Document::parse_with_options(&text, options).unwrap();
    let count = |name| page.descendants().filter(|node| node.tag_name().name() == name).count();
    assert_eq!(count("svg"), 4);
    assert_eq!(count("polyline"), 1 + 1 + 4, "percentiles, throughput, four latencies");
    assert!(count("rect") > 0, "the bars of the histogram");
    for name in ["script", "link", "img", "iframe"] {
        assert_eq!(count(name), 0, "{name}");
    }
    let mut attributes = page.descendants().flat_map(|node| node.attributes());
    assert!(attributes.all(|attribute| !matches!(attribute.name(), "href" | "src" | "style")));
    assert!(!text.contains("url(") && !text.contains("@import"));
    let cells: Vec<&str> = page
        .descendants()
        .filter(|node| matches!(node.tag_name().name(), "td" | "p"))
        .filter_map(|node| node.text())
        .collect();
    assert!(cells.contains(&tag), "{cells:?}");
    assert!(cells.contains(&"failed: stored>1: stored is 700"), "{cells:?}");
    assert!(cells.iter().any(|cell| cell.contains(" 700 stored ")), "{cells:?}");
}
