//! Many lines: all of them stored, none of them held in memory.

use std::collections::HashMap;

use crate::shell::{broker, landed, landed_bodies, posthaste_at, run, send};

/// Enough that whatever is held back for each line would show; the million is run by hand and in
/// release mode, where it takes seconds.
const LINES: u64 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_stored_once() {
    let broker = posthaste_broker::Broker::builder().memory_limit(1 << 30).start().await.unwrap();
    let lines: String = (0..LINES).map(|n| format!("{n}\n")).collect();
    let sent = send(&broker, &["T"], lines).await.expect_code(0);
    assert_eq!(sent.stdout.lines().count() as u64, LINES);
    let describe = posthaste_at(broker.name_server(), &["topic", "describe", "T", "-o", "json"]);
    let described = run(describe, "").await.expect_code(0).json();
    let queues = described[0]["queues"].as_array().unwrap();
    let sum: u64 = queues.iter().map(|queue| queue["max_offset"].as_u64().unwrap()).sum();
    assert_eq!(sum, LINES);
    let mut seen = HashMap::new();
    for line in landed(&broker, "T").await {
        *seen.entry(line["body"].as_str().unwrap().parse::<u64>().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(seen.len() as u64, LINES);
    assert!(seen.iter().all(|(n, times)| *n < LINES && *times == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_rate_no_line_is_lost() {
    const LINES: u64 = 12_000;
    let broker = broker().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines");
    let lines: String = (1..=LINES).map(|n| format!("{n}\n")).collect();
    std::fs::write(&file, &lines).unwrap();
    for (topic, rate) in [("Slow", "20000/s"), ("Fast", "100000/s")] {
        let flags = [topic, "--rate", rate, "-l", file.to_str().unwrap()];
        let sent = send(&broker, &flags, "").await.expect_code(0);
        assert!(sent.stderr.contains("12,000 stored, 0 failed"), "{}", sent.stderr);
        assert_eq!(sent.stdout.lines().count() as u64, LINES);
        let mut landed: Vec<u64> =
            landed_bodies(&broker, topic).await.iter().map(|body| body.parse().unwrap()).collect();
        landed.sort_unstable();
        assert!(landed.into_iter().eq(1..=LINES), "at {rate}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_input() {
    use tokio::io::AsyncWriteExt;

    let broker = posthaste_broker::Broker::builder().memory_limit(16 << 20).start().await.unwrap();
    let mut child = posthaste_at(broker.name_server(), &["send", "T", "-q"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let block = format!("{}\n", "x".repeat(1_023)).repeat(1_024);
    for _ in 0..150 {
        stdin.write_all(block.as_bytes()).await.unwrap();
    }
    let status = std::fs::read_to_string(status).unwrap();
    drop(stdin);
    crate::shell::finish(child).await.expect_code(0);
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    // 150 MiB went through.
    assert!(kib < 64 << 10, "{kib} KiB at the most");
}
