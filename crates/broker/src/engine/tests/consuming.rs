//! Pulls, and how far groups have come.

use bytes::Bytes;
use posthaste_protocol::request::{
    CheckClientConfig, ConsumerListOf, EarliestStoreTime, MaxOffset, MinOffset, Pull, PullAnswer,
    QueryConsumerOffset, RawBody, RouteOf, SearchOffset, Subscription, TopicListOf,
    UpdateConsumerOffset, ViewMessage, pull_flag,
};
use posthaste_protocol::{Command, Fields, RequestCode, ResponseCode, StoredMessage};

use super::harness::{
    Bench, START, heartbeat, message, pull, subscription, waiting, with_properties,
};
use crate::engine::SessionId;
use crate::engine::effects::{Caller, Effects, PLENTY};
use crate::request::Request;
use crate::store::MemoryStore;

/// As the C++ and the Python client write their heartbeats. They were refused, and received nothing.
#[test]
fn a_cpp_push_consumer_is_a_member_and_gets_what_it_subscribes_to() {
    let mut bench = Bench::new();
    bench.call(0, &with_properties(&[("TAGS", "TagA")], message("orders", 0, "wanted")));
    bench.call(0, &with_properties(&[("TAGS", "TagB")], message("orders", 0, "other")));
    let body = r#"{"clientID":"cpp","consumerDataSet":[{"consumeFromWhere":0,"consumeType":1,
        "groupName":"readers","messageModel":1,"subscriptionDataSet":[{"codeSet":["2598919"],
        "expressionType":null,"subString":"TagA","subVersion":"17","tagsSet":["TagA"],
        "topic":"orders"}],"unitMode":"false"}],"producerDataSet":[]}"#;
    let body = Bytes::from_static(body.as_bytes());
    let heartbeat = Command::request(RequestCode::HEART_BEAT, 1, Fields::new(), body);
    bench.engine.handle(bench.now, SessionId(1), Request::of(&heartbeat), &mut bench.effects);
    let left = bench.settle();
    let answer = left.iter().find(|(_, command)| command.is_answer()).expect("an answer");
    assert_eq!(answer.1.response_code(), ResponseCode::SUCCESS, "{:?}", answer.1.remark);
    let group = ConsumerListOf { group: "readers".into() };
    assert_eq!(bench.call(1, &group).client_ids, ["cpp"]);
    let request = Pull { sys_flag: 0, sub_version: 17, ..pull("orders", 0, 0) };
    let wanted = vec!["wanted".to_owned()];
    assert_eq!(found(&bench.ask(1, &request)), (ResponseCode::SUCCESS, 2, wanted));
}

