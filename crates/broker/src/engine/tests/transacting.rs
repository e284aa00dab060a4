//! Transactions: half messages, their ends, and the questions about half messages without an end.

use posthaste_protocol::request::{
    CheckTransaction, EndTransaction, Heartbeat, ProducerGroup, SendAnswer, SendMessage,
    UnregisterClient, decision,
};
use posthaste_protocol::stored::sys_flag;
use posthaste_protocol::{Command, Properties, RequestCode, ResponseCode, StoredMessage};

use super::harness::{Bench, START, message, with_properties};
use crate::engine::SessionId;
use crate::store::watched::Watched;
use crate::store::{DiskStore, Fact, MemoryStore};

const GROUP: &str = "payers";
const UNDECIDED: &str = "TRANS_CHECK_MAX_TIME_TOPIC";

fn half(body: &str) -> SendMessage<'static> {
    half_with(&[], body)
}

fn half_with(properties: &[(&str, &str)], body: &str) -> SendMessage<'static> {
    let mut all = vec![("TRAN_MSG", "true"), ("PGROUP", GROUP), ("UNIQ_KEY", body)];
    all.extend_from_slice(properties);
    let sent = with_properties(&all, message("orders", 2, body));
    SendMessage { sys_flag: 4, group: GROUP.into(), ..sent }
}

fn physical(answer: &SendAnswer) -> i64 {
    let id = &answer.offset_message_id;
    i64::from_str_radix(&id[id.len() - 16..], 16).expect("an id")
}

fn end(answer: &SendAnswer, decision: i32) -> EndTransaction {
    EndTransaction {
        group: GROUP.into(),
        half_offset: answer.queue_offset,
        half_physical_offset: physical(answer),
        decision,
        from_check: Some(false),
        ..EndTransaction::default()
    }
}

fn beat(group: &str) -> Heartbeat {
    Heartbeat {
        client_id: format!("a client of {group}"),
        producers: vec![ProducerGroup { group_name: group.into() }],
        ..Heartbeat::default()
    }
}

/// The questions among what has left: to whom, and what.
fn questions(left: &[(u64, Command)]) -> Vec<(u64, CheckTransaction)> {
    let is_question =
        |c: &Command| !c.is_answer() && c.request_code() == RequestCode::CHECK_TRANSACTION_STATE;
    let all = left.iter().filter(|(_, command)| is_question(command));
    all.map(|(session, command)| {
        assert!(command.is_oneway());
        (*session, command.read().expect("a question"))
    })
    .collect()
}

fn message_of(question: &CheckTransaction) -> StoredMessage {
    StoredMessage::decode(&mut question.message.clone()).expect("a record")
}

#[test]
fn a_half_message_is_seen_once_it_is_committed_as_5_x_stores_it() {
    let mut bench = Bench::new();
    let answer = bench.call(0, &half_with(&[("TAGS", "t")], "paid"));
    assert_eq!((answer.queue_id, answer.queue_offset), (2, 0));
    assert_eq!(answer.transaction_id.as_deref(), Some("paid"));
    assert_eq!(answer.recall_handle, None);
    assert!(bench.read("orders", 2).is_empty());
    let waiting = bench.read("RMQ_SYS_TRANS_HALF_TOPIC", 0).remove(0);
    assert_eq!(waiting.sys_flag & sys_flag::TRANSACTION, 0);
    for (name, value) in [("REAL_TOPIC", "orders"), ("REAL_QID", "2"), ("TRAN_MSG", "true")] {
        assert_eq!(waiting.property(name), Some(value), "{name}");
    }

    bench.pass(1_000);
    bench.call(0, &end(&answer, decision::COMMIT));
    let stored = bench.read("orders", 2).remove(0);
    assert_eq!((stored.topic.as_str(), stored.queue_id), ("orders", 2));
    assert_eq!(stored.body, "paid");
    assert_eq!(stored.sys_flag, 8);
    assert_eq!(stored.prepared_offset, physical(&answer));
    assert_eq!((stored.born_at_ms, stored.stored_at_ms), (START - 5, START + 1_000));
    assert_eq!(stored.born_host.to_string(), "127.0.0.1:50000");
    let mut names: Vec<String> =
        stored.properties().iter().map(|(name, _)| name.to_owned()).collect();
    names.sort_unstable();
    // Recorded from 5.5.0; there is also a WAIT, from the client.
    assert_eq!(
        names,
        [
            "CLUSTER",
            "MSG_REGION",
            "PGROUP",
            "TAGS",
            "TRACE_ON",
            "TRAN_MSG",
            "UNIQ_KEY",
            "__transactionId__"
        ]
    );
    assert_eq!(stored.property("__transactionId__"), Some("paid"));
}

