//! Members of consumer groups: who hears of a change, locks, and what a group remembers.

use std::collections::BTreeSet;

use posthaste_protocol::request::{
    CheckClientConfig, ConsumerGroup, ConsumerListOf, Heartbeat, LockQueues, Pull, QueueName,
    Subscription, UnlockQueues, UnregisterClient,
};
use posthaste_protocol::{Command, RequestCode, ResponseCode};

use super::consuming::found;
use super::harness::{Bench, heartbeat, pull, subscription};
use crate::engine::SessionId;

fn notified(left: &[(u64, Command)]) -> BTreeSet<u64> {
    let code = RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0;
    let pushes = left.iter().filter(|(_, c)| !c.is_answer() && c.code == code);
    pushes
        .map(|(session, c)| {
            assert!(c.is_oneway());
            assert_eq!(c.fields.get("consumerGroup"), Some("readers"));
            *session
        })
        .collect()
}

#[test]
fn members_are_told_when_their_group_changes() {
    let mut bench = Bench::new();
    let beat = |id: &str| heartbeat(id, "readers", subscription("orders", "*", 1));
    let list = ConsumerListOf { group: "readers".into() };
    assert_eq!(bench.code(1, &list), ResponseCode::SYSTEM_ERROR);

    bench.put(1, &beat("c1"));
    assert_eq!(notified(&bench.settle()), [1].into(), "the first is told of itself");
    bench.put(2, &beat("c2"));
    assert_eq!(notified(&bench.settle()), [1, 2].into());
    bench.put(2, &beat("c2"));
    assert_eq!(notified(&bench.settle()), [].into(), "nothing has changed");
    assert_eq!(bench.call(1, &list).client_ids, ["c1", "c2"]);
    bench.put(2, &beat("c3"));
    assert_eq!(notified(&bench.settle()), [1, 2].into(), "another name");
    assert_eq!(bench.call(1, &list).client_ids, ["c1", "c3"], "a session is one member");
    bench.put(2, &beat("c2"));
    bench.settle();

    let more = heartbeat("c2", "readers", subscription("BenchmarkTest", "*", 2));
    bench.put(2, &more);
    assert_eq!(notified(&bench.settle()), [1, 2].into(), "other topics");

    bench.engine.close(SessionId(2), &mut bench.effects);
    assert_eq!(notified(&bench.settle()), [1].into(), "a lost connection leaves");
    let leave = UnregisterClient {
        client_id: "c1".into(),
        consumer_group: Some("readers".into()),
        ..UnregisterClient::default()
    };
    bench.call(1, &leave);
    assert_eq!(bench.code(1, &list), ResponseCode::SYSTEM_ERROR);
}

/// Heartbeat V2: subscriptions that are known may be left out.
#[test]
fn a_heartbeat_without_subscriptions_changes_none() {
    let mut bench = Bench::new();
    let full = |fingerprint, topic: &str| Heartbeat {
        fingerprint,
        ..heartbeat("c1", "readers", subscription(topic, "*", 1))
    };
    let short = |fingerprint| Heartbeat {
        fingerprint,
        without_subscriptions: true,
        consumers: vec![ConsumerGroup {
            subscriptions: Vec::new(),
            ..full(0, "").consumers[0].clone()
        }],
        ..full(0, "")
    };
    let news = |bench: &mut Bench, beat: Heartbeat| {
        let answer = bench.call(1, &beat);
        assert_eq!(answer.supports_v2, Some(true));
        answer.subscriptions_changed
    };
    let topics = |bench: &Bench| -> Vec<String> {
        let group = bench.engine.groups.get("readers").expect("the group");
        group.subscriptions.keys().cloned().collect()
    };
    assert_eq!(news(&mut bench, full(0, "orders")), Some(true), "not V2");
    assert_eq!(news(&mut bench, full(7, "orders")), Some(true), "of this one nothing was known");
    assert_eq!(news(&mut bench, short(7)), Some(false));
    assert_eq!(topics(&bench), ["orders"]);
    let by_heartbeat = Pull { sys_flag: 0, ..pull("orders", 0, 0) };
    assert_eq!(bench.code(1, &by_heartbeat), ResponseCode::PULL_NOT_FOUND);
    assert_eq!(news(&mut bench, short(8)), Some(true), "the client is to send them whole");
    assert_eq!(topics(&bench), ["orders"]);
    assert_eq!(news(&mut bench, full(8, "BenchmarkTest")), Some(false));
    assert_eq!(topics(&bench), ["BenchmarkTest"]);
    let producer = Heartbeat { client_id: "p".into(), fingerprint: 5, ..Heartbeat::default() };
    assert_eq!(news(&mut bench, producer), Some(false), "it subscribes to nothing");
}

