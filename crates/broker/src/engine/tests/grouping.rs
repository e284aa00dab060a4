//! Consumer groups, as tools create, change and delete them, and set their offsets.

use posthaste_protocol::request::{
    CloneOffsets, ConsumeStatsOf, DeleteGroup, GroupConfig, GroupConfigOf, GroupConfigs,
    GroupConfigsOf, PullAnswer, QueryConsumerOffset, ResetOffset, SendBack, SetGroups,
    TopicConfigOf, TopicsOfConsumer,
};
use posthaste_protocol::{Command, ResponseCode};

use super::administering::{body, offset, with_a_consumer};
use super::harness::{Bench, START, heartbeat, message, pull, subscription, waiting};
use crate::engine::SessionId;
use crate::store::DiskStore;
use crate::store::watched::Watched;

fn group(name: &str) -> GroupConfig {
    GroupConfig { group_name: name.into(), ..GroupConfig::default() }
}

fn group_of(name: &str) -> GroupConfigOf {
    GroupConfigOf { group: name.into() }
}

/// Go's example of subscription groups panicked at what it did not get.
#[test]
fn groups_are_created_changed_told_and_deleted() {
    let file = Watched::default();
    let open = || {
        let store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
        Bench::with_store(Box::new(store))
    };
    let mut bench = open();
    assert_eq!(bench.code(0, &group_of("one")), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    let attributes = [("+colour".into(), "blue".into())].into();
    let three = GroupConfig { retry_queue_nums: 3, retry_max_times: 0, attributes, ..group("one") };
    bench.call(0, &three);
    bench.call(0, &SetGroups { groups: vec![group("two"), group("three")] });
    let told = bench.call(0, &group_of("one"));
    assert_eq!((told.retry_queue_nums, told.retry_max_times), (3, 0));
    assert_eq!(told.attributes["colour"], "blue");
    let all = bench.ask(0, &GroupConfigsOf);
    let total: i64 = all.fields.read("totalGroupNum").expect("a total");
    let told: GroupConfigs = all.read().expect("groups");
    assert_eq!((total, told.groups.len()), (3, 3));
    for bad in ["", "b ad"] {
        let groups = vec![group("four"), group(bad)];
        assert_eq!(bench.code(0, &SetGroups { groups }), ResponseCode::INVALID_PARAMETER);
    }
    assert_eq!(bench.code(0, &group_of("four")), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    bench.call(0, &DeleteGroup { group: "two".into(), clean_offsets: None });
    drop(bench);

    let mut bench = open();
    assert_eq!(bench.call(0, &group_of("one")).retry_queue_nums, 3);
    assert_eq!(bench.code(0, &group_of("two")), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    // What follows from it.
    bench.call(1, &heartbeat("c1", "one", subscription("orders", "*", 1)));
    let retry = TopicConfigOf { topic: "%RETRY%one".into(), logical: None };
    assert_eq!(bench.call(0, &retry).read_queue_nums, 3);
    bench.call(0, &message("orders", 0, "x"));
    let sent = bench.read("orders", 0).remove(0);
    let offset = sent.physical_offset;
    bench.call(1, &SendBack { offset, group: "one".into(), ..SendBack::default() });
    assert_eq!(bench.bodies("%DLQ%one", 0), ["x"], "no retry is left");
    bench.call(0, &GroupConfig { consume_enable: false, ..group("readers") });
    assert_eq!(bench.code(1, &pull("orders", 0, 0)), ResponseCode::NO_PERMISSION);
}

#[test]
fn a_deleted_group_forgets_how_far_it_has_come_if_that_is_wanted() {
    for (clean, left) in [(None, 1), (Some(false), 1), (Some(true), 0)] {
        let mut bench = with_a_consumer();
        bench.engine.close(SessionId(1), &mut bench.effects);
        bench.call(0, &DeleteGroup { group: "readers".into(), clean_offsets: clean });
        let topics = bench.call(0, &TopicsOfConsumer { group: "readers".into() });
        assert_eq!(topics.topics.len(), left, "{clean:?}");
        let told = bench.code(0, &group_of("readers"));
        assert_eq!(told, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, "{clean:?}");
        let late = offset("readers", 0, 3);
        assert_eq!(bench.code(2, &late), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    }
    // Members that are connected bring it back.
    let mut bench = with_a_consumer();
    bench.call(0, &DeleteGroup { group: "readers".into(), clean_offsets: Some(true) });
    bench.call(1, &heartbeat("c1", "readers", subscription("orders", "*", 9)));
    assert_eq!(bench.call(0, &group_of("readers")).group_name, "readers");
}

/// An unknown group has no offsets, as on real brokers; one that pulls is known there.
#[test]
fn an_offset_of_an_unknown_group_is_refused() {
    let mut bench = Bench::new();
    bench.call(0, &message("orders", 0, "x"));
    let unknown = bench.ask(1, &offset("nobody", 0, 1));
    assert_eq!(unknown.response_code(), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    assert_eq!(unknown.remark.as_deref(), Some("Group nobody not exist!"));
    bench.ask(1, &pull("orders", 0, 0));
    let other = offset("nobody", 0, 1);
    assert_eq!(bench.code(1, &other), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    bench.call(1, &offset("readers", 0, 1));
}

fn reset(timestamp_ms: i64) -> ResetOffset {
    ResetOffset {
        topic: "orders".into(),
        group: "readers".into(),
        timestamp_ms,
        force: Some(true),
        ..ResetOffset::default()
    }
}

fn stored_offset(bench: &mut Bench) -> i64 {
    let query = QueryConsumerOffset {
        group: "readers".into(),
        topic: "orders".into(),
        ..QueryConsumerOffset::default()
    };
    bench.call(2, &query).offset
}

#[test]
fn offsets_are_set_by_time_to_the_end_or_to_a_number() {
    let mut bench = with_a_consumer();
    let one = ResetOffset { queue_id: Some(0), ..reset(0) };
    for (what, request, offset, queues) in [
        ("the start", reset(0), 0, 4),
        ("a time", reset(START + 11), 2, 4),
        ("the end", reset(-1), 3, 4),
        ("a number", ResetOffset { offset: Some(1), ..one.clone() }, 1, 1),
        (
            "no number",
            ResetOffset { offset: Some(-1), timestamp_ms: START + 5, ..one.clone() },
            1,
            1,
        ),
    ] {
        let told = bench.call(0, &request);
        assert_eq!(told.offsets.0.len(), queues, "{what}");
        assert_eq!(told.offsets.0.values().next(), Some(&offset), "{what}");
        assert_eq!(stored_offset(&mut bench), offset, "{what}");
    }
    let text = body(&bench.ask(0, &ResetOffset { offset: Some(1), ..one.clone() }));
    assert_eq!(text, r#"{"offsetTable":{{"brokerName":"dev","queueId":0,"topic":"orders"}:1}}"#);
    for (request, code, remark) in [
        (
            ResetOffset { topic: "nobody".into(), ..reset(0) },
            ResponseCode::TOPIC_NOT_EXIST,
            "Topic nobody does not exist",
        ),
        (
            ResetOffset { group: "nobody".into(), ..reset(0) },
            ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
            "Group nobody does not exist",
        ),
        (
            ResetOffset { offset: Some(99), ..one.clone() },
            ResponseCode::SYSTEM_ERROR,
            "Target offset 99 not in consume queue range [0-3]",
        ),
        (
            ResetOffset { queue_id: Some(4), ..one },
            ResponseCode::INVALID_PARAMETER,
            "queueId[4] is illegal",
        ),
    ] {
        let answer = bench.ask(0, &request);
        assert_eq!((answer.response_code(), answer.remark.as_deref()), (code, Some(remark)));
    }
}

/// It goes on from there, whether it waits for messages or asks next; and what it still says of
/// where it was is not heard.
#[test]
fn a_connected_consumer_learns_that_its_offset_was_set() {
    let moved = |answer: &Command| {
        let told: PullAnswer = answer.read().expect("pull answer");
        assert_eq!(answer.response_code(), ResponseCode::PULL_OFFSET_MOVED);
        told.next_offset
    };
    let mut bench = with_a_consumer();
    let parked = bench.put(1, &waiting(15_000, pull("orders", 0, 3)));
    assert!(bench.settle().is_empty());
    bench.put(0, &reset(0));
    let left = bench.settle();
    let told = left.iter().find(|(session, _)| *session == 1).expect("it is told at once");
    assert_eq!((told.1.opaque, moved(&told.1)), (parked, 0));
    bench.call(1, &offset("readers", 0, 2));
    assert_eq!(stored_offset(&mut bench), 2, "it knows, and says where it is");

    bench.call(0, &reset(-1));
    bench.call(1, &offset("readers", 0, 1));
    assert_eq!(stored_offset(&mut bench), 3, "it does not know yet");
    let answer = bench.ask(1, &pull("orders", 0, 1));
    assert_eq!(moved(&answer), 3);
    let again = bench.ask(1, &pull("orders", 0, 3));
    assert_eq!(again.response_code(), ResponseCode::PULL_NOT_FOUND, "it is told once");
}

#[test]
fn a_group_gets_the_offsets_of_another_one() {
    let mut bench = with_a_consumer();
    bench.call(0, &group("others"));
    let clone = CloneOffsets {
        from: "readers".into(),
        to: "others".into(),
        topic: Some("orders".into()),
        offline: Some(true),
    };
    bench.call(0, &clone);
    let of = ConsumeStatsOf { group: "others".into(), ..ConsumeStatsOf::default() };
    let told = bench.call(0, &of);
    assert_eq!(told.queues.0.values().next().map(|queue| queue.consumer_offset), Some(2));
    bench.call(0, &CloneOffsets { topic: Some("other".into()), to: "two".into(), ..clone });
    assert_eq!(bench.code(0, &group_of("two")), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
}
