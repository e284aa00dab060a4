//! Finding messages by key, by unique id and by tag.

use posthaste_protocol::request::{IndexType, QueryMessages};
use posthaste_protocol::{Command, ResponseCode, StoredMessage};

use super::harness::{Bench, START, message, with_properties};
use crate::engine::SessionId;
use crate::engine::queries::READ_AT_ONCE;
use crate::store::watched::Watched;
use crate::store::{DiskStore, MemoryStore, Store};

fn query(key: &str) -> QueryMessages {
    QueryMessages {
        topic: "orders".into(),
        key: key.into(),
        max_count: 32,
        begin_ms: 0,
        end_ms: i64::MAX,
        index_type: None,
        by_unique_id: None,
    }
}

fn found(answer: &Command) -> Vec<String> {
    let query: posthaste_protocol::request::QueryAnswer = answer.read().expect("an answer");
    assert!(query.index_updated_at_ms.is_some() && query.index_physical_offset.is_some());
    let messages = StoredMessage::decode_all(query.messages).expect("records");
    messages.iter().map(|m| String::from_utf8_lossy(&m.body).into_owned()).collect()
}

fn ask(bench: &mut Bench, query: &QueryMessages) -> Vec<String> {
    let answer = bench.ask(2, query);
    match answer.response_code() {
        ResponseCode::SUCCESS => found(&answer),
        ResponseCode::QUERY_NOT_FOUND => {
            let remark = "can not find message, maybe time range not correct";
            assert_eq!(answer.remark.as_deref(), Some(remark));
            Vec::new()
        }
        other => panic!("{other}: {:?}", answer.remark),
    }
}

fn stores() -> [Box<dyn Store>; 2] {
    let disk = DiskStore::with_backend(Watched::default(), u64::MAX).expect("open");
    [Box::new(MemoryStore::new(1 << 30)), Box::new(disk)]
}

#[test]
fn messages_are_found_by_what_they_are_called() {
    for store in stores() {
        let mut bench = Bench::with_store(store);
        for (queue, body, properties) in [
            (0, "a", [("KEYS", "red blue"), ("UNIQ_KEY", "id-a"), ("TAGS", "t")]),
            (1, "b", [("KEYS", "blue"), ("UNIQ_KEY", "id-b"), ("TAGS", "u")]),
            (3, "c", [("KEYS", "blueish"), ("UNIQ_KEY", "id-c"), ("TAGS", "t")]),
            // Sent twice, since the first answer was lost.
            (2, "b again", [("KEYS", "blue"), ("UNIQ_KEY", "id-b"), ("TAGS", "blue")]),
        ] {
            bench.call(0, &with_properties(&properties, message("orders", queue, body)));
            bench.pass(10);
        }
        let kind = |key: &str, kind| QueryMessages { index_type: Some(kind), ..query(key) };
        let unique = |key: &str| QueryMessages { by_unique_id: Some(true), ..query(key) };
        let cases: Vec<(QueryMessages, &[&str])> = vec![
            (query("blue"), &["a", "b", "b again"]),
            (query("red"), &["a"]),
            (query("red blue"), &[]),
            (query("id-a"), &[]),
            (query(""), &[]),
            (unique("id-b"), &["b", "b again"]),
            (unique("id-c"), &["c"]),
            (unique("blue"), &[]),
            (kind("blue", IndexType::Key), &["a", "b", "b again"]),
            (kind("t", IndexType::Tag), &["a", "c"]),
            (kind("id-a", IndexType::UniqueId), &["a"]),
            (QueryMessages { topic: "BenchmarkTest".into(), ..query("blue") }, &[]),
            (QueryMessages { topic: "nobody".into(), ..query("blue") }, &[]),
            (QueryMessages { max_count: 2, ..query("blue") }, &["b", "b again"]),
            (QueryMessages { max_count: 0, ..query("blue") }, &[]),
            (QueryMessages { max_count: -1, ..query("blue") }, &[]),
            (QueryMessages { max_count: 1, ..unique("id-b") }, &["b", "b again"]),
            (QueryMessages { begin_ms: START + 10, ..query("blue") }, &["b", "b again"]),
            (QueryMessages { begin_ms: START + 11, ..query("blue") }, &["b again"]),
            (QueryMessages { end_ms: START + 10, ..query("blue") }, &["a", "b"]),
            (QueryMessages { end_ms: START + 9, ..query("blue") }, &["a"]),
            (QueryMessages { begin_ms: 9, end_ms: 8, ..query("blue") }, &[]),
            (QueryMessages { begin_ms: i64::MIN, ..query("red") }, &["a"]),
        ];
        for (query, expected) in cases {
            assert_eq!(ask(&mut bench, &query), expected, "{query:?}");
        }
    }
}

#[test]
fn members_of_a_batch_and_messages_of_this_turn_are_found() {
    let mut bench = Bench::new();
    let mut body = bytes::BytesMut::new();
    for (text, key) in [("a", "KEYS\u{1}k\u{2}"), ("b", "KEYS\u{1}other k")] {
        posthaste_protocol::batch::put_entry(&mut body, 0, text.as_bytes(), key);
    }
    let sent = message("orders", 0, "");
    bench.put(
        0,
        &posthaste_protocol::request::SendBatch(posthaste_protocol::request::SendMessage {
            body: body.freeze(),
            batch: true,
            ..sent
        }),
    );
    assert_eq!(ask(&mut bench, &query("k")), ["a", "b"]);
}

