//! Requests and replies: who waits for a reply gets it from the broker.

use bytes::Bytes;
use posthaste_protocol::request::{
    Heartbeat, PushReply, SendAnswer, SendMessage, SendReply, SendReplyV1, ViewMessage,
};
use posthaste_protocol::{Command, RequestCode, ResponseCode, StoredMessage};

use super::harness::{Bench, START, message, with_properties};
use crate::engine::SessionId;
use crate::request::Answer;
use crate::store::DiskStore;
use crate::store::watched::Watched;

const TOPIC: &str = "DefaultCluster_REPLY_TOPIC";

fn reply_to(client_id: &str) -> SendMessage<'static> {
    let properties = [
        ("MSG_TYPE", "reply"),
        ("CORRELATION_ID", "c-1"),
        ("REPLY_TO_CLIENT", client_id),
        ("TTL", "3000"),
        ("UNIQ_KEY", "id"),
    ];
    SendMessage { flag: 4, ..with_properties(&properties, message(TOPIC, 0, "pong")) }
}

fn bench_with_requester() -> Bench {
    let mut bench = Bench::new();
    bench.call(1, &Heartbeat { client_id: "requester".into(), ..Heartbeat::default() });
    bench
}

/// Sends a reply; what is pushed, and to whom.
fn pushed(bench: &mut Bench, reply: &SendMessage<'static>) -> (u64, Command, PushReply) {
    bench.put(0, &SendReply(reply.clone()));
    let mut left = bench.settle();
    assert_eq!(left.len(), 1, "{left:?}");
    let (session, command) = left.remove(0);
    assert_eq!(command.request_code(), RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT);
    assert!(!command.is_answer() && !command.is_oneway());
    let push = command.read().expect("a push");
    (session, command, push)
}

fn answer_push(bench: &mut Bench, session: u64, push: &Command, code: i32) -> Vec<(u64, Command)> {
    let (remark, body) = (None, Bytes::new());
    let answer = Answer { opaque: push.opaque, code: ResponseCode(code), remark, body };
    bench.engine.answered(SessionId(session), answer, &mut bench.effects);
    bench.settle()
}

#[test]
fn a_reply_comes_to_the_client_that_waits_and_is_stored_too() {
    let mut bench = bench_with_requester();
    let (session, command, push) = pushed(&mut bench, &reply_to("requester"));
    assert_eq!(session, 1);
    assert_eq!((push.group.as_str(), push.topic.as_str()), ("producers", TOPIC));
    assert_eq!((push.flag, push.queue_id, push.born_at_ms), (4, 0, START - 5));
    assert_eq!(
        (push.born_host.as_str(), push.store_host.as_str()),
        ("127.0.0.1:50000", "127.0.0.1:10911")
    );
    assert_eq!((push.stored_at_ms, &push.body[..]), (START, &b"pong"[..]));
    let properties = push.properties.expect("properties");
    let find = |name| posthaste_protocol::properties::find(&properties, name);
    assert_eq!(find("CORRELATION_ID"), Some("c-1"));
    assert_eq!(find("MSG_TYPE"), Some("reply"));
    assert_eq!(find("PUSH_REPLY_TIME"), Some(START.to_string().as_str()));

    let left = answer_push(&mut bench, 1, &command, 0);
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].0, left[0].1.response_code()), (0, ResponseCode::SUCCESS));
    let answer: SendAnswer = left[0].1.read().expect("the answer");
    assert_eq!((answer.queue_id, answer.queue_offset), (0, 0));
    let stored = bench.read(TOPIC, 0).remove(0);
    assert_eq!(stored.body, "pong");
    assert_eq!(stored.property("PUSH_REPLY_TIME"), None);
    let view = ViewMessage { offset: stored.physical_offset, topic: None };
    let viewed = StoredMessage::decode_all(bench.call(0, &view).0).expect("record");
    assert_eq!(viewed, [stored]);
    assert!(bench.pass(60_000).is_empty(), "answered twice");
}

#[test]
fn both_header_forms_are_taken_and_any_queue() {
    let mut bench = bench_with_requester();
    bench.put(0, &SendReplyV1(SendMessage { queue_id: -1, ..reply_to("requester") }));
    let left = bench.settle();
    assert_eq!(left[0].1.request_code(), RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT);
    let left = answer_push(&mut bench, 1, &left[0].1, 0);
    assert_eq!(left[0].1.response_code(), ResponseCode::SUCCESS);
}

#[test]
fn a_reply_that_reaches_nobody_is_an_error_and_stored_all_the_same() {
    let mut bench = bench_with_requester();
    let without = with_properties(&[("MSG_TYPE", "reply")], message(TOPIC, 0, "pong"));
    for (n, (reply, remark)) in [
        (without, "reply message properties[REPLY_TO_CLIENT] is null"),
        (reply_to("gone"), "push reply message fail, channel of <gone> not found."),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = bench.ask(0, &SendReply(reply));
        assert_eq!(answer.response_code(), ResponseCode::SYSTEM_ERROR);
        assert_eq!(answer.remark.as_deref(), Some(remark));
        let place: SendAnswer = answer.read().expect("where it is");
        assert_eq!(place.queue_offset, n as i64);
        assert_eq!(bench.read(TOPIC, 0).len(), n + 1);
    }
}

