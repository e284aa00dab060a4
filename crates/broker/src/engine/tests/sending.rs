//! What is stored, what is refused, and how.

use bytes::{Bytes, BytesMut};
use posthaste_protocol::batch::put_entry;
use posthaste_protocol::request::{
    CreateTopic, RouteOf, SendAnswer, SendBatch, SendMessage, SendMessageV1, ViewMessage,
};
use posthaste_protocol::stored::sys_flag;
use posthaste_protocol::{Command, Fields, RequestCode, ResponseCode, StoredMessage};

use super::harness::{Bench, START, message, with_properties};
use crate::engine::SessionId;
use crate::request::Request;
use crate::store::MemoryStore;

#[test]
fn a_message_is_stored_as_a_5_x_broker_stores_it() {
    let mut bench = Bench::new();
    let sent =
        SendMessage { flag: 7, sys_flag: sys_flag::COMPRESSED, ..message("orders", 1, "hi") };
    let sent = with_properties(&[("TAGS", "a"), ("UNIQ_KEY", "the id")], sent);
    let answer = bench.call(0, &sent);
    assert_eq!((answer.queue_id, answer.queue_offset), (1, 0));
    assert_eq!(answer.transaction_id.as_deref(), Some("the id"));
    assert_eq!(answer.region.as_deref(), Some("DefaultRegion"));
    assert_eq!(answer.trace_on, Some(true));

    let stored = bench.read("orders", 1).remove(0);
    assert_eq!(stored.body, "hi");
    assert_eq!(stored.flag, 7);
    assert_eq!(stored.sys_flag, sys_flag::COMPRESSED);
    assert_eq!((stored.born_at_ms, stored.stored_at_ms), (START - 5, START));
    assert_eq!(stored.born_host.to_string(), "127.0.0.1:50000");
    assert_eq!(stored.store_host.to_string(), "127.0.0.1:10911");
    for (name, value) in [
        ("TAGS", "a"),
        ("UNIQ_KEY", "the id"),
        ("CLUSTER", "DefaultCluster"),
        ("MSG_REGION", "DefaultRegion"),
        ("TRACE_ON", "true"),
    ] {
        assert_eq!(stored.property(name), Some(value), "{name}");
    }
    let view = ViewMessage { offset: stored.physical_offset, topic: None };
    let viewed = StoredMessage::decode_all(bench.call(0, &view).0).expect("record");
    assert_eq!(viewed, [stored]);
}

#[test]
fn both_header_forms_store_the_same() {
    let mut bench = Bench::new();
    bench.call(0, &message("orders", 0, "v2"));
    bench.call(0, &SendMessageV1(message("orders", 0, "v1")));
    assert_eq!(bench.bodies("orders", 0), ["v2", "v1"]);
}

#[test]
fn a_negative_queue_leaves_the_choice_to_the_broker() {
    let mut bench = Bench::new();
    let mut used: Vec<i32> =
        (0..64).map(|_| bench.call(0, &message("orders", -1, "x")).queue_id).collect();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used, [0, 1, 2, 3]);
}

#[test]
fn what_breaks_a_rule_is_refused_with_the_code_of_5_x() {
    let long = "t".repeat(128);
    let body = "x".repeat(4 * 1024 * 1024 + 1);
    let value = "v".repeat(32 * 1024);
    let cases: Vec<(&str, SendMessage<'static>, ResponseCode)> = vec![
        ("blank topic", message(" ", 0, "x"), ResponseCode::INVALID_PARAMETER),
        ("no topic", message("", 0, "x"), ResponseCode::INVALID_PARAMETER),
        ("slash", message("../../x", 0, "x"), ResponseCode::INVALID_PARAMETER),
        ("long topic", message(&long, 0, "x"), ResponseCode::INVALID_PARAMETER),
        ("queue too large", message("orders", 4, "x"), ResponseCode::INVALID_PARAMETER),
        ("queue far too large", message("orders", i32::MAX, "x"), ResponseCode::INVALID_PARAMETER),
        ("system topic", message("SCHEDULE_TOPIC_XXXX", 0, "x"), ResponseCode::NO_PERMISSION),
        ("half topic", message("RMQ_SYS_TRANS_HALF_TOPIC", 0, "x"), ResponseCode::NO_PERMISSION),
        ("empty body", message("orders", 0, ""), ResponseCode::MESSAGE_ILLEGAL),
        ("long body", message("orders", 0, &body), ResponseCode::MESSAGE_ILLEGAL),
        (
            "long properties",
            with_properties(&[("k", &value)], message("orders", 0, "x")),
            ResponseCode::MESSAGE_ILLEGAL,
        ),
        ("timer topic", message("rmq_sys_wheel_timer", 0, "x"), ResponseCode::NO_PERMISSION),
        (
            "a time that is none",
            with_properties(&[("TIMER_DELIVER_MS", "soon")], message("orders", 0, "x")),
            ResponseCode::MESSAGE_ILLEGAL,
        ),
        (
            "a half message with such a time",
            with_properties(
                &[("TRAN_MSG", "true"), ("TIMER_DELAY_SEC", "259201")],
                message("orders", 0, "x"),
            ),
            ResponseCode::MESSAGE_ILLEGAL,
        ),
        (
            "unknown topic, unknown default topic",
            SendMessage { default_topic: "nobody".into(), ..message("new", 0, "x") },
            ResponseCode::TOPIC_NOT_EXIST,
        ),
    ];
    for (what, sent, code) in cases {
        let mut bench = Bench::new();
        let answer = bench.ask(0, &sent);
        assert_eq!(answer.response_code(), code, "{what}: {:?}", answer.remark);
        assert!(answer.remark.is_some(), "{what}");
        for queue in 0..4 {
            assert!(bench.read("orders", queue).is_empty(), "{what} was stored");
        }
    }
}