#[test]
fn what_is_rolled_back_is_never_seen_and_a_second_end_changes_nothing() {
    for (first, second, seen) in [
        (decision::ROLLBACK, decision::COMMIT, 0),
        (decision::ROLLBACK, decision::ROLLBACK, 0),
        (decision::COMMIT, decision::ROLLBACK, 1),
        (decision::COMMIT, decision::COMMIT, 1),
    ] {
        let mut bench = Bench::new();
        bench.call(1, &beat(GROUP));
        let answer = bench.call(0, &half("x"));
        bench.call(0, &end(&answer, first));
        let again = bench.ask(0, &end(&answer, second));
        assert_eq!(again.response_code(), ResponseCode::SYSTEM_ERROR);
        assert_eq!(
            again.remark.as_deref(),
            Some("Find prepared transaction message failed"),
            "{first} {second}"
        );
        assert!(questions(&bench.pass(1_000_000)).is_empty(), "asked about though decided");
        assert_eq!(bench.read("orders", 2).len(), seen, "{first} {second}");
    }
}

#[test]
fn who_may_not_decide_is_refused() {
    let mut bench = Bench::new();
    let plain = bench.call(0, &message("orders", 0, "no half message"));
    let answer = bench.call(0, &half("x"));
    let right = end(&answer, decision::COMMIT);
    for (wrong, remark) in [
        (EndTransaction { group: "others".into(), ..right.clone() }, "The producer group wrong"),
        (
            EndTransaction { half_offset: 1, ..right.clone() },
            "The transaction state table offset wrong",
        ),
        (
            EndTransaction { half_physical_offset: physical(&answer) + 1, ..right.clone() },
            "Find prepared transaction message failed",
        ),
        (
            EndTransaction { half_physical_offset: physical(&plain), ..right.clone() },
            "Find prepared transaction message failed",
        ),
        (
            EndTransaction { half_physical_offset: -1, ..right.clone() },
            "Find prepared transaction message failed",
        ),
    ] {
        for wrong in [wrong.clone(), EndTransaction { decision: decision::ROLLBACK, ..wrong }] {
            let refused = bench.ask(0, &wrong);
            assert_eq!(refused.response_code(), ResponseCode::SYSTEM_ERROR);
            assert_eq!(refused.remark.as_deref(), Some(remark), "{wrong:?}");
        }
    }
    assert!(bench.read("orders", 2).is_empty());
    bench.call(0, &right);
    assert_eq!(bench.bodies("orders", 2), ["x"]);
}

#[test]
fn what_is_no_decision_gets_no_answer_and_an_end_that_wants_none_gets_none() {
    let mut bench = Bench::new();
    let answer = bench.call(0, &half("x"));
    for no_decision in [decision::UNKNOWN, 4, 7, -1] {
        bench.put(0, &end(&answer, no_decision));
        assert!(bench.settle().is_empty(), "{no_decision}");
    }
    let wrong = EndTransaction { half_offset: 5, ..end(&answer, decision::COMMIT) };
    bench.put_as(0, &wrong, true);
    assert!(bench.settle().is_empty());
    assert!(bench.read("orders", 2).is_empty());
    bench.put_as(0, &end(&answer, decision::COMMIT), true);
    assert!(bench.settle().is_empty());
    assert_eq!(bench.bodies("orders", 2), ["x"]);
}