#[test]
fn a_client_that_does_not_take_its_reply_is_an_error() {
    let refused = |bench: &mut Bench, push: &Command| answer_push(bench, 1, push, 1);
    let silent = |bench: &mut Bench, _: &Command| {
        assert!(bench.pass(9_999).is_empty());
        bench.pass(1)
    };
    let gone = |bench: &mut Bench, _: &Command| {
        bench.engine.close(SessionId(1), &mut bench.effects);
        bench.settle()
    };
    type How<'a> = &'a dyn Fn(&mut Bench, &Command) -> Vec<(u64, Command)>;
    let cases: [(&str, How<'_>); 3] = [("refused", &refused), ("silent", &silent), ("gone", &gone)];
    for (what, how) in cases {
        let mut bench = bench_with_requester();
        let (_, push, _) = pushed(&mut bench, &reply_to("requester"));
        let left = how(&mut bench, &push);
        assert_eq!(left.len(), 1, "{what}");
        assert_eq!(left[0].1.response_code(), ResponseCode::SYSTEM_ERROR, "{what}");
        assert_eq!(left[0].1.remark.as_deref(), Some("push reply message to requesterfail."));
        assert!(answer_push(&mut bench, 1, &push, 0).is_empty(), "{what}: answered twice");
        assert_eq!(bench.read(TOPIC, 0).len(), 1, "{what}");
    }
    // Who is gone is not there the next time either.
    let mut bench = bench_with_requester();
    bench.engine.close(SessionId(1), &mut bench.effects);
    let answer = bench.ask(0, &SendReply(reply_to("requester")));
    assert_eq!(
        answer.remark.as_deref(),
        Some("push reply message fail, channel of <requester> not found.")
    );
}

#[test]
fn an_answer_of_another_client_says_nothing() {
    let mut bench = bench_with_requester();
    let (_, push, _) = pushed(&mut bench, &reply_to("requester"));
    assert!(answer_push(&mut bench, 2, &push, 0).is_empty());
    let unknown = Command { opaque: push.opaque + 1, ..push.clone() };
    assert!(answer_push(&mut bench, 1, &unknown, 0).is_empty());
    assert_eq!(answer_push(&mut bench, 1, &push, 0).len(), 1);
}

#[test]
fn a_client_is_where_it_was_heard_last() {
    let mut bench = bench_with_requester();
    bench.call(2, &Heartbeat { client_id: "requester".into(), ..Heartbeat::default() });
    assert_eq!(pushed(&mut bench, &reply_to("requester")).0, 2);
    // The connection that it had before is closed late.
    bench.engine.close(SessionId(1), &mut bench.effects);
    assert_eq!(pushed(&mut bench, &reply_to("requester")).0, 2);
    bench.call(2, &Heartbeat { client_id: "renamed".into(), ..Heartbeat::default() });
    assert_eq!(pushed(&mut bench, &reply_to("renamed")).0, 2);
    let old = bench.ask(0, &SendReply(reply_to("requester")));
    assert_eq!(old.response_code(), ResponseCode::SYSTEM_ERROR);
}

#[test]
fn replies_are_checked_as_sends_are() {
    let mut bench = bench_with_requester();
    for (wrong, code) in [
        (SendMessage { topic: "a/b".into(), ..reply_to("requester") }, 29),
        (SendMessage { topic: "SCHEDULE_TOPIC_XXXX".into(), ..reply_to("requester") }, 16),
        (SendMessage { queue_id: 9, ..reply_to("requester") }, 29),
        (
            SendMessage {
                topic: "new".into(),
                default_topic: "nobody".into(),
                ..reply_to("requester")
            },
            17,
        ),
        (SendMessage { body: vec![b'x'; 4_194_305].into(), ..reply_to("requester") }, 13),
    ] {
        assert_eq!(bench.code(0, &SendReply(wrong)), ResponseCode(code));
    }
    assert!(bench.read(TOPIC, 0).is_empty());
}

#[test]
fn a_reply_that_cannot_be_stored_comes_all_the_same() {
    let store = DiskStore::with_backend(Watched::default(), 2_000).expect("open");
    let mut bench = Bench::with_store(Box::new(store));
    bench.call(0, &message("orders", 0, &"x".repeat(2_000)));
    bench.call(1, &Heartbeat { client_id: "requester".into(), ..Heartbeat::default() });
    let (_, push, _) = pushed(&mut bench, &reply_to("requester"));
    let left = answer_push(&mut bench, 1, &push, 0);
    assert_eq!(left[0].1.response_code(), ResponseCode::SUCCESS);
    let place: SendAnswer = left[0].1.read().expect("where it is");
    assert_eq!((place.offset_message_id.as_str(), place.queue_offset), ("0", 0));
}

#[test]
fn when_storing_fails_nothing_is_pushed_and_the_replier_is_told() {
    let file = Watched::default();
    let store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
    let mut bench = Bench::with_store(Box::new(store));
    bench.call(1, &Heartbeat { client_id: "requester".into(), ..Heartbeat::default() });
    file.set_broken(true);
    bench.put(0, &SendReply(reply_to("requester")));
    let left = bench.settle();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((left[0].0, left[0].1.response_code()), (0, ResponseCode::SYSTEM_ERROR));
    assert!(bench.pass(60_000).is_empty(), "answered twice");
}