/// `rocketmq-client-rust` 1.0.0 reads no route that does not say it.
#[test]
fn a_route_says_that_no_slave_stands_in() {
    let mut bench = Bench::new();
    let route = RouteOf { topic: "orders".into(), standard_json: None };
    let text = String::from_utf8_lossy(&bench.ask(0, &route).body).into_owned();
    assert!(text.contains(r#""enableActingMaster":false"#), "{text}");
}

pub(super) fn found(answer: &Command) -> (ResponseCode, i64, Vec<String>) {
    let pulled: PullAnswer = answer.read().expect("pull answer");
    let messages = StoredMessage::decode_all(pulled.messages).expect("records");
    let bodies = messages.iter().map(|m| String::from_utf8_lossy(&m.body).into_owned());
    (answer.response_code(), pulled.next_offset, bodies.collect())
}

pub(super) fn send_all(bench: &mut Bench, bodies: &[&str]) {
    for body in bodies {
        bench.call(0, &message("orders", 0, body));
    }
}

#[test]
fn a_pull_says_where_to_go_on() {
    let mut bench = Bench::new();
    send_all(&mut bench, &["a", "b", "c"]);
    let cases = [
        ("from the start", pull("orders", 0, 0), ResponseCode::SUCCESS, 3, vec!["a", "b", "c"]),
        ("from the middle", pull("orders", 0, 2), ResponseCode::SUCCESS, 3, vec!["c"]),
        ("at the end", pull("orders", 0, 3), ResponseCode::PULL_NOT_FOUND, 3, vec![]),
        ("behind the end", pull("orders", 0, 9), ResponseCode::PULL_OFFSET_MOVED, 3, vec![]),
        ("empty queue", pull("orders", 1, 0), ResponseCode::PULL_NOT_FOUND, 0, vec![]),
        ("empty queue, behind", pull("orders", 1, 5), ResponseCode::PULL_OFFSET_MOVED, 0, vec![]),
        (
            "few at a time",
            Pull { max_messages: 2, ..pull("orders", 0, 0) },
            ResponseCode::SUCCESS,
            2,
            vec!["a", "b"],
        ),
        (
            "few bytes, but one message always",
            Pull { max_bytes: Some(1), ..pull("orders", 0, 1) },
            ResponseCode::SUCCESS,
            2,
            vec!["b"],
        ),
    ];
    for (what, request, code, next, bodies) in cases {
        let answer = bench.ask(1, &request);
        let bodies: Vec<String> = bodies.into_iter().map(str::to_owned).collect();
        assert_eq!(found(&answer), (code, next, bodies), "{what}");
    }
}

#[test]
fn a_pull_that_cannot_be_is_refused() {
    let mut bench = Bench::new();
    let sql = Pull { expression_type: Some("SQL92".into()), ..pull("orders", 0, 0) };
    let from_heartbeat = Pull { sys_flag: 0, ..pull("orders", 0, 0) };
    for (what, request, code) in [
        ("unknown topic", pull("nobody", 0, 0), ResponseCode::TOPIC_NOT_EXIST),
        ("queue too large", pull("orders", 4, 0), ResponseCode::INVALID_PARAMETER),
        ("negative queue", pull("orders", -1, 0), ResponseCode::INVALID_PARAMETER),
        ("SQL92", sql, ResponseCode::SYSTEM_ERROR),
        ("no heartbeat", from_heartbeat, ResponseCode::SUBSCRIPTION_NOT_EXIST),
        (
            "bad group",
            Pull { group: "a/b".into(), ..pull("orders", 0, 0) },
            ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
        ),
    ] {
        assert_eq!(bench.code(1, &request), code, "{what}");
    }
}

#[test]
fn a_pull_without_subscription_uses_the_heartbeats() {
    let mut bench = Bench::new();
    for tag in ["red", "blue", "green"] {
        bench.call(0, &with_properties(&[("TAGS", tag)], message("orders", 0, tag)));
    }
    bench.call(0, &message("orders", 0, "untagged"));
    bench.call(1, &heartbeat("c1", "readers", subscription("orders", "red || green", 5)));
    let request = Pull { sys_flag: 0, sub_version: 5, ..pull("orders", 0, 0) };
    let answer = bench.ask(1, &request);
    assert_eq!(
        found(&answer),
        (ResponseCode::SUCCESS, 4, vec!["red".to_owned(), "green".to_owned()])
    );
    let newer = Pull { sub_version: 6, ..request.clone() };
    assert_eq!(bench.code(1, &newer), ResponseCode::SUBSCRIPTION_NOT_LATEST);
    let other = Pull { topic: "BenchmarkTest".into(), ..request };
    assert_eq!(bench.code(1, &other), ResponseCode::SUBSCRIPTION_NOT_EXIST);
}

/// Off by default, as on real brokers: the Go client received nothing, and got no error it showed.
#[test]
fn messages_are_chosen_by_expressions_where_that_is_allowed() {
    let mut bench = Bench::new();
    for price in ["3", "7", "cheap"] {
        bench.call(0, &with_properties(&[("price", price)], message("orders", 0, price)));
    }
    let sql = |expression: &str| Pull {
        expression_type: Some("SQL92".into()),
        subscription: Some(expression.into()),
        ..pull("orders", 0, 0)
    };
    let wanted = sql("price > 5 AND price IS NOT NULL");
    let check = |expression: &str| CheckClientConfig {
        subscription: Subscription {
            expression_type: "SQL92".into(),
            ..subscription("orders", expression, 1)
        },
        ..CheckClientConfig::default()
    };
    let refused = bench.ask(1, &check("price > 5"));
    assert_eq!(refused.response_code(), ResponseCode::SYSTEM_ERROR);
    let why = "The broker does not support consumer to filter message by SQL92";
    assert_eq!(refused.remark.as_deref(), Some(why));
    assert_eq!(bench.code(1, &wanted), ResponseCode::SYSTEM_ERROR);

    bench.engine.sql_filters = true;
    bench.call(1, &check("price > 5"));
    assert_eq!(bench.code(1, &check("price >")), ResponseCode::SUBSCRIPTION_PARSE_FAILED);
    assert_eq!(bench.code(1, &sql("price >")), ResponseCode::SUBSCRIPTION_PARSE_FAILED);
    let seven = vec!["7".to_owned()];
    assert_eq!(found(&bench.ask(1, &wanted)), (ResponseCode::SUCCESS, 3, seven.clone()));
    // As heartbeats say it.
    let mut greeting = heartbeat("c1", "readers", subscription("orders", "price = 7", 5));
    greeting.consumers[0].subscriptions[0].expression_type = "SQL92".into();
    bench.call(1, &greeting);
    let request = Pull { sys_flag: 0, sub_version: 5, ..pull("orders", 0, 0) };
    assert_eq!(found(&bench.ask(1, &request)), (ResponseCode::SUCCESS, 3, seven));
}

#[test]
fn what_does_not_match_is_skipped_with_20() {
    let mut bench = Bench::new();
    send_all(&mut bench, &["a", "b"]);
    let request = Pull { subscription: Some("red".into()), ..pull("orders", 0, 0) };
    assert_eq!(found(&bench.ask(1, &request)), (ResponseCode::PULL_RETRY_IMMEDIATELY, 2, vec![]));
}

/// Otherwise a client that asks for a large message often enough would fill the memory with its
/// answers.
#[test]
fn a_turn_has_no_more_than_plenty_for_a_session() {
    let mut bench = Bench::new();
    let body = "x".repeat(300_000);
    send_all(&mut bench, &[&body]);
    for _ in 0..100 {
        bench.put(1, &pull("orders", 0, 0));
        // The message wakes the pulls that wait.
        bench.put(1, &waiting(5_000, pull("orders", 1, 0)));
    }
    bench.put(2, &message("orders", 1, &body));
    let left = bench.settle();
    let pulled: Vec<_> = left.iter().filter(|(session, _)| *session == 1).collect();
    let count = |code| pulled.iter().filter(|(_, c)| c.response_code() == code).count();
    let with_message = count(ResponseCode::SUCCESS);
    assert!((7..=8).contains(&with_message), "{with_message}");
    assert_eq!(count(ResponseCode::PULL_RETRY_IMMEDIATELY), 200 - with_message);
    let later = pulled.iter().find(|(_, c)| c.response_code() != ResponseCode::SUCCESS).unwrap();
    assert_eq!(found(&later.1).1, 0, "it goes on where it was");
}

fn fill_with_blue(bench: &mut Bench, count: usize) {
    let body = "x".repeat(100_000);
    for _ in 0..count {
        bench.put(0, &with_properties(&[("TAGS", "blue")], message("orders", 0, &body)));
    }
    bench.settle();
}

fn red(offset: i64) -> Pull {
    Pull { subscription: Some("red".into()), ..pull("orders", 0, offset) }
}

#[test]
fn a_filter_that_seldom_matches_reads_a_piece_at_a_time() {
    let mut bench = Bench::new();
    fill_with_blue(&mut bench, 30);
    let mut stops = Vec::new();
    let mut next = 0;
    while next < 30 {
        let (code, stop, _) = found(&bench.ask(1, &red(next)));
        assert_eq!(code, ResponseCode::PULL_RETRY_IMMEDIATELY);
        assert!(stop > next, "it does not get on from {next}");
        next = stop;
        stops.push(stop);
    }
    assert_eq!(stops, [11, 22, 30]);
    // One message is read, however long it is.
    let long = "x".repeat(2_000_000);
    bench.call(0, &message("orders", 0, &long));
    assert_eq!(found(&bench.ask(1, &red(30))).1, 31);
    assert_eq!(found(&bench.ask(1, &pull("orders", 0, 30))).2, [long]);
}

#[test]
fn a_turn_reads_no_more_than_so_much_for_all_pulls() {
    let mut bench = Bench::new();
    fill_with_blue(&mut bench, 30);
    bench.put(3, &waiting(15_000, pull("orders", 1, 0)));
    bench.put(
        3,
        &waiting(15_000, Pull { subscription: Some("red".into()), ..pull("orders", 2, 0) }),
    );
    for _ in 0..50 {
        bench.put(1, &red(0));
        bench.put(2, &red(0));
    }
    bench.put(0, &message("orders", 1, "there"));
    bench.put(0, &message("orders", 2, "not wanted"));
    let left = bench.settle();
    let pulled: Vec<_> = left.iter().filter(|(session, _)| *session > 0).collect();
    assert_eq!(pulled.len(), 102);
    let mut got_on = 0;
    for (_, answer) in pulled {
        let (code, next, bodies) = found(answer);
        assert_eq!((code, bodies.len()), (ResponseCode::PULL_RETRY_IMMEDIATELY, 0));
        got_on += usize::from(next > 0);
    }
    assert!((15..=17).contains(&got_on), "{got_on}");
    assert_eq!(found(&bench.ask(1, &red(0))).1, 11, "the next turn");
    assert_eq!(found(&bench.ask(3, &pull("orders", 1, 0))).2, ["there"]);
}

#[test]
fn whoever_has_plenty_is_asked_to_come_again_for_what_might_be_large() {
    let mut bench = Bench::new();
    let beat = heartbeat("c1", "readers", subscription("orders", "*", 1));
    bench.call(2, &beat);
    send_all(&mut bench, &[&"x".repeat(300_000)]);
    let sent = bench.read("orders", 0).remove(0);
    let view = ViewMessage { offset: sent.physical_offset, topic: None };
    for _ in 0..100 {
        bench.put(1, &view);
    }
    let (topics, members) = (TopicListOf, ConsumerListOf { group: "readers".into() });
    bench.put(1, &topics);
    bench.put(1, &members);
    bench.put(1, &MaxOffset { topic: "orders".into(), ..MaxOffset::default() });
    // Others have their own measure.
    bench.put(2, &view);
    bench.put(2, &topics);
    bench.put(2, &members);
    let left = bench.settle();
    let codes = |session| {
        let own = left.iter().filter(move |(to, _)| *to == session);
        own.map(|(_, command)| command.response_code()).collect::<Vec<_>>()
    };
    let mut expected = vec![ResponseCode::SUCCESS; 7];
    expected.resize(102, ResponseCode::SYSTEM_BUSY);
    expected.push(ResponseCode::SUCCESS);
    assert_eq!(codes(1), expected);
    assert_eq!(codes(2), [ResponseCode::SUCCESS; 3]);
    assert_eq!(bench.code(1, &view), ResponseCode::SUCCESS, "the next turn");
}

/// Answers that leave only after the commit are there as well.
#[test]
fn what_waits_for_the_commit_counts_too() {
    let mut effects = Effects::default();
    let caller = Caller { session: SessionId(1), opaque: 1, oneway: false };
    effects.answer_after_commit(caller, Ok(RawBody(vec![0; PLENTY - 1_000].into())));
    assert!(effects.check_room(caller.session).is_ok());
    effects.answer(caller, Ok(RawBody(vec![0; 1_000].into())));
    assert!(effects.check_room(caller.session).is_err());
    assert!(effects.check_room(SessionId(2)).is_ok());
}

#[test]
fn a_waiting_pull_is_woken_by_a_message_once_it_is_committed() {
    let mut bench = Bench::new();
    let opaque = bench.put(1, &waiting(15_000, pull("orders", 0, 0)));
    assert!(bench.settle().is_empty(), "answered though there is nothing");
    bench.call(0, &message("orders", 1, "another queue"));
    bench.put(0, &message("orders", 0, "there"));
    assert!(bench.taken().is_empty(), "answered before the commit");
    let left = bench.settle();
    let (_, answer) = left.iter().find(|(to, _)| *to == 1).expect("the pull's answer");
    assert_eq!(answer.opaque, opaque);
    assert_eq!(found(answer), (ResponseCode::SUCCESS, 1, vec!["there".to_owned()]));
    assert!(bench.pass(100_000).is_empty(), "answered twice");
}

#[test]
fn so_many_pulls_of_a_session_wait_and_one_more_is_answered_at_once() {
    let mut bench = Bench::new();
    for _ in 0..2_048 {
        bench.put(1, &waiting(15_000, pull("orders", 0, 0)));
    }
    assert!(bench.settle().is_empty());
    let more = waiting(15_000, pull("orders", 1, 0));
    assert_eq!(bench.code(1, &more), ResponseCode::PULL_NOT_FOUND);
    bench.put(2, &more);
    assert!(bench.settle().is_empty(), "others have their own places");
    // The end of a wait makes room.
    assert_eq!(bench.pass(15_000).len(), 2_049);
    for _ in 0..2_048 {
        bench.put(1, &waiting(15_000, pull("orders", 0, 0)));
    }
    assert!(bench.settle().is_empty());
    bench.call(0, &message("orders", 0, "x"));
    for _ in 0..2_048 {
        bench.put(1, &more);
    }
    assert!(bench.settle().is_empty());
    bench.engine.close(SessionId(1), &mut bench.effects);
    bench.put(1, &more);
    assert!(bench.settle().is_empty());
    let queue = bench.engine.topics.get("orders").expect("the topic").key(1);
    let parked = bench.engine.parked.of_queue(queue);
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].pull.subscription, None, "a text that is not needed");
}