#[test]
fn producers_are_asked_in_turn_until_one_decides() {
    let mut bench = Bench::new();
    let answer = bench.call(0, &half_with(&[("TAGS", "t")], "x"));
    for session in [1, 2] {
        bench.call(session, &beat(GROUP));
        bench.call(session, &beat(GROUP));
    }
    bench.call(3, &beat("others"));
    assert!(questions(&bench.pass(5_999)).is_empty(), "asked too early");
    let first = questions(&bench.pass(1));
    assert_eq!(first.len(), 1);
    let (_, question) = &first[0];
    assert_eq!(question.half_offset, answer.queue_offset);
    assert_eq!(question.half_physical_offset, physical(&answer));
    assert_eq!(question.offset_message_id.as_ref(), Some(&answer.offset_message_id));
    assert_eq!(question.message_id.as_deref(), Some("x"));
    assert_eq!(question.transaction_id.as_deref(), Some("x"));
    assert_eq!(question.topic.as_deref(), Some("RMQ_SYS_TRANS_HALF_TOPIC"));
    assert_eq!(question.broker_name.as_deref(), Some("dev"));
    let asked = message_of(question);
    assert_eq!((asked.topic.as_str(), asked.queue_id), ("orders", 2));
    assert_eq!(asked.body, "x");
    assert_eq!(asked.property("TRANSACTION_CHECK_TIMES"), Some("1"));
    assert_eq!(asked.property("PGROUP"), Some(GROUP));
    assert_eq!(asked.property("TAGS"), Some("t"));

    assert!(questions(&bench.pass(29_999)).is_empty());
    let second = questions(&bench.pass(1));
    assert_eq!(second.len(), 1);
    assert_eq!(message_of(&second[0].1).property("TRANSACTION_CHECK_TIMES"), Some("2"));
    let mut asked = [first[0].0, second[0].0];
    asked.sort_unstable();
    assert_eq!(asked, [1, 2], "each member in its turn");

    let decided = EndTransaction {
        from_check: Some(true),
        half_offset: second[0].1.half_offset,
        half_physical_offset: second[0].1.half_physical_offset,
        ..end(&answer, decision::COMMIT)
    };
    bench.call(1, &decided);
    assert_eq!(bench.bodies("orders", 2), ["x"]);
    assert!(questions(&bench.pass(1_000_000)).is_empty());
}

#[test]
fn nobody_is_asked_who_is_gone_and_who_comes_is_asked_at_once() {
    let mut bench = Bench::new();
    bench.call(0, &half("x"));
    bench.call(1, &beat(GROUP));
    bench.call(2, &beat(GROUP));
    bench.engine.close(SessionId(1), &mut bench.effects);
    let leave = UnregisterClient {
        client_id: "c2".into(),
        producer_group: Some(GROUP.into()),
        ..UnregisterClient::default()
    };
    bench.call(2, &leave);
    assert!(questions(&bench.pass(600_000)).is_empty());
    assert!(bench.engine.next_wake().is_none_or(|due| due > bench.now), "it wakes for nothing");

    bench.call(3, &beat(GROUP));
    let asked = questions(&bench.pass(0));
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].0, 3);
    // No member was asked in between, and that counts as nothing.
    assert_eq!(message_of(&asked[0].1).property("TRANSACTION_CHECK_TIMES"), Some("1"));
}

#[test]
fn after_fifteen_questions_a_half_message_is_given_up() {
    let mut bench = Bench::new();
    bench.call(1, &beat(GROUP));
    let answer = bench.call(0, &half("x"));
    let asked = questions(&bench.pass(6_000 + 14 * 30_000));
    assert_eq!(asked.len(), 15);
    assert_eq!(message_of(&asked[14].1).property("TRANSACTION_CHECK_TIMES"), Some("15"));
    // The last question may still be answered.
    bench.pass(29_999);
    assert_ne!(
        bench.ask(3, &super::harness::pull(UNDECIDED, 0, 0)).response_code(),
        ResponseCode::SUCCESS
    );
    assert!(questions(&bench.pass(1)).is_empty());
    let given_up = bench.read(UNDECIDED, 0);
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0].body, "x");
    assert_eq!(given_up[0].property("REAL_TOPIC"), Some("orders"));
    assert!(questions(&bench.pass(10_000_000)).is_empty());
    assert_eq!(
        bench.code(0, &end(&answer, decision::COMMIT)),
        ResponseCode::SYSTEM_ERROR,
        "it is given up"
    );
    assert!(bench.read("orders", 2).is_empty());
}

#[test]
fn a_half_message_of_nobody_is_given_up_after_three_days() {
    let mut bench = Bench::new();
    bench.call(0, &half("x"));
    bench.pass(3 * 24 * 3_600_000);
    assert!(bench.engine.topics.get(UNDECIDED).is_none());
    bench.pass(6_000);
    assert_eq!(bench.bodies(UNDECIDED, 0), ["x"]);
}

