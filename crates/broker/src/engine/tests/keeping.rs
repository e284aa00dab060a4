//! What outlives a restart, and what happens when it cannot be kept.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{
    CreateTopic, EndTransaction, MaxOffset, Pull, QueryConsumerOffset, RouteOf,
    UpdateConsumerOffset, decision,
};

use super::harness::{
    Bench, heartbeat, message, pull, subscription, waiting, with_properties, with_queues,
};
use crate::store::DiskStore;
use crate::store::watched::Watched;

fn open(file: &Watched) -> Bench {
    Bench::with_store(Box::new(DiskStore::with_backend(file.clone(), u64::MAX).expect("open")))
}

#[test]
fn messages_topics_offsets_and_subscriptions_outlive_a_restart() {
    let file = Watched::default();
    let mut bench = open(&file);
    bench.call(0, &message("orders", 1, "first"));
    bench.call(0, &message("by-sending", 2, "second"));
    let create = CreateTopic {
        topic: "by-request".into(),
        read_queues: 3,
        write_queues: 3,
        perm: 4,
        attributes: Some("+message.type=FIFO".into()),
        ..CreateTopic::default()
    };
    bench.call(0, &create);
    bench.call(1, &heartbeat("c1", "readers", subscription("orders", "*", 3)));
    let update = UpdateConsumerOffset {
        group: "readers".into(),
        topic: "orders".into(),
        queue_id: 1,
        offset: 1,
        ..UpdateConsumerOffset::default()
    };
    bench.call(1, &update);
    bench.pass(1_000);
    drop(bench);

    let mut bench = open(&file);
    assert_eq!(bench.bodies("orders", 1), ["first"]);
    assert_eq!(bench.bodies("by-sending", 2), ["second"]);
    let route = bench.call(0, &RouteOf { topic: "by-request".into(), standard_json: None });
    assert_eq!((route.queues[0].read_queue_nums, route.queues[0].perm), (3, 4));
    let attributes = &bench.engine.topics.get("by-request").expect("the topic").config.attributes;
    assert_eq!(attributes.get("message.type").map(String::as_str), Some("FIFO"));
    let query = QueryConsumerOffset {
        group: "readers".into(),
        topic: "orders".into(),
        queue_id: 1,
        ..QueryConsumerOffset::default()
    };
    assert_eq!(bench.call(1, &query).offset, 1);
    // Without a heartbeat since the restart.
    let by_subscription = Pull { sys_flag: 0, sub_version: 3, ..pull("orders", 1, 0) };
    assert_eq!(bench.code(1, &by_subscription), ResponseCode::SUCCESS);
    assert_eq!(bench.call(0, &message("orders", 1, "next")).queue_offset, 1);
}

#[test]
fn a_delayed_message_outlives_a_restart_and_comes_once() {
    let file = Watched::default();
    let mut bench = open(&file);
    for level in ["1", "2"] {
        bench.call(0, &with_properties(&[("DELAY", level)], message("orders", 0, level)));
    }
    bench.pass(1_000);
    assert_eq!(bench.bodies("orders", 0), ["1"]);
    let now = bench.now;
    drop(bench);

    let mut bench = open(&file);
    bench.now = now;
    bench.pass(3_999);
    assert_eq!(bench.bodies("orders", 0), ["1"]);
    bench.pass(1);
    assert_eq!(bench.bodies("orders", 0), ["1", "2"]);
    drop(bench);
    let mut bench = open(&file);
    bench.pass(100_000);
    assert_eq!(bench.bodies("orders", 0), ["1", "2"]);
}

#[test]
fn a_restart_without_news_writes_nothing_of_its_own() {
    let file = Watched::default();
    drop(open(&file));
    // The file is as short as it can be after that.
    drop(DiskStore::with_backend(file.clone(), u64::MAX).expect("open"));
    let syncs_of = |open: &dyn Fn()| {
        let before = file.syncs();
        open();
        file.syncs() - before
    };
    let of_the_file_alone =
        syncs_of(&|| drop(DiskStore::with_backend(file.clone(), u64::MAX).expect("open")));
    assert_eq!(syncs_of(&|| drop(open(&file))), of_the_file_alone);
}

