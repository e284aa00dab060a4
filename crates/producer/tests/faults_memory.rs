//! Memory stays within its bound. One test in a separate process, so that nothing else counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fake;

use std::time::Duration;

use posthaste::{ErrorKind, Message};

use fake::{
    Action, BlackHole, Broker, NameServer, Say, broker_data, poll_once, producer, queue_data,
    route, until,
};

const SENDS: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
/// The bound of 32 MiB, and as much again for tables and the allocator.
const MOST: usize = 64 << 20;

/// Bytes of this process in memory now.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_whatever_is_offered_to_a_broker_that_stalls() {
    let silent = Broker::start("a").await;
    silent.always(Action::ignore());
    let hole = BlackHole::open();
    let server = NameServer::of(&[&silent], 4).await;
    let mut document = route(&[], 0);
    document.brokers = vec![broker_data("h", &hole.address())];
    document.queues = vec![queue_data("h", 4, 6)];
    server.say("hole", Say::Route(document));
    server.say("cold", Say::Nothing);
    let timeout = Duration::from_secs(60);
    let producer = producer(&[&server]).send_timeout(timeout).start().await.unwrap();
    let body = bytes::Bytes::from(vec![b'x'; 1024]);
    let of = |topic: &str| Message::new(topic, body.clone()).property("p", "y".repeat(100));
    let before = resident();

    // Dropped after the first poll.
    for (topic, key, oneway) in [
        ("t", false, false),
        ("t", true, false),
        ("t", false, true),
        ("hole", false, false),
        ("hole", true, false),
        ("hole", false, true),
        ("cold", false, false),
        ("cold", true, true),
    ] {
        for n in 0..SENDS / 8 {
            let mut message = of(topic);
            if key {
                message = message.order_by((n % 100).to_string());
            }
            if oneway {
                let _ = poll_once(Box::pin(producer.send_oneway(message)).as_mut());
            } else {
                let _ = poll_once(Box::pin(producer.send(message)).as_mut());
            }
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < MOST, "{topic}, key {key}, one-way {oneway}: {} KiB", grown / 1024);
    }
    // One-way messages leave, and so cannot be taken back: up to 64 for each place of the window.
    until("what was dropped is gone", || producer.stats().in_flight < 3_000).await;

    // Offered without waiting: what there is no room for is refused.
    let mut refused = 0;
    for _ in 0..SENDS {
        match producer.try_enqueue(Message::new("t", vec![b'x'; 1024])) {
            Ok(delivery) => drop(delivery),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::BufferFull);
                refused += 1;
            }
        }
    }
    assert!(refused >= SENDS - 10_000);
    let grown = resident().saturating_sub(before);
    println!("grown by {} KiB", grown / 1024);
    assert!(grown < MOST, "{} KiB", grown / 1024);
    let report = producer.close(Duration::from_millis(100)).await;
    assert!(report.undelivered.len() <= 10_000);
}
