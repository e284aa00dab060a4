//! Deleted topics: what becomes of their messages, of offsets, of what waits, and of a restart.

use std::collections::BTreeSet;

use posthaste_protocol::request::{
    ConsumersOfTopic, CreateTopic, CreateTopics, DeleteTopic, DeleteTopicInNameServer,
    EndTransaction, LockQueues, MaxOffset, MinOffset, QueryConsumerOffset, QueryMessages,
    QueueName, RouteOf, SendAnswer, SendBack, TopicConfig, TopicListOf, UpdateConsumerOffset,
    ViewMessage, decision,
};
use posthaste_protocol::{ResponseCode, StoredMessage, id::OffsetId};

use super::harness::{Bench, heartbeat, message, pull, subscription, waiting, with_properties};
use crate::engine::queries::READ_AT_ONCE;
use crate::store::watched::Watched;
use crate::store::{DiskStore, MemoryStore, Store};

fn open(file: &Watched) -> Bench {
    let store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
    Bench::with_store(Box::new(store))
}

fn stores() -> [Box<dyn Store>; 2] {
    let disk = DiskStore::with_backend(Watched::default(), u64::MAX).expect("open");
    [Box::new(MemoryStore::new(1 << 30)), Box::new(disk)]
}

fn delete(name: &str) -> DeleteTopic {
    DeleteTopic { topic: name.into() }
}

fn create(name: &str) -> CreateTopic {
    CreateTopic {
        topic: name.into(),
        read_queues: 2,
        write_queues: 2,
        perm: 6,
        ..CreateTopic::default()
    }
}

fn route(name: &str) -> RouteOf {
    RouteOf { topic: name.into(), standard_json: None }
}

fn place(answer: &SendAnswer) -> i64 {
    answer.offset_message_id.parse::<OffsetId>().expect("an id").offset
}

fn max(bench: &mut Bench, topic: &str) -> i64 {
    bench.call(0, &MaxOffset { topic: topic.into(), ..MaxOffset::default() }).offset
}

/// Go's `DeleteTopic` reported success, and the topic was still there.
#[test]
fn a_deleted_topic_is_gone_with_its_messages() {
    for store in stores() {
        let mut bench = Bench::with_store(store);
        let sent = bench.call(0, &with_properties(&[("KEYS", "k")], message("orders", 0, "x")));
        bench.call(0, &delete("orders"));
        assert_eq!(bench.code(0, &route("orders")), ResponseCode::TOPIC_NOT_EXIST);
        assert!(!bench.call(0, &TopicListOf).topics.iter().any(|name| name == "orders"));
        assert_eq!(bench.code(0, &pull("orders", 0, 0)), ResponseCode::TOPIC_NOT_EXIST);
        let view = ViewMessage { offset: place(&sent), topic: None };
        assert_eq!(bench.code(0, &view), ResponseCode::SYSTEM_ERROR);
        let back = SendBack { offset: place(&sent), group: "g".into(), ..SendBack::default() };
        assert_eq!(bench.code(0, &back), ResponseCode::SYSTEM_ERROR);
        // Sent to again, it is a new one.
        bench.call(0, &create("orders"));
        assert_eq!(max(&mut bench, "orders"), 0);
        let again = bench.call(0, &message("orders", 0, "y"));
        assert_eq!(again.queue_offset, 0);
        assert_ne!(place(&again), place(&sent), "an id means one message");
        assert_eq!(bench.bodies("orders", 0), ["y"]);
    }
}

#[test]
fn what_cannot_be_deleted_is_refused_and_what_is_not_there_is_deleted() {
    let mut bench = Bench::new();
    for name in ["TBW102", "DefaultCluster", "dev", "SCHEDULE_TOPIC_XXXX", "", " "] {
        assert_eq!(bench.code(0, &delete(name)), ResponseCode::INVALID_PARAMETER, "{name:?}");
    }
    bench.call(0, &delete("nobody"));
    let forget = |name: &str, cluster: Option<&str>| DeleteTopicInNameServer {
        topic: name.into(),
        cluster: cluster.map(str::to_owned),
    };
    // Success would be a lie: its route is still given.
    assert_eq!(bench.code(0, &forget("orders", None)), ResponseCode::SYSTEM_ERROR);
    bench.call(0, &forget("orders", Some("other")));
    bench.call(0, &delete("orders"));
    bench.call(0, &forget("orders", Some("DefaultCluster")));
}