#[test]
fn a_waiting_pull_ends_in_time() {
    let mut bench = Bench::new();
    bench.put(1, &waiting(15_000, pull("orders", 0, 0)));
    bench.settle();
    assert!(bench.pass(14_999).is_empty());
    let left = bench.pass(1);
    assert_eq!(found(&left[0].1), (ResponseCode::PULL_NOT_FOUND, 0, vec![]));
}

#[test]
fn what_is_not_wanted_does_not_wake_but_is_reported_at_the_end() {
    let mut bench = Bench::new();
    let red = Pull { subscription: Some("red".into()), ..pull("orders", 0, 0) };
    bench.put(1, &waiting(15_000, red));
    bench.settle();
    bench.put(0, &with_properties(&[("TAGS", "blue")], message("orders", 0, "x")));
    assert!(bench.settle().iter().all(|(to, _)| *to == 0));
    let left = bench.pass(15_000);
    assert_eq!(found(&left[0].1), (ResponseCode::PULL_RETRY_IMMEDIATELY, 1, vec![]));
}

#[test]
fn the_pulls_of_a_closed_session_are_forgotten() {
    let mut bench = Bench::new();
    bench.put(1, &waiting(15_000, pull("orders", 0, 0)));
    bench.settle();
    bench.engine.close(SessionId(1), &mut bench.effects);
    bench.put(0, &message("orders", 0, "x"));
    assert!(bench.settle().iter().all(|(to, _)| *to == 0));
}