#[test]
fn a_queue_that_was_taken_away_and_comes_back_goes_on_where_it_ended() {
    let file = Watched::default();
    let mut bench = open(&file);
    bench.call(0, &message("orders", 3, "old"));
    bench.call(0, &with_queues(1));
    drop(bench);
    let mut bench = open(&file);
    bench.call(0, &with_queues(4));
    assert_eq!(bench.call(0, &message("orders", 3, "new")).queue_offset, 1);
    assert_eq!(bench.bodies("orders", 3), ["old", "new"]);
}

/// Nothing is known after a restart of queues that a topic has lost, but what waits to be
/// delivered to one of them.
#[test]
fn what_waits_for_a_queue_that_was_taken_away_comes_to_it_after_a_restart() {
    let file = Watched::default();
    let sent = |name: &str, value: &str| {
        with_properties(&[(name, value), ("PGROUP", "payers")], message("orders", 3, name))
    };
    let mut bench = open(&file);
    bench.call(0, &message("orders", 3, "old"));
    bench.call(0, &sent("DELAY", "2"));
    bench.call(0, &sent("TIMER_DELAY_MS", "6000"));
    let half = bench.call(0, &sent("TRAN_MSG", "true"));
    bench.call(0, &with_queues(1));
    drop(bench);
    let mut bench = open(&file);
    let id = &half.offset_message_id;
    let commit = EndTransaction {
        group: "payers".into(),
        half_offset: half.queue_offset,
        half_physical_offset: i64::from_str_radix(&id[id.len() - 16..], 16).expect("an id"),
        decision: decision::COMMIT,
        ..EndTransaction::default()
    };
    bench.call(0, &commit);
    bench.pass(10_000);
    assert_eq!(bench.code(0, &message("orders", 3, "new")), ResponseCode::INVALID_PARAMETER);
    bench.call(0, &with_queues(4));
    assert_eq!(bench.bodies("orders", 3), ["old", "TRAN_MSG", "DELAY", "TIMER_DELAY_MS"]);
}

#[test]
fn after_a_failed_commit_nothing_succeeds_and_nothing_new_is_seen() {
    let file = Watched::default();
    let mut bench = open(&file);
    bench.call(0, &message("orders", 0, "kept"));
    bench.put(1, &waiting(60_000, pull("orders", 0, 1)));
    bench.settle();

    file.set_broken(true);
    bench.put(0, &message("orders", 0, "lost"));
    bench.put(2, &message("orders", 1, "lost too"));
    let left = bench.settle();
    let codes: Vec<_> = left.iter().map(|(to, c)| (*to, c.response_code())).collect();
    // Whether they are stored is not known: the code must not be one that says they are not.
    assert_eq!(codes, [(0, ResponseCode::SYSTEM_ERROR), (2, ResponseCode::SYSTEM_ERROR)]);

    file.set_broken(false);
    let later = bench.ask(0, &message("orders", 0, "later"));
    assert_eq!(later.response_code(), ResponseCode::SERVICE_NOT_AVAILABLE);
    let create = CreateTopic {
        topic: "new".into(),
        read_queues: 1,
        write_queues: 1,
        perm: 6,
        ..CreateTopic::default()
    };
    assert_eq!(bench.code(0, &create), ResponseCode::SERVICE_NOT_AVAILABLE);
    assert_eq!(bench.bodies("orders", 0), ["kept"]);
    let max = MaxOffset { topic: "orders".into(), ..MaxOffset::default() };
    assert_eq!(bench.call(0, &max).offset, 1);
}