#[test]
fn what_is_just_allowed_is_stored() {
    let topic = "t".repeat(127);
    let body = "x".repeat(4 * 1024 * 1024);
    let mut bench = Bench::new();
    for sent in [message(&topic, 0, "x"), message("%a|b_c-D9", 0, "x"), message("orders", 3, &body)]
    {
        assert_eq!(bench.code(0, &sent), ResponseCode::SUCCESS);
    }
}

#[test]
fn a_new_topic_takes_after_the_default_topic() {
    let mut bench = Bench::new();
    for (topic, asked, queues) in [("four", 4, 4), ("many", 100, 8)] {
        let sent = SendMessage { default_topic_queues: asked, ..message(topic, 0, "x") };
        bench.call(0, &sent);
        let route = bench.call(0, &RouteOf { topic: topic.into(), standard_json: None });
        assert_eq!(route.queues[0].write_queue_nums, queues);
        assert_eq!(route.queues[0].perm, 6);
    }
}

#[test]
fn without_auto_creation_there_is_no_default_topic() {
    let mut bench = Bench::with(Box::new(MemoryStore::new(1 << 20)), None);
    assert_eq!(bench.code(0, &message("new", 0, "x")), ResponseCode::TOPIC_NOT_EXIST);
    let route = RouteOf { topic: "TBW102".into(), standard_json: None };
    assert_eq!(bench.code(0, &route), ResponseCode::TOPIC_NOT_EXIST);
    assert_eq!(bench.code(0, &message("orders", 0, "x")), ResponseCode::SUCCESS);
}

#[test]
fn there_is_an_end_to_topics() {
    let mut bench = Bench::new();
    let created = (0..1_100)
        .filter(|n| bench.code(0, &message(&format!("t{n}"), 0, "x")) == ResponseCode::SUCCESS)
        .count();
    assert_eq!(bench.engine.topics.len(), 1_000);
    assert!(created > 980);
    assert_eq!(bench.code(0, &message("orders", 0, "x")), ResponseCode::SUCCESS);
}

#[test]
fn topics_are_created_and_changed_on_request() {
    let mut bench = Bench::new();
    let create = |topic: &str, read, write, perm| CreateTopic {
        topic: topic.into(),
        default_topic: "TBW102".into(),
        read_queues: read,
        write_queues: write,
        perm,
        ..CreateTopic::default()
    };
    bench.call(0, &create("made", 3, 2, 6));
    let route = bench.call(0, &RouteOf { topic: "made".into(), standard_json: None });
    assert_eq!((route.queues[0].read_queue_nums, route.queues[0].write_queue_nums), (3, 2));
    bench.call(0, &message("made", 2, "kept"));
    bench.call(0, &create("made", 1, 1, 4));
    let route = bench.call(0, &RouteOf { topic: "made".into(), standard_json: None });
    assert_eq!((route.queues[0].write_queue_nums, route.queues[0].perm), (1, 4));
    bench.call(0, &create("made", 3, 3, 6));
    assert_eq!(bench.bodies("made", 2), ["kept"]);
    for wrong in [
        create("a/b", 1, 1, 6),
        create("TBW102", 1, 1, 6),
        create("SCHEDULE_TOPIC_XXXX", 1, 1, 6),
        create("DefaultCluster", 1, 1, 6),
        create("x", -1, 1, 6),
        create("x", 1, 1_025, 6),
        create("x", 1, 1, 8),
    ] {
        assert_eq!(bench.code(0, &wrong), ResponseCode::INVALID_PARAMETER, "{wrong:?}");
    }
}