#[test]
fn a_dropped_message_moves_the_least_offset() {
    let mut bench = Bench::with_store(Box::new(MemoryStore::new(2_000)));
    for n in 0..100 {
        bench.call(0, &message("orders", n % 2, "0123456789"));
    }
    let min = bench.call(0, &MinOffset { topic: "orders".into(), ..MinOffset::default() }).offset;
    assert!(min > 40, "{min}");
    let max = bench.call(0, &MaxOffset { topic: "orders".into(), ..MaxOffset::default() }).offset;
    assert_eq!(max, 50);
    let answer = bench.ask(1, &pull("orders", 0, 0));
    assert_eq!(found(&answer), (ResponseCode::PULL_OFFSET_MOVED, min, vec![]));
    assert_eq!(bench.read("orders", 0).len() as i64, max - min);
}

#[test]
fn offsets_by_time() {
    let mut bench = Bench::new();
    for body in ["a", "b", "c"] {
        bench.call(0, &message("orders", 0, body));
        bench.pass(10);
    }
    let search = |timestamp_ms, boundary: Option<&str>| SearchOffset {
        topic: "orders".into(),
        timestamp_ms,
        boundary: boundary.map(str::to_owned),
        ..SearchOffset::default()
    };
    for (time, lower, upper) in [
        (START - 1, 0, 0),
        (START, 0, 0),
        (START + 1, 1, 0),
        (START + 10, 1, 1),
        (START + 20, 2, 2),
        (START + 21, 3, 2),
    ] {
        assert_eq!(bench.call(0, &search(time, None)).offset, lower, "{time}");
        assert_eq!(bench.call(0, &search(time, Some("UPPER"))).offset, upper, "{time}");
    }
    let oldest = EarliestStoreTime { topic: "orders".into(), ..EarliestStoreTime::default() };
    assert_eq!(bench.call(0, &oldest).timestamp_ms, START);
    let empty = EarliestStoreTime { queue_id: 1, ..oldest };
    assert_eq!(bench.call(0, &empty).timestamp_ms, -1);
}