#[test]
fn a_deleted_topic_stays_deleted_after_a_restart() {
    let file = Watched::default();
    let mut bench = open(&file);
    for name in ["first", "second", "third"] {
        bench.call(0, &create(name));
        bench.call(0, &message(name, 0, name));
    }
    bench.call(1, &heartbeat("c1", "readers", subscription("second", "*", 1)));
    let update = UpdateConsumerOffset {
        group: "readers".into(),
        topic: "second".into(),
        offset: 1,
        ..UpdateConsumerOffset::default()
    };
    bench.call(1, &update);
    bench.pass(1_000);
    bench.call(1, &UpdateConsumerOffset { queue_id: 1, offset: 7, ..update });
    bench.call(0, &delete("second"));
    bench.call(0, &delete("third"));
    bench.pass(2_000);
    drop(bench);

    let mut bench = open(&file);
    for name in ["second", "third"] {
        assert_eq!(bench.code(0, &route(name)), ResponseCode::TOPIC_NOT_EXIST, "{name}");
    }
    assert_eq!(bench.bodies("first", 0), ["first"]);
    bench.call(0, &create("second"));
    assert_eq!(max(&mut bench, "second"), 0);
    for queue_id in 0..2 {
        let query = QueryConsumerOffset {
            group: "readers".into(),
            topic: "second".into(),
            queue_id,
            ..QueryConsumerOffset::default()
        };
        assert_eq!(bench.call(1, &query).offset, 0, "the group had come to nothing of it");
    }
    bench.call(0, &message("second", 0, "new"));
    drop(bench);
    assert_eq!(open(&file).bodies("second", 0), ["new"]);
}

#[test]
fn what_waits_for_a_deleted_topic_is_told() {
    let mut bench = Bench::new();
    bench.call(1, &heartbeat("c1", "readers", subscription("orders", "*", 1)));
    bench.put(1, &waiting(15_000, pull("orders", 0, 0)));
    bench.put(2, &waiting(15_000, pull("BenchmarkTest", 0, 0)));
    assert!(bench.settle().is_empty());
    // A query that takes more than a turn.
    let long = "x".repeat(READ_AT_ONCE);
    for _ in 0..3 {
        bench.call(0, &message("orders", 1, &long));
    }
    bench.put(3, &by_key());
    assert!(bench.settle().is_empty());
    bench.put(0, &delete("orders"));
    let left = bench.settle();
    for session in [1, 3] {
        let (_, told) = left.iter().find(|(to, _)| *to == session).expect("told");
        assert_eq!(told.response_code(), ResponseCode::TOPIC_NOT_EXIST, "{session}");
    }
    assert!(left.iter().all(|(session, _)| *session != 2));
    assert!(bench.engine.queries.is_empty());
}

#[test]
fn what_is_delivered_later_to_a_deleted_topic_comes_to_nothing() {
    for created_again in [false, true] {
        let mut bench = Bench::new();
        bench.call(0, &with_properties(&[("DELAY", "1")], message("orders", 0, "level")));
        let timer = with_properties(&[("TIMER_DELAY_MS", "900")], message("orders", 0, "timer"));
        bench.call(0, &timer);
        let half = with_properties(
            &[("TRAN_MSG", "true"), ("PGROUP", "g"), ("UNIQ_KEY", "id")],
            message("orders", 0, "half"),
        );
        let half = bench.call(0, &half);
        bench.call(0, &delete("orders"));
        if created_again {
            bench.call(0, &create("orders"));
        }
        bench.pass(5_000);
        let end = EndTransaction {
            group: "g".into(),
            half_offset: half.queue_offset,
            half_physical_offset: place(&half),
            decision: decision::COMMIT,
            ..EndTransaction::default()
        };
        let code = bench.code(0, &end);
        match created_again {
            // As on real brokers, names are what counts.
            true => assert_eq!(bench.bodies("orders", 0), ["timer", "level", "half"]),
            false => {
                assert_eq!(code, ResponseCode::TOPIC_NOT_EXIST);
                bench.call(0, &EndTransaction { decision: decision::ROLLBACK, ..end });
                let wake = bench.engine.next_wake();
                assert_eq!(wake, None, "nothing of it is tried again and again");
            }
        }
    }
}

