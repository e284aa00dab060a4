//! stdout may close or fill up at any time: the work is done nevertheless.

use std::fs::OpenOptions;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::shell::{
    broker, finish, landed_bodies, next_line, posthaste, posthaste_at, run, signal, until_landed,
};

const LEFT: &str = "warning: the reader of stdout is gone; receipts are no longer written\n";
const FULL: &str = "error: cannot write to stdout: No space left on device (os error 28); receipts \
                    are no longer written\n";

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_reads_the_receipts_every_line_is_sent() {
    let broker = broker().await;
    for (topic, flags) in [("Fast", &[][..]), ("Paced", &["--rate", "1000/s"])] {
        let args = [&["send", topic], flags].concat();
        let mut child = posthaste_at(broker.name_server(), &args).spawn().unwrap();
        drop(child.stdout.take());
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"1\n2\n3\n4\n5\n").await.unwrap();
        drop(stdin);
        let run = finish(child).await.expect_code(0);
        assert_eq!(run.stderr.matches(LEFT).count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains("5 stored, 0 failed"), "{}", run.stderr);
        assert_eq!(landed_bodies(&broker, topic).await, ["1", "2", "3", "4", "5"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_in_the_middle_ends_nothing() {
    const LINES: usize = 5_000;
    let broker = broker().await;
    let mut child =
        posthaste_at(broker.name_server(), &["send", "T", "-o", "json"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut receipts = BufReader::new(child.stdout.take().unwrap()).lines();
    tokio::spawn(async move {
        let lines: String = (0..LINES).map(|n| format!("{n}\n")).collect();
        stdin.write_all(lines.as_bytes()).await.unwrap();
    });
    assert!(next_line(&mut receipts).await.is_some());
    drop(receipts);
    let run = finish(child).await.expect_code(0);
    assert_eq!(run.stderr.matches(LEFT).count(), 1, "{}", run.stderr);
    assert_eq!(landed_bodies(&broker, "T").await.len(), LINES);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_after_the_reader_left_is_sent_line_by_line() {
    let broker = broker().await;
    let mut child = posthaste_at(broker.name_server(), &["send", "T"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut receipts = BufReader::new(child.stdout.take().unwrap()).lines();
    stdin.write_all(b"a\n").await.unwrap();
    assert!(next_line(&mut receipts).await.is_some());
    drop(receipts);
    for (line, count) in [("b\n", 2), ("c\n", 3)] {
        stdin.write_all(line.as_bytes()).await.unwrap();
        until_landed(&broker, "T", count).await;
    }
    drop(stdin);
    finish(child).await.expect_code(0);
}

/// A device that is always full.
#[cfg(target_os = "linux")]
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn four_when_the_receipts_of_what_was_stored_cannot_be_written() {
    let broker = broker().await;
    let mut command = posthaste_at(broker.name_server(), &["send", "T"]);
    command.stdout(full());
    let run = run(command, "1\n2\n3\n").await.expect_code(4);
    assert_eq!(run.stderr.matches(FULL).count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("3 stored, 0 failed"), "{}", run.stderr);
    assert_eq!(landed_bodies(&broker, "T").await, ["1", "2", "3"]);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_the_undelivered_that_cannot_be_written_is_said_once() {
    let args = ["-n", "127.0.0.1:1", "--timeout", "300ms", "send", "T", "--on-error", "continue"];
    let args = [&args[..], &["--failed-to", "/dev/full"]].concat();
    let run = run(posthaste(&args), "1\n2\n3\n").await.expect_code(3);
    let told = "error: cannot write /dev/full: No space left on device";
    assert_eq!(run.stderr.matches(told).count(), 1, "{}", run.stderr);
    assert!(!run.stderr.contains("undelivered messages are in"), "{}", run.stderr);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn no_command_hides_that_its_output_was_lost() {
    let broker = broker().await;
    crate::shell::send(&broker, &["T", "x", "-k", "k"], "").await.expect_code(0);
    for args in [
        &["send", "T", "--dry-run"][..],
        &["topic", "list"],
        &["topic", "describe", "T"],
        &["topic", "create", "New"],
        &["tail", "T", "--until", "now"],
        &["msg", "find", "T", "--key", "k"],
        &["demo"],
    ] {
        let mut command = posthaste_at(broker.name_server(), args);
        command.stdout(full());
        let run = run(command, "1\n").await.expect_code(1);
        assert!(run.stderr.contains("error: cannot write to stdout"), "{args:?}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_that_nobody_watches_checks_the_input_to_its_end() {
    let mut child = posthaste(&["send", "T", "-K", ":", "--dry-run"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all("key:body\n".repeat(10_000).as_bytes()).await.unwrap();
    stdin.write_all(b"no key\n").await.unwrap();
    drop(stdin);
    let run = finish(child).await.expect_code(2);
    assert!(run.stderr.contains("line 10001: no key"), "{}", run.stderr);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn dev_serves_also_where_its_banner_cannot_be_written() {
    let mut command = posthaste(&["dev", "--no-http", "--port", "0", "--namesrv-port", "0"]);
    command.stdout(full());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = next_line(&mut stderr).await.unwrap();
    assert!(line.contains("cannot write to stdout"), "{line}");
    signal(&child, "INT").await;
    finish(child).await.expect_code(0);
}