#[test]
fn attributes_are_remembered_and_wrong_ones_refused() {
    let mut bench = Bench::new();
    let create = |attributes: &str| CreateTopic {
        topic: "typed".into(),
        read_queues: 2,
        write_queues: 2,
        perm: 6,
        attributes: Some(attributes.into()),
        ..CreateTopic::default()
    };
    let known = |bench: &Bench| {
        let topic = bench.engine.topics.get("typed");
        topic.map(|topic| topic.config.attributes.clone().into_iter().collect::<Vec<_>>())
    };
    assert_eq!(bench.code(0, &create("+colour=blue")), ResponseCode::SYSTEM_ERROR);
    assert_eq!(known(&bench), None, "it was created nevertheless");
    bench.call(0, &create("+message.type=FIFO"));
    let fifo = Some(vec![("message.type".to_owned(), "FIFO".to_owned())]);
    assert_eq!(known(&bench), fifo);
    bench.call(0, &CreateTopic { read_queues: 4, attributes: None, ..create("") });
    bench.call(0, &create(""));
    assert_eq!(bench.code(0, &create("+queue.type=BatchCQ")), ResponseCode::SYSTEM_ERROR);
    assert_eq!(known(&bench), fifo);
    bench.call(0, &create("-message.type"));
    assert_eq!(known(&bench), Some(Vec::new()));
}

/// Messages that need special consumers are at least not lost.
#[test]
fn light_queues_priorities_and_lite_topics_stay_with_their_message() {
    let mut bench = Bench::new();
    let properties = [
        ("INNER_MULTI_DISPATCH", "%LMQ%one,%LMQ%two"),
        ("_SYS_MSG_PRIORITY_", "3"),
        ("__LITE_TOPIC", "lite"),
    ];
    bench.call(0, &with_properties(&properties, message("orders", 0, "x")));
    let stored = bench.read("orders", 0).remove(0);
    for (name, value) in properties {
        assert_eq!(stored.property(name), Some(value));
    }
}

fn batch(topic: &str, entries: &[(&str, &str)]) -> SendBatch<'static> {
    let mut body = BytesMut::new();
    for (text, properties) in entries {
        put_entry(&mut body, 3, text.as_bytes(), properties);
    }
    let sent = with_properties(&[("UNIQ_KEY", "batch id")], message(topic, 2, ""));
    SendBatch(SendMessage { body: body.freeze(), batch: true, ..sent })
}

#[test]
fn a_batch_gets_consecutive_places_and_keeps_its_properties() {
    let mut bench = Bench::new();
    bench.call(0, &message("orders", 2, "before"));
    let answer: SendAnswer = bench
        .call(0, &batch("orders", &[("a", "TAGS\u{1}t\u{2}"), ("b", "KEYS\u{1}k"), ("c", "")]));
    assert_eq!(answer.queue_offset, 1);
    assert_eq!(answer.transaction_id.as_deref(), Some("batch id"));
    let ids: Vec<&str> = answer.offset_message_id.split(',').collect();
    assert_eq!(ids.len(), 3);
    let stored = bench.read("orders", 2);
    let places: Vec<i64> = stored.iter().map(|m| m.queue_offset).collect();
    assert_eq!(places, [0, 1, 2, 3]);
    assert_eq!(stored[1].properties, "TAGS\u{1}t\u{2}");
    assert_eq!(stored[2].properties, "KEYS\u{1}k");
    assert_eq!(stored[3].flag, 3);
    for (id, message) in ids.iter().zip(&stored[1..]) {
        assert!(id.ends_with(&format!("{:016X}", message.physical_offset)));
    }
}

