//! Messages with a time of delivery, and taking them back.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{Recall, RecallHandle, SendMessage};

use super::harness::{Bench, START, message, with_properties};
use crate::store::watched::Watched;
use crate::store::{DiskStore, MemoryStore};

const DAY: i64 = 86_400_000;

fn timer(property: &str, value: i64, body: &str) -> SendMessage<'static> {
    let value = value.to_string();
    let properties = [("UNIQ_KEY", body), ("KEYS", "k"), (property, value.as_str())];
    with_properties(&properties, message("orders", 1, body))
}

fn recall(handle: &str) -> Recall {
    Recall { topic: "orders".into(), handle: handle.into(), ..Recall::default() }
}

#[test]
fn a_timer_message_comes_at_its_time_and_not_before() {
    for (property, value, ms) in [
        ("TIMER_DELAY_SEC", 3, 3_000),
        ("TIMER_DELAY_MS", 1, 1),
        ("TIMER_DELAY_MS", 1_234, 1_234),
        ("TIMER_DELIVER_MS", START + 61_001, 61_001),
        ("TIMER_DELIVER_MS", START + 3 * DAY, 3 * DAY),
    ] {
        let mut bench = Bench::new();
        let answer = bench.call(0, &timer(property, value, "later"));
        assert_eq!((answer.queue_id, answer.queue_offset), (1, 0), "{property} {value}");
        bench.pass(ms - 1);
        bench.engine.tick(bench.now, &mut bench.effects);
        bench.settle();
        assert!(bench.read("orders", 1).is_empty(), "{property} {value}");
        bench.pass(1);
        let stored = bench.read("orders", 1);
        assert_eq!(stored.len(), 1, "{property} {value}");
        assert_eq!(stored[0].topic, "orders");
        assert_eq!(stored[0].stored_at_ms, START + ms);
        assert_eq!(stored[0].property("KEYS"), Some("k"));
        let noted = ((START + ms - 1) / 1_000 * 1_000).to_string();
        assert_eq!(stored[0].property("TIMER_OUT_MS"), Some(noted.as_str()));
        bench.pass(10 * DAY);
        assert_eq!(bench.read("orders", 1).len(), 1, "once");
    }
}

#[test]
fn a_time_that_has_passed_is_no_delay() {
    let mut bench = Bench::new();
    for (property, value) in
        [("TIMER_DELIVER_MS", START), ("TIMER_DELIVER_MS", 9), ("TIMER_DELAY_SEC", 0)]
    {
        let answer = bench.call(0, &timer(property, value, "now"));
        assert_eq!(answer.recall_handle, None);
    }
    assert_eq!(bench.bodies("orders", 1), ["now", "now", "now"]);
}

#[test]
fn timer_messages_come_in_the_order_of_their_times() {
    let mut bench = Bench::new();
    for ms in [5_000, 300, 70_000, 301, 300, 1] {
        bench.put(0, &timer("TIMER_DELAY_MS", ms, &ms.to_string()));
    }
    bench.settle();
    bench.pass(300);
    assert_eq!(bench.bodies("orders", 1), ["1", "300", "300"]);
    bench.pass(70_000);
    assert_eq!(bench.bodies("orders", 1), ["1", "300", "300", "301", "5000", "70000"]);
}

#[test]
fn many_that_are_due_at_once_all_come() {
    let mut bench = Bench::new();
    let bodies: Vec<String> = (0..1_500).map(|n| n.to_string()).collect();
    for body in &bodies {
        bench.put(0, &timer("TIMER_DELIVER_MS", START + 1_000, body));
    }
    bench.settle();
    bench.pass(1_000);
    assert_eq!(bench.bodies("orders", 1), bodies);
}