#[test]
fn a_groups_offset_is_what_it_said_last() {
    let mut bench = Bench::new();
    let query = |topic: &str, queue_id| QueryConsumerOffset {
        group: "readers".into(),
        topic: topic.into(),
        queue_id,
        ..QueryConsumerOffset::default()
    };
    let update = |offset| UpdateConsumerOffset {
        group: "readers".into(),
        topic: "orders".into(),
        offset,
        ..UpdateConsumerOffset::default()
    };
    assert_eq!(bench.call(0, &query("orders", 0)).offset, 0, "a young queue begins at 0");
    let strict = QueryConsumerOffset { zero_if_missing: Some(false), ..query("orders", 0) };
    assert_eq!(bench.code(0, &strict), ResponseCode::QUERY_NOT_FOUND);
    assert_eq!(bench.code(0, &query("nobody", 0)), ResponseCode::QUERY_NOT_FOUND);
    bench.call(0, &heartbeat("c1", "readers", subscription("orders", "*", 1)));
    for (said, known) in [(5, 5), (-1, 5), (2, 2)] {
        bench.call(0, &update(said));
        assert_eq!(bench.call(0, &query("orders", 0)).offset, known);
    }
    let no_queue = UpdateConsumerOffset { queue_id: 4, ..update(1) };
    assert_eq!(bench.code(0, &no_queue), ResponseCode::INVALID_PARAMETER);
    let elsewhere = UpdateConsumerOffset { topic: "nobody".into(), ..update(1) };
    assert_eq!(bench.code(0, &elsewhere), ResponseCode::TOPIC_NOT_EXIST);
    let by_pull = Pull {
        sys_flag: pull_flag::SUBSCRIPTION | pull_flag::COMMIT,
        commit_offset: 9,
        ..pull("orders", 0, 0)
    };
    bench.ask(0, &by_pull);
    assert_eq!(bench.call(0, &query("orders", 0)).offset, 9);
}

#[test]
fn a_new_group_on_an_old_queue_has_no_offset() {
    let mut bench = Bench::with_store(Box::new(MemoryStore::new(1_000)));
    for _ in 0..20 {
        bench.call(0, &message("orders", 0, "0123456789"));
    }
    let query = QueryConsumerOffset {
        group: "readers".into(),
        topic: "orders".into(),
        ..QueryConsumerOffset::default()
    };
    assert_eq!(bench.code(0, &query), ResponseCode::QUERY_NOT_FOUND);
}