#[test]
fn a_batch_is_stored_whole_or_not_at_all() {
    let mut bench = Bench::new();
    let whole = batch("orders", &[("a", ""), ("b", "")]).0;
    let mut long = BytesMut::from(&*whole.body);
    long.extend_from_slice(&[0, 0]);
    let mut beyond = BytesMut::from(&*whole.body);
    beyond[16..20].copy_from_slice(&1_000i32.to_be_bytes());
    let mut negative = BytesMut::from(&*whole.body);
    negative[16..20].copy_from_slice(&(-1i32).to_be_bytes());
    for (what, body) in [
        ("cut short", whole.body.slice(..whole.body.len() - 1)),
        ("longer than its entries", long.freeze()),
        ("an entry longer than the rest", beyond.freeze()),
        ("a negative length", negative.freeze()),
    ] {
        let wrong = SendMessage { body, ..whole.clone() };
        assert_eq!(bench.code(0, &wrong), ResponseCode::SYSTEM_ERROR, "{what}");
    }
    for (what, wrong) in [
        ("retry topic", SendMessage { topic: "%RETRY%g".into(), queue_id: 0, ..whole.clone() }),
        ("transaction", SendMessage { sys_flag: 4, ..whole.clone() }),
        ("delay", with_properties(&[("DELAY", "3")], whole.clone())),
        ("timer", with_properties(&[("TIMER_DELAY_MS", "3")], whole.clone())),
        ("no entry", SendMessage { body: Bytes::new(), ..whole.clone() }),
    ] {
        assert_eq!(bench.code(0, &wrong), ResponseCode::MESSAGE_ILLEGAL, "{what}");
    }
    assert!(bench.read("orders", 2).is_empty());
    assert_eq!(bench.call(0, &whole).queue_offset, 0, "an offset was used up");
}

#[test]
fn a_oneway_request_is_done_and_never_answered() {
    let mut bench = Bench::new();
    bench.put_as(0, &message("orders", 0, "quiet"), true);
    bench.put_as(0, &message("a/b", 0, "wrong"), true);
    bench.put_as(0, &RouteOf { topic: "nobody".into(), standard_json: None }, true);
    assert!(bench.settle().is_empty());
    assert_eq!(bench.bodies("orders", 0), ["quiet"]);
}

#[test]
fn unknown_codes_and_bad_fields_are_answered() {
    let mut bench = Bench::new();
    for (code, answer) in [
        (RequestCode(25), ResponseCode::REQUEST_CODE_NOT_SUPPORTED),
        (RequestCode(100), ResponseCode::REQUEST_CODE_NOT_SUPPORTED),
        (RequestCode(318), ResponseCode::REQUEST_CODE_NOT_SUPPORTED),
        (RequestCode(401), ResponseCode::REQUEST_CODE_NOT_SUPPORTED),
        (RequestCode(-7), ResponseCode::REQUEST_CODE_NOT_SUPPORTED),
        (RequestCode::SEND_MESSAGE, ResponseCode::SYSTEM_ERROR),
        (RequestCode::HEART_BEAT, ResponseCode::SYSTEM_ERROR),
        (RequestCode::PULL_MESSAGE, ResponseCode::SYSTEM_ERROR),
    ] {
        let command = Command::request(code, 5, Fields::new(), Bytes::new());
        bench.engine.handle(START, SessionId(0), Request::of(&command), &mut bench.effects);
        let (_, answered) = bench.settle().remove(0);
        assert_eq!(answered.response_code(), answer, "{code}");
        assert_eq!(answered.opaque, 5);
        assert!(answered.remark.is_some());
    }
}

#[test]
fn a_delayed_message_comes_when_it_is_due() {
    let mut bench = Bench::new();
    let sent = with_properties(&[("DELAY", "2"), ("KEYS", "k")], message("orders", 3, "later"));
    let answer = bench.call(0, &sent);
    assert_eq!(answer.queue_id, 3);
    assert!(bench.read("orders", 3).is_empty());
    bench.pass(4_999);
    assert!(bench.read("orders", 3).is_empty());
    bench.pass(1);
    let stored = bench.read("orders", 3).remove(0);
    assert_eq!(stored.body, "later");
    assert_eq!(stored.topic, "orders");
    assert_eq!(stored.property("KEYS"), Some("k"));
    assert_eq!(stored.stored_at_ms, START + 5_000);
    bench.pass(100_000);
    assert_eq!(bench.read("orders", 3).len(), 1);
}

#[test]
fn every_delay_level_has_its_time() {
    const SECONDS: [i64; 18] =
        [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200];
    for (level, seconds) in (1..).zip(SECONDS).chain([(99, 7_200)]) {
        let mut bench = Bench::new();
        let level = level.to_string();
        bench.call(0, &with_properties(&[("DELAY", &level)], message("orders", 0, "x")));
        bench.pass(seconds * 1_000 - 1);
        assert!(bench.read("orders", 0).is_empty(), "level {level}");
        bench.pass(1);
        assert_eq!(bench.read("orders", 0).len(), 1, "level {level}");
    }
}

#[test]
fn many_delayed_messages_keep_their_order() {
    let mut bench = Bench::new();
    let bodies: Vec<String> = (0..1_500).map(|n| n.to_string()).collect();
    for body in &bodies {
        bench.put(0, &with_properties(&[("DELAY", "1")], message("orders", 0, body)));
    }
    bench.settle();
    bench.pass(1_000);
    assert_eq!(bench.bodies("orders", 0), bodies);
}