#[test]
fn a_handle_is_the_one_that_5_5_0_writes() {
    let mut bench = Bench::new();
    let answer = bench.call(0, &timer("TIMER_DELAY_MS", 2_500, "the-id"));
    let handle: RecallHandle =
        answer.recall_handle.expect("a handle").parse().expect("it can be read");
    let expected = RecallHandle {
        topic: "orders".into(),
        broker: "dev".into(),
        deliver_at_ms: START + 2_001,
        unique_id: "the-id".into(),
    };
    assert_eq!(handle, expected);
    let level = with_properties(&[("DELAY", "3")], message("orders", 1, "x"));
    assert_eq!(bench.call(0, &level).recall_handle, None);
    assert_eq!(bench.call(0, &message("orders", 1, "x")).recall_handle, None);
    let retry =
        SendMessage { topic: "%RETRY%g".into(), queue_id: 0, ..timer("TIMER_DELAY_SEC", 1, "x") };
    assert_eq!(bench.call(0, &retry).recall_handle, None);
}

#[test]
fn what_is_taken_back_never_comes_and_the_others_do() {
    let mut bench = Bench::new();
    let handles: Vec<String> = ["one", "two", "three"]
        .map(|body| bench.call(0, &timer("TIMER_DELAY_SEC", 2, body)))
        .into_iter()
        .map(|answer| answer.recall_handle.expect("a handle"))
        .collect();
    // Sent again because its first answer was lost: one message to take back.
    bench.call(0, &timer("TIMER_DELAY_SEC", 2, "two"));
    let answer = bench.call(1, &recall(&handles[1]));
    assert_eq!(answer.message_id, "two");
    assert_eq!(answer.region.as_deref(), Some("DefaultRegion"));
    assert_eq!(bench.code(1, &recall(&handles[1])), ResponseCode::ILLEGAL_OPERATION, "twice");
    bench.pass(1_999);
    bench.call(1, &recall(&handles[2]));
    bench.pass(10_000);
    assert_eq!(bench.bodies("orders", 1), ["one"]);
    assert_eq!(bench.code(1, &recall(&handles[0])), ResponseCode::ILLEGAL_OPERATION, "it has come");
}

#[test]
fn the_second_of_a_handle_is_the_whole_second() {
    for ms in [2_000, 2_001, 2_500, 2_999, 3_000] {
        let mut bench = Bench::new();
        let answer = bench.call(0, &timer("TIMER_DELAY_MS", ms, "x"));
        bench.call(1, &recall(&answer.recall_handle.expect("a handle")));
    }
}

#[test]
fn what_cannot_be_taken_back_is_refused() {
    let mut bench = Bench::new();
    let sent = bench.call(0, &timer("TIMER_DELAY_SEC", 60, "id"));
    let right: RecallHandle = sent.recall_handle.expect("a handle").parse().expect("readable");
    let late = RecallHandle { deliver_at_ms: START - 1_000, ..right.clone() };
    let other = |handle: &RecallHandle| handle.to_string();
    for (handle, remark) in [
        ("no handle".to_owned(), "recall handle is invalid"),
        (String::new(), "recall handle is invalid"),
        (
            other(&RecallHandle { topic: "other".into(), ..right.clone() }),
            "recall failed, topic not match",
        ),
        (
            other(&RecallHandle { broker: "broker-a".into(), ..right.clone() }),
            "recall failed, broker service not available",
        ),
        (other(&late), "recall failed, timestamp invalid"),
        (
            other(&RecallHandle { unique_id: "another".into(), ..right.clone() }),
            "recall failed, no such message waits to be delivered",
        ),
        (
            other(&RecallHandle { deliver_at_ms: i64::MAX, ..right.clone() }),
            "recall failed, no such message waits to be delivered",
        ),
    ] {
        let refused = bench.ask(1, &recall(&handle));
        assert_eq!(refused.response_code(), ResponseCode::ILLEGAL_OPERATION, "{remark}");
        assert_eq!(refused.remark.as_deref(), Some(remark));
    }
    let nowhere = Recall { topic: "nobody".into(), ..recall(&right.to_string()) };
    let refused = bench.ask(1, &nowhere);
    assert_eq!(refused.response_code(), ResponseCode::TOPIC_NOT_EXIST);
    assert_eq!(refused.remark.as_deref(), Some("recall failed, the topic[nobody] not exist"));
    // A message with the same id in another topic is another message.
    let elsewhere = SendMessage { topic: "other".into(), ..timer("TIMER_DELAY_SEC", 60, "id") };
    bench.call(0, &elsewhere);
    bench.call(1, &recall(&right.to_string()));
    bench.pass(60_000);
    assert!(bench.read("orders", 1).is_empty());
    assert_eq!(bench.bodies("other", 1), ["id"]);
}