#[test]
fn a_message_may_say_when_it_is_asked_about() {
    for (immunity, first) in [("1", 1_000), ("40", 40_000), ("-1", 6_000), ("soon", 6_000)] {
        let mut bench = Bench::new();
        bench.call(1, &beat(GROUP));
        bench.call(0, &half_with(&[("CHECK_IMMUNITY_TIME_IN_SECONDS", immunity)], "x"));
        assert!(questions(&bench.pass(first - 1)).is_empty(), "{immunity}");
        assert_eq!(questions(&bench.pass(1)).len(), 1, "{immunity}");
    }
    // By then only the answer to the question counts.
    let mut bench = Bench::new();
    let sent = half_with(&[("CHECK_IMMUNITY_TIME_IN_SECONDS", "10")], "x");
    let (in_time, late) = (bench.call(0, &sent), bench.call(0, &sent));
    bench.pass(10_000);
    bench.call(0, &end(&in_time, decision::COMMIT));
    bench.pass(1);
    let too_late = end(&late, decision::COMMIT);
    assert_eq!(bench.code(0, &too_late), ResponseCode::ILLEGAL_OPERATION);
    assert_eq!(bench.read("orders", 2).len(), 1);
    bench.call(0, &EndTransaction { from_check: Some(true), ..too_late });
    assert_eq!(bench.read("orders", 2).len(), 2);
}

/// As 5.x has it: the check may come sooner, but the producer may decide for as long as others.
#[test]
fn whoever_asks_to_be_asked_soon_may_still_decide_until_others_are_asked() {
    for immunity in ["0", "1", "5", "-1", "soon"] {
        let mut bench = Bench::new();
        let sent = half_with(&[("CHECK_IMMUNITY_TIME_IN_SECONDS", immunity)], "x");
        let (in_time, late) = (bench.call(0, &sent), bench.call(0, &sent));
        bench.pass(6_000);
        bench.call(0, &end(&in_time, decision::COMMIT));
        bench.pass(1);
        let code = bench.code(0, &end(&late, decision::COMMIT));
        assert_eq!(code, ResponseCode::ILLEGAL_OPERATION, "{immunity}");
    }
}

#[test]
fn no_message_may_ask_to_wait_for_longer_than_half_messages_live() {
    let file = Watched::default();
    for immunity in ["9223372036854775807", "259201"] {
        let mut bench = open(&file);
        bench.call(1, &beat(GROUP));
        bench.call(0, &half_with(&[("CHECK_IMMUNITY_TIME_IN_SECONDS", immunity)], immunity));
        assert!(bench.pass(3 * 24 * 3_600_000 - 1).is_empty(), "{immunity}");
        bench.pass(1);
        assert_eq!(bench.bodies(UNDECIDED, 0).pop().as_deref(), Some(immunity));
    }
    // One of a time when it might.
    let mut bench = open(&file);
    let answer = bench.call(0, &half("old"));
    let offset = answer.queue_offset as u64;
    let group = GROUP.to_owned();
    let due = i64::MAX;
    bench.effects.commit.put(Fact::Half { offset, group, since: START, due, checks: 0 });
    bench.settle();
    drop(bench);
    let mut bench = open(&file);
    bench.call(1, &beat(GROUP));
    bench.pass(3 * 24 * 3_600_000);
    assert_eq!(bench.bodies(UNDECIDED, 0).pop().as_deref(), Some("old"));
}

#[test]
fn the_group_of_a_half_message_is_a_name_and_there_are_not_too_many_of_them() {
    let mut bench = Bench::new();
    let of = |group: &str| {
        let properties = [("TRAN_MSG", "true"), ("PGROUP", group)];
        with_properties(&properties, message("orders", 2, "x"))
    };
    for wrong in [&"g".repeat(256), "a/b", "two words"] {
        assert_eq!(bench.code(0, &of(wrong)), ResponseCode::MESSAGE_ILLEGAL, "{wrong}");
    }
    let unnamed = with_properties(&[("TRAN_MSG", "true")], message("orders", 2, "x"));
    let unnamed = SendMessage { group: "".into(), ..unnamed };
    assert_eq!(bench.code(0, &unnamed), ResponseCode::MESSAGE_ILLEGAL);
    assert!(bench.read("RMQ_SYS_TRANS_HALF_TOPIC", 0).is_empty());
    let first = bench.call(0, &of(&"g".repeat(255)));
    for n in 1..1_000 {
        bench.put(0, &of(&n.to_string()));
    }
    assert!(bench.settle().iter().all(|(_, c)| c.response_code() == ResponseCode::SUCCESS));
    assert_eq!(bench.code(0, &of("another")), ResponseCode::SYSTEM_BUSY);
    bench.call(0, &of("7"));
    let decided = EndTransaction { group: "g".repeat(255), ..end(&first, decision::ROLLBACK) };
    bench.call(0, &decided);
    bench.call(0, &of("another"));
}