#[test]
fn groups_forget_a_deleted_topic() {
    let mut bench = Bench::new();
    bench.call(1, &heartbeat("c1", "readers", subscription("other", "*", 1)));
    let update = UpdateConsumerOffset {
        group: "readers".into(),
        topic: "orders".into(),
        offset: 1,
        ..UpdateConsumerOffset::default()
    };
    bench.call(1, &update);
    let queue = QueueName { broker_name: "dev".into(), queue_id: 0, topic: "orders".into() };
    let lock = |client_id: &str| LockQueues {
        client_id: client_id.into(),
        group: "readers".into(),
        queues: vec![queue.clone()],
        only_this_broker: false,
    };
    assert_eq!(bench.call(1, &lock("c1")).queues.len(), 1);
    bench.call(0, &delete("orders"));
    bench.call(0, &create("orders"));
    assert!(bench.call(0, &ConsumersOfTopic { topic: "orders".into() }).groups.is_empty());
    assert_eq!(bench.call(2, &lock("c2")).queues.len(), 1);
}

/// One client could fill all places, for good.
#[test]
fn a_deleted_topic_frees_its_place_in_the_limit() {
    let mut bench = Bench::new();
    let mut count = 0;
    while bench.code(0, &create(&format!("t{count}"))) == ResponseCode::SUCCESS {
        count += 1;
    }
    assert!((900..1_000).contains(&count), "{count}");
    bench.call(0, &delete("t7"));
    bench.call(0, &create("another"));
    assert_eq!(bench.code(0, &create("one-more")), ResponseCode::TOPIC_NOT_EXIST);
}

/// Once all numbers have been given, the numbers of deleted topics are given again. The messages of the
/// deleted topic are out of reach, and no id is given twice.
#[test]
fn topics_can_be_created_and_deleted_for_ever() {
    let file = Watched::default();
    let disk = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
    let stores: [Box<dyn Store>; 2] = [Box::new(MemoryStore::new(1 << 30)), Box::new(disk)];
    for store in stores {
        let mut bench = Bench::with_store(store);
        let mut places = BTreeSet::new();
        // Three times 900 are more than there are numbers.
        for round in 0..3 {
            let names: Vec<String> = (0..900).map(|n| format!("t{round}-{n}")).collect();
            let topic = |name: &String| TopicConfig {
                topic_name: name.clone(),
                read_queue_nums: 1,
                write_queue_nums: 1,
                ..TopicConfig::default()
            };
            // The last round's need the numbers of the first's.
            let count = if round == 2 { 250 } else { 900 };
            let names = &names[..count];
            bench.call(0, &CreateTopics { topics: names.iter().map(topic).collect() });
            for name in names.iter().step_by(5) {
                let sent = with_properties(&[("KEYS", "k")], message(name, 0, name));
                assert!(places.insert(place(&bench.call(0, &sent))), "{name}");
                assert_eq!(bench.bodies(name, 0), [name.as_str()], "{name}");
            }
            for name in names {
                bench.put(0, &delete(name));
            }
            bench.settle();
        }
    }
    // Topics with the numbers of others, and a restart.
    let mut bench = open(&file);
    let late: Vec<String> = (0..20).map(|n| format!("late{n}")).collect();
    for name in &late {
        bench.call(0, &create(name));
        bench.call(0, &with_properties(&[("KEYS", "k")], message(name, 0, "late")));
    }
    drop(bench);
    let mut bench = open(&file);
    let mut behind_others = 0;
    for name in &late {
        assert_eq!(bench.bodies(name, 0), ["late"], "{name}");
        let min = bench.call(0, &MinOffset { topic: name.clone(), ..MinOffset::default() }).offset;
        behind_others += u32::from(min > 0);
        let query = QueryMessages { topic: name.clone(), ..by_key() };
        let found = StoredMessage::decode_all(bench.call(0, &query).messages);
        assert_eq!(found.expect("records").len(), 1, "{name}");
    }
    assert!(behind_others > 2, "{behind_others}");
}

fn by_key() -> QueryMessages {
    QueryMessages {
        topic: "orders".into(),
        key: "k".into(),
        max_count: 9,
        begin_ms: 0,
        end_ms: i64::MAX,
        ..QueryMessages::default()
    }
}

/// In one turn, as when requests come together.
#[test]
fn a_topic_that_is_sent_to_deleted_and_created_at_once_has_what_came_last() {
    let file = Watched::default();
    let mut bench = open(&file);
    bench.put(0, &message("orders", 0, "before"));
    bench.put(0, &delete("orders"));
    bench.put(0, &create("orders"));
    bench.put(0, &message("orders", 0, "after"));
    let left = bench.settle();
    assert!(left.iter().all(|(_, command)| command.response_code() == ResponseCode::SUCCESS));
    assert_eq!(bench.bodies("orders", 0), ["after"]);
    drop(bench);
    assert_eq!(open(&file).bodies("orders", 0), ["after"]);
}