/// The disk is full for a while: what was promised is kept, what was refused is not there, and as
/// soon as there is room everything goes on without a restart.
#[test]
fn a_disk_that_was_full_is_written_again_within_a_second() {
    let sent = |name: &str, value: &str, body: &str| {
        with_properties(&[(name, value), ("PGROUP", "payers")], message("orders", 1, body))
    };
    // On some file systems even what was there before cannot be written on a full disk.
    for (writes, may_overwrite) in [(0, false), (3, false), (30, false), (0, true), (3, true)] {
        let file = Watched::default();
        file.set_may_overwrite(may_overwrite);
        let mut bench = open(&file);
        bench.call(0, &message("orders", 0, "kept"));
        bench.call(0, &sent("DELAY", "2", "delayed"));
        bench.call(0, &sent("TIMER_DELAY_MS", "6000", "timer"));
        bench.call(1, &heartbeat("c1", "readers", subscription("orders", "*", 3)));
        let update = UpdateConsumerOffset {
            group: "readers".into(),
            topic: "orders".into(),
            offset: 1,
            ..UpdateConsumerOffset::default()
        };
        bench.call(1, &update);

        file.set_full(Some(writes));
        bench.put(0, &message("new-topic", 0, "lost"));
        let large = "x".repeat(300_000);
        let mut answers = bench.settle();
        while answers[0].1.response_code() == ResponseCode::SUCCESS {
            bench.put(0, &message("orders", 2, &large));
            answers = bench.settle();
        }
        let code = match may_overwrite {
            // The file is opened again, and does not have it.
            true => ResponseCode::SERVICE_NOT_AVAILABLE,
            // It cannot be opened, and nothing is known.
            false => ResponseCode::SYSTEM_ERROR,
        };
        assert_eq!(answers[0].1.response_code(), code, "{writes}");
        bench.pass(300);
        for request in [message("orders", 0, "refused"), sent("TRAN_MSG", "true", "half")] {
            let refused = bench.ask(0, &request);
            assert_eq!(refused.response_code(), ResponseCode::SERVICE_NOT_AVAILABLE);
            assert!(refused.remark.is_some_and(|remark| remark.contains("the disk is full")));
        }
        bench.pass(10_000);
        assert!(bench.read("orders", 1).is_empty(), "it was delivered to a full disk");

        file.set_full(None);
        assert!(bench.engine.next_wake().is_some_and(|wake| wake <= bench.now + 1_000));
        bench.pass(1_000);
        assert_eq!(bench.call(0, &message("orders", 0, "next")).queue_offset, 1);
        bench.pass(1_000);
        for _ in 0..2 {
            assert_eq!(bench.bodies("orders", 0), ["kept", "next"]);
            let mut delivered = bench.bodies("orders", 1);
            delivered.sort_unstable();
            assert_eq!(delivered, ["delayed", "timer"], "{writes}");
            let query = QueryConsumerOffset {
                group: "readers".into(),
                topic: "orders".into(),
                ..QueryConsumerOffset::default()
            };
            assert_eq!(bench.call(1, &query).offset, 1);
            drop(bench);
            bench = open(&file);
        }
    }
}

#[test]
fn a_full_store_refuses_sends_and_goes_on_serving() {
    let file = Watched::default();
    let store = DiskStore::with_backend(file, 10_000).expect("open");
    let mut bench = Bench::with_store(Box::new(store));
    let body = "x".repeat(3_000);
    let codes: Vec<_> = (0..6).map(|_| bench.code(0, &message("orders", 0, &body))).collect();
    let stored = codes.iter().filter(|code| **code == ResponseCode::SUCCESS).count();
    assert_eq!(stored, 4);
    assert_eq!(codes[5], ResponseCode::SERVICE_NOT_AVAILABLE);
    assert_eq!(bench.read("orders", 0).len(), 4);
}

#[test]
fn many_requests_of_a_turn_are_one_commit() {
    let file = Watched::default();
    let mut bench = open(&file);
    let before = file.syncs();
    for n in 0..500 {
        bench.put(0, &message("orders", n % 4, "x"));
    }
    let answers = bench.settle();
    assert_eq!(answers.len(), 500);
    let syncs = file.syncs() - before;
    assert!((1..10).contains(&syncs), "{syncs} syncs for 500 messages");
    assert!(answers.iter().all(|(_, c)| c.response_code() == ResponseCode::SUCCESS));
}