/// Here it came after its commit, so tests passed; real brokers never deliver it.
#[test]
fn a_delayed_half_message_is_refused_with_the_reason() {
    let mut bench = Bench::new();
    let soon = (START + 1_000).to_string();
    for (property, value) in [
        ("DELAY", "2"),
        ("TIMER_DELAY_MS", "2500"),
        ("TIMER_DELAY_SEC", "7"),
        ("TIMER_DELIVER_MS", &soon),
        ("TIMER_DELIVER_MS", "9"),
    ] {
        let answer = bench.ask(0, &half_with(&[(property, value)], "x"));
        assert_eq!(answer.response_code(), ResponseCode::MESSAGE_ILLEGAL, "{property}");
        let remark = answer.remark.unwrap_or_default();
        assert!(remark.starts_with("a half message cannot be delayed"), "{remark}");
    }
    bench.call(0, &half_with(&[("DELAY", "0")], "x"));
    assert_eq!(bench.engine.stored(), 1);
}

#[test]
fn what_a_consumer_has_failed_to_handle_is_no_half_message_again() {
    let mut bench = Bench::new();
    let sent = with_properties(
        &[("TRAN_MSG", "true"), ("DELAY", "1")],
        SendMessage { reconsume_times: 1, ..message("orders", 0, "again") },
    );
    bench.call(0, &sent);
    bench.pass(1_000);
    assert_eq!(bench.bodies("orders", 0), ["again"]);
}

#[test]
fn a_half_message_that_names_no_group_is_its_senders() {
    let mut bench = Bench::new();
    let sent = with_properties(&[("TRAN_MSG", "true")], message("orders", 2, "x"));
    let answer = bench.call(0, &sent);
    let right = end(&answer, decision::COMMIT);
    assert_eq!(bench.code(0, &right), ResponseCode::SYSTEM_ERROR);
    bench.call(0, &EndTransaction { group: "producers".into(), ..right });
}

/// Pushes are not read for a while: more than 4 MiB would close the producer's connection.
#[test]
fn producers_are_not_flooded_with_questions() {
    let mut bench = Bench::new();
    let body = "x".repeat(100_000);
    for _ in 0..200 {
        bench.put(0, &SendMessage { body: body.clone().into(), ..half("id") });
    }
    bench.settle();
    bench.call(1, &beat(GROUP));
    let bytes = |left: &[(u64, Command)]| -> usize {
        questions(left).iter().map(|(_, question)| question.message.len()).sum()
    };
    let at_once = bench.pass(6_000);
    assert!((100_000..500_000).contains(&bytes(&at_once)), "{}", bytes(&at_once));
    let mut asked = questions(&at_once).len();
    asked += questions(&bench.pass(20_000)).len();
    assert_eq!(asked, 200);
}

#[test]
fn a_half_message_that_memory_has_dropped_is_forgotten() {
    let mut bench = Bench::with_store(Box::new(MemoryStore::new(2_000)));
    bench.call(1, &beat(GROUP));
    let answer = bench.call(0, &half("x"));
    for _ in 0..20 {
        bench.call(0, &message("orders", 0, "0123456789"));
    }
    assert!(questions(&bench.pass(6_000)).is_empty());
    assert_eq!(bench.code(0, &end(&answer, decision::COMMIT)), ResponseCode::SYSTEM_ERROR);
    assert_eq!(bench.engine.next_wake(), None);
}

fn open(file: &Watched) -> Bench {
    Bench::with_store(Box::new(DiskStore::with_backend(file.clone(), u64::MAX).expect("open")))
}