#[test]
fn the_newest_of_all_queues_are_the_answer() {
    for store in stores() {
        let mut bench = Bench::with_store(store);
        for n in 0..400 {
            let key = if n % 2 == 0 { "even" } else { "odd" };
            let sent = message("orders", n / 100, &n.to_string());
            bench.put(0, &with_properties(&[("KEYS", key)], sent));
            if n % 7 == 0 {
                bench.settle();
            }
            bench.now += 1;
        }
        bench.settle();
        for count in [1, 20, 64, 1_000] {
            let expected: Vec<String> =
                (0..400).filter(|n| n % 2 == 0).map(|n: i32| n.to_string()).collect();
            let expected = &expected[expected.len() - 64.min(count as usize)..];
            let got = ask(&mut bench, &QueryMessages { max_count: count, ..query("even") });
            assert_eq!(got, expected, "{count}");
        }
    }
}

/// Four times what a turn reads, with what is looked for at the far end: others are served in
/// between.
#[test]
fn a_long_topic_is_read_in_pieces() {
    for store in stores() {
        let mut bench = Bench::with_store(store);
        bench.call(0, &with_properties(&[("KEYS", "needle")], message("orders", 0, "found")));
        let body = "x".repeat(READ_AT_ONCE / 16);
        for _ in 0..4 * 16 {
            bench.call(0, &message("orders", 0, &body));
        }
        let opaque = bench.put(1, &query("needle"));
        let mut turns = 0;
        let answer = loop {
            turns += 1;
            assert!(turns < 100, "no end");
            assert_eq!(bench.engine.next_wake(), Some(0), "it goes to sleep over it");
            let sent = bench.put(0, &message("orders", 1, "served"));
            bench.engine.tick(bench.now, &mut bench.effects);
            let mut left = bench.settle();
            let answers = |opaque| move |(_, c): &(u64, Command)| c.opaque == opaque;
            assert!(left.iter().any(answers(sent)), "the send waits for the query");
            if let Some(at) = left.iter().position(answers(opaque)) {
                break left.remove(at).1;
            }
        };
        assert_eq!(found(&answer), ["found"]);
        assert!((4..20).contains(&turns), "{turns} turns");
        bench.pass(1_000);
        assert_eq!(bench.engine.next_wake(), None);
    }
}

#[test]
fn many_queries_share_a_turn_and_too_many_are_refused() {
    let mut bench = Bench::new();
    let body = "x".repeat(READ_AT_ONCE);
    for _ in 0..3 {
        bench.call(0, &with_properties(&[("KEYS", "k")], message("orders", 0, &body)));
    }
    for n in 0..70 {
        bench.put(1 + n % 2, &QueryMessages { max_count: 1, ..query("k") });
    }
    let left = bench.settle();
    let refused = left.iter().filter(|(_, c)| c.response_code() == ResponseCode::SYSTEM_BUSY);
    assert_eq!(refused.count(), 6);
    // Who is gone is not searched for.
    bench.engine.close(SessionId(2), &mut bench.effects);
    let before = left.iter().filter(|(_, c)| c.response_code() == ResponseCode::SUCCESS).count();
    let (mut answers, mut turns) = (before, 0);
    while !bench.engine.queries.is_empty() {
        turns += 1;
        bench.engine.tick(bench.now, &mut bench.effects);
        let left = bench.settle();
        assert!(left.iter().all(|(session, _)| *session == 1));
        answers += left.len();
    }
    assert!((32..=33).contains(&answers), "{answers}");
    assert!(turns >= 30, "{turns}");
}

#[test]
fn enough_newer_messages_end_a_query() {
    for store in stores() {
        let mut bench = Bench::with_store(store);
        let body = "x".repeat(READ_AT_ONCE / 4);
        for n in 0..40 {
            bench.call(0, &with_properties(&[("KEYS", "k")], message("orders", n % 4, &body)));
            bench.now += 1;
        }
        bench.put(1, &QueryMessages { max_count: 2, ..query("k") });
        let mut turns = 1;
        while bench.settle().is_empty() {
            turns += 1;
            bench.engine.tick(bench.now, &mut bench.effects);
        }
        assert!(turns < 6, "it has read everything: {turns} turns");
    }
}

#[test]
fn an_answer_has_an_end_and_one_message_always() {
    let mut bench = Bench::new();
    let body = "x".repeat(1024 * 1024);
    for _ in 0..8 {
        bench.call(0, &with_properties(&[("KEYS", "k")], message("orders", 0, &body)));
    }
    let mut answer = |key: &str| {
        bench.put(1, &query(key));
        let mut left = bench.settle();
        left.extend(bench.pass(0));
        found(&left[0].1).len()
    };
    assert_eq!(answer("k"), 3);
    let longest = "x".repeat(4 * 1024 * 1024);
    bench.call(0, &with_properties(&[("KEYS", "long")], message("orders", 0, &longest)));
    let mut answer = |key: &str| {
        bench.put(1, &query(key));
        let mut left = bench.settle();
        left.extend(bench.pass(0));
        found(&left[0].1).len()
    };
    assert_eq!(answer("long"), 1);
}

#[test]
fn what_is_not_kept_is_not_found() {
    let mut bench = Bench::with_store(Box::new(MemoryStore::new(3_000)));
    for n in 0..40 {
        let n = n.to_string();
        bench.call(0, &with_properties(&[("KEYS", "k")], message("orders", 0, &n)));
    }
    let got = ask(&mut bench, &query("k"));
    assert!((5..20).contains(&got.len()), "{got:?}");
    assert_eq!(got.last().map(String::as_str), Some("39"));
}