fn open(file: &Watched) -> Bench {
    Bench::with_store(Box::new(DiskStore::with_backend(file.clone(), u64::MAX).expect("open")))
}

#[test]
fn timer_messages_outlive_a_restart_and_come_once() {
    let file = Watched::default();
    let mut bench = open(&file);
    for ms in [1_000, 2_000, 90_000] {
        bench.call(0, &timer("TIMER_DELAY_MS", ms, &ms.to_string()));
    }
    let handle = |bench: &mut Bench, id: &str| {
        let answer = bench.call(0, &timer("TIMER_DELAY_MS", 90_000, id));
        answer.recall_handle.expect("a handle")
    };
    let (before, after) = (handle(&mut bench, "before"), handle(&mut bench, "after"));
    bench.call(0, &recall(&before));
    bench.pass(1_000);
    let now = bench.now;
    drop(bench);

    let mut bench = open(&file);
    bench.now = now;
    bench.call(0, &recall(&after));
    bench.pass(999);
    assert_eq!(bench.bodies("orders", 1), ["1000"]);
    bench.pass(1);
    assert_eq!(bench.bodies("orders", 1), ["1000", "2000"]);
    drop(bench);
    // What has come due while no member was there comes at once.
    let mut bench = open(&file);
    bench.now = now + 3_600_000;
    bench.pass(0);
    assert_eq!(bench.bodies("orders", 1), ["1000", "2000", "90000"]);
    drop(bench);
    let mut bench = open(&file);
    bench.now = now + 7_200_000;
    bench.pass(DAY);
    assert_eq!(bench.bodies("orders", 1), ["1000", "2000", "90000"]);
}

#[test]
fn sent_and_taken_back_in_one_turn_is_gone_after_a_restart_too() {
    let file = Watched::default();
    let mut bench = open(&file);
    let answer = bench.call(0, &timer("TIMER_DELAY_SEC", 5, "x"));
    bench.put(0, &recall(&answer.recall_handle.expect("a handle")));
    bench.put(0, &timer("TIMER_DELAY_SEC", 5, "y"));
    bench.settle();
    drop(bench);
    let mut bench = open(&file);
    bench.now = START + DAY;
    bench.pass(0);
    assert_eq!(bench.bodies("orders", 1), ["y"]);
}

#[test]
fn a_full_store_waits_instead_of_turning_in_circles() {
    let file = Watched::default();
    let store = DiskStore::with_backend(file.clone(), 3_000).expect("open");
    let mut bench = Bench::with_store(Box::new(store));
    bench.call(0, &timer("TIMER_DELAY_SEC", 5, "timer"));
    bench.call(0, &with_properties(&[("DELAY", "2")], message("orders", 1, "level")));
    bench.call(0, &message("orders", 0, &"x".repeat(3_000)));
    bench.pass(1_000);
    assert!(bench.engine.next_wake().is_none());
    let until = bench.now + 10_000;
    bench.engine.tick(until, &mut bench.effects);
    bench.settle();
    assert!(bench.read("orders", 1).is_empty());
    drop(bench);
    let mut bench = open(&file);
    bench.now = until;
    bench.pass(0);
    let mut come = bench.bodies("orders", 1);
    come.sort_unstable();
    assert_eq!(come, ["level", "timer"]);
}

#[test]
fn a_timer_message_that_memory_has_dropped_is_forgotten() {
    let mut bench = Bench::with_store(Box::new(MemoryStore::new(2_000)));
    bench.call(0, &timer("TIMER_DELAY_SEC", 5, "x"));
    for _ in 0..20 {
        bench.call(0, &message("orders", 0, "0123456789"));
    }
    bench.pass(5_000);
    assert!(bench.read("orders", 1).is_empty());
    assert_eq!(bench.engine.next_wake(), None);
}