#[test]
fn what_is_undecided_is_asked_about_after_a_restart_and_what_is_decided_stays_so() {
    let file = Watched::default();
    let mut bench = open(&file);
    let open_half = bench.call(0, &half("open"));
    let committed = bench.call(0, &half("committed"));
    let rolled_back = bench.call(0, &half("rolled back"));
    bench.call(0, &end(&committed, decision::COMMIT));
    bench.call(0, &end(&rolled_back, decision::ROLLBACK));
    bench.call(1, &beat(GROUP));
    assert_eq!(questions(&bench.pass(6_000)).len(), 1);
    let now = bench.now;
    drop(bench);

    let mut bench = open(&file);
    bench.now = now + 100_000;
    assert_eq!(bench.bodies("orders", 2), ["committed"]);
    for decided in [&committed, &rolled_back] {
        assert_eq!(bench.code(0, &end(decided, decision::COMMIT)), ResponseCode::SYSTEM_ERROR);
    }
    bench.call(1, &beat(GROUP));
    let asked = questions(&bench.pass(0));
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].1.half_offset, open_half.queue_offset);
    let times = message_of(&asked[0].1).properties();
    assert_eq!(times.get("TRANSACTION_CHECK_TIMES"), Some("2"), "{times:?}");
    bench.call(1, &end(&open_half, decision::COMMIT));
    drop(bench);
    assert_eq!(open(&file).bodies("orders", 2), ["committed", "open"]);
}

/// The power may fail at any moment, and any part of the file may be there: the message has come and is
/// decided, or neither.
#[test]
fn a_commit_and_its_message_are_kept_together() {
    let file = Watched::default();
    let mut bench = open(&file);
    let answers: Vec<SendAnswer> = (0..20).map(|n| bench.call(0, &half(&n.to_string()))).collect();
    let begin = file.operations();
    for answer in &answers {
        bench.call(0, &end(answer, decision::COMMIT));
    }
    let mut random = fastrand::Rng::with_seed(5);
    let mut partly = 0;
    for _ in 0..60 {
        let image = file.image(random.usize(begin..=file.operations()), &mut random, false);
        let mut after = open(&image);
        let come: Vec<usize> =
            after.bodies("orders", 2).iter().map(|n| n.parse().expect("a number")).collect();
        for (n, answer) in answers.iter().enumerate() {
            let undecided = after.engine.halves.get(answer.queue_offset as u64).is_some();
            assert_eq!(undecided, !come.contains(&n), "message {n} of {come:?}");
        }
        partly += usize::from((1..20).contains(&come.len()));
    }
    assert!(partly > 20, "{partly} images were in the middle");
}

#[test]
fn without_room_a_commit_waits_and_a_rollback_does_not() {
    let file = Watched::default();
    let store = DiskStore::with_backend(file.clone(), 6_000).expect("open");
    let mut bench = Bench::with_store(Box::new(store));
    let sent = SendMessage { body: "x".repeat(2_800).into(), ..half("id") };
    let (one, two) = (bench.call(0, &sent), bench.call(0, &sent));
    let full = bench.code(0, &end(&one, decision::COMMIT));
    assert_eq!(full, ResponseCode::SERVICE_NOT_AVAILABLE);
    bench.call(0, &end(&two, decision::ROLLBACK));
    bench.call(1, &beat(GROUP));
    bench.pass(1_000);
    let wake = bench.engine.next_wake();
    assert!(wake.is_none(), "a full store is no reason to turn in circles: {wake:?}");
    drop(bench);

    let mut bench = open(&file);
    bench.call(0, &end(&one, decision::COMMIT));
    assert_eq!(bench.read("orders", 2).len(), 1);
}

#[test]
fn properties_of_full_length_can_be_committed_with_all_that_is_added() {
    let mut bench = Bench::new();
    let fits = |length: usize| {
        let long = "v".repeat(length);
        half_with(&[("k", &long)], "x")
    };
    let longest = (30_000..33_000)
        .rev()
        .find(|length| bench.code(0, &fits(*length)) == ResponseCode::SUCCESS)
        .expect("some length fits");
    let answer = bench.call(0, &fits(longest));
    bench.call(0, &end(&answer, decision::COMMIT));
    let stored = bench.read("orders", 2);
    let properties: Properties = stored[0].properties();
    assert_eq!(properties.get("k").map(str::len), Some(longest));
}