#[test]
fn a_heartbeat_creates_the_retry_topic() {
    let mut bench = Bench::new();
    bench.call(1, &heartbeat("c1", "readers", subscription("orders", "*", 1)));
    assert_eq!(found(&bench.ask(1, &pull("%RETRY%readers", 0, 0))).0, ResponseCode::PULL_NOT_FOUND);
}

#[test]
fn one_member_at_a_time_holds_a_lock() {
    let mut bench = Bench::new();
    let queue =
        |queue_id| QueueName { broker_name: "dev".into(), queue_id, topic: "orders".into() };
    let lock = |client: &str, queues: &[i32]| LockQueues {
        client_id: client.into(),
        group: "readers".into(),
        queues: queues.iter().map(|id| queue(*id)).collect(),
        ..LockQueues::default()
    };
    assert_eq!(bench.call(1, &lock("c1", &[0, 1, 99])).queues, [queue(0), queue(1)]);
    assert_eq!(bench.call(2, &lock("c2", &[1, 2])).queues, [queue(2)]);
    bench.pass(40_000);
    assert_eq!(bench.call(1, &lock("c1", &[0])).queues, [queue(0)], "renewed");
    bench.pass(20_000);
    assert_eq!(bench.call(2, &lock("c2", &[0, 1])).queues, [queue(1)], "not renewed: free");
    bench.call(1, &UnlockQueues(lock("c1", &[0, 1])));
    assert_eq!(bench.call(1, &lock("c1", &[0, 1])).queues, [queue(0)], "c2 keeps its own");
}

/// Each group remembers them: a long one in a thousand groups would fill the memory.
#[test]
fn what_a_group_remembers_is_bounded() {
    let mut bench = Bench::new();
    let beat = |id: &str, subscriptions: Vec<Subscription>| {
        let mut beat = heartbeat(id, "readers", subscription("orders", "*", 1));
        beat.consumers[0].subscriptions = subscriptions;
        beat
    };
    let many = |count: usize| -> Vec<Subscription> {
        (0..count).map(|n| subscription(&format!("{n:0127}"), "*", 1)).collect()
    };
    let of = |topic: &str, expression: &str| vec![subscription(topic, expression, 1)];
    let tags = |count| {
        let tags_set = vec!["t".repeat(1_000); count];
        vec![Subscription { tags_set, ..subscription("orders", "*", 1) }]
    };
    let (invalid, unreadable) =
        (ResponseCode::INVALID_PARAMETER, ResponseCode::SUBSCRIPTION_PARSE_FAILED);
    for (what, wrong, code) in [
        ("client id", beat(&"c".repeat(256), of("orders", "*")), invalid),
        ("topic", beat("c", of(&"t".repeat(128), "*")), invalid),
        ("expression", beat("c", of("orders", &"t".repeat(8_193))), unreadable),
        ("number", beat("c", many(1_001)), invalid),
        ("tags", beat("c", tags(256)), invalid),
    ] {
        assert_eq!(bench.code(1, &wrong), code, "{what}");
        assert!(bench.engine.groups.get("readers").is_none(), "{what}");
    }
    bench.call(1, &beat(&"c".repeat(255), of(&"t".repeat(127), &"t".repeat(8_192))));
    bench.call(1, &beat("c", many(1_000)));
    bench.call(1, &beat("c", tags(255)));
    let lock = |id: &str| LockQueues {
        client_id: id.into(),
        group: "readers".into(),
        queues: vec![QueueName { topic: "orders".into(), ..QueueName::default() }],
        ..LockQueues::default()
    };
    assert_eq!(bench.code(1, &lock(&"c".repeat(256))), invalid);
    assert_eq!(bench.call(1, &lock(&"c".repeat(255))).queues.len(), 1);
}

#[test]
fn an_expression_is_no_longer_than_real_ones_are() {
    let mut bench = Bench::new();
    let long = "t".repeat(8_193);
    let check = CheckClientConfig {
        subscription: subscription("orders", &long, 1),
        ..CheckClientConfig::default()
    };
    let code = ResponseCode::SUBSCRIPTION_PARSE_FAILED;
    assert_eq!(bench.code(1, &check), code);
    let request = |text: &str| Pull { subscription: Some(text.into()), ..pull("orders", 0, 0) };
    assert_eq!(bench.code(1, &request(&long)), code);
    assert_eq!(bench.code(1, &request(&long[1..])), ResponseCode::PULL_NOT_FOUND);
}

#[test]
fn only_filters_of_tags_are_had() {
    let mut bench = Bench::new();
    for (kind, code) in [
        ("", ResponseCode::SUCCESS),
        ("TAG", ResponseCode::SUCCESS),
        ("SQL92", ResponseCode::SYSTEM_ERROR),
    ] {
        let check = CheckClientConfig {
            subscription: Subscription {
                expression_type: kind.into(),
                ..subscription("orders", "*", 1)
            },
            ..CheckClientConfig::default()
        };
        assert_eq!(bench.code(1, &check), code, "{kind}");
    }
}
