//! Messages that consumers give back: they come again, and at last are dead letters.

use posthaste_protocol::request::{SendBack, SendMessage};
use posthaste_protocol::{ResponseCode, StoredMessage};

use super::consuming::send_all;
use super::harness::{Bench, heartbeat, message, subscription, with_properties};

fn back(message: &StoredMessage, delay_level: i32) -> SendBack {
    SendBack {
        offset: message.physical_offset,
        group: "readers".into(),
        delay_level,
        max_reconsume_times: Some(16),
        ..SendBack::default()
    }
}

#[test]
fn a_message_given_back_comes_again_sixteen_times_and_then_is_a_dead_letter() {
    let mut bench = Bench::new();
    bench.call(
        0,
        &with_properties(&[("UNIQ_KEY", "id"), ("TAGS", "t")], message("orders", 0, "hard")),
    );
    let first = bench.read("orders", 0).remove(0);
    let mut current = first.clone();
    for times in 1..=16 {
        bench.call(1, &back(&current, 0));
        assert_eq!(bench.read("%RETRY%readers", 0).len(), times - 1, "at once");
        bench.pass(7_200_000);
        let again = bench.read("%RETRY%readers", 0);
        assert_eq!(again.len(), times);
        current = again[times - 1].clone();
        assert_eq!(current.reconsume_times, times as i32);
        assert_eq!(current.body, "hard");
        assert_eq!(current.property("RETRY_TOPIC"), Some("orders"));
        assert_eq!(current.property("UNIQ_KEY"), Some("id"));
        assert_eq!(current.born_at_ms, first.born_at_ms);
    }
    bench.call(1, &back(&current, 0));
    let dead = bench.read("%DLQ%readers", 0);
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].body, "hard");
    assert_eq!(dead[0].property("RETRY_TOPIC"), Some("orders"));
    bench.pass(7_200_000);
    assert_eq!(bench.read("%RETRY%readers", 0).len(), 16);
}

#[test]
fn the_first_retry_comes_after_ten_seconds() {
    let mut bench = Bench::new();
    send_all(&mut bench, &["x"]);
    let sent = bench.read("orders", 0).remove(0);
    bench.call(1, &back(&sent, 0));
    bench.pass(9_999);
    assert!(bench.read("%RETRY%readers", 0).is_empty());
    bench.pass(1);
    assert_eq!(bench.bodies("%RETRY%readers", 0), ["x"]);
}

/// What is too long would be cut, and with it where the message is to go.
#[test]
fn a_message_is_taken_back_only_if_there_is_room_for_what_is_noted_at_it() {
    let mut bench = Bench::new();
    bench.call(1, &heartbeat("c1", "readers", subscription("orders", "*", 1)));
    let mut refused = 0;
    for length in (32_300..32_700).step_by(5) {
        let sent = with_properties(&[("k", &"v".repeat(length))], message("orders", 0, "x"));
        if bench.code(0, &sent) != ResponseCode::SUCCESS {
            continue;
        }
        let sent = bench.read("orders", 0).pop().expect("the message");
        let before = bench.read("%RETRY%readers", 0).len();
        let code = bench.code(1, &back(&sent, 1));
        bench.pass(1_000);
        let come = bench.read("%RETRY%readers", 0).len() - before;
        match code {
            ResponseCode::SUCCESS => assert_eq!(come, 1, "{length}: lost"),
            code => assert_eq!((code, come), (ResponseCode::MESSAGE_ILLEGAL, 0), "{length}"),
        }
        refused += usize::from(code != ResponseCode::SUCCESS);
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn a_negative_level_goes_to_the_dead_letters_at_once() {
    let mut bench = Bench::new();
    send_all(&mut bench, &["x"]);
    let sent = bench.read("orders", 0).remove(0);
    bench.call(1, &back(&sent, -1));
    assert_eq!(bench.bodies("%DLQ%readers", 0), ["x"]);
    let nowhere = SendBack { offset: 1 << 50, ..back(&sent, 0) };
    assert_eq!(bench.code(1, &nowhere), ResponseCode::SYSTEM_ERROR);
}

#[test]
fn counters_that_a_client_made_up_do_no_harm() {
    let mut bench = Bench::new();
    bench.call(0, &SendMessage { reconsume_times: i32::MAX, ..message("orders", 0, "x") });
    let sent = bench.read("orders", 0).remove(0);
    let endless = SendBack { max_reconsume_times: Some(i32::MAX), ..back(&sent, 0) };
    bench.call(1, &endless);
    assert_eq!(bench.read("%DLQ%readers", 0)[0].reconsume_times, i32::MAX);
    bench.call(0, &SendMessage { reconsume_times: i32::MAX - 1, ..message("orders", 0, "x") });
    let sent = bench.read("orders", 0).remove(1);
    bench.call(1, &SendBack { offset: sent.physical_offset, ..endless });
    bench.pass(7_200_000);
    assert_eq!(bench.read("%RETRY%readers", 0)[0].reconsume_times, i32::MAX);
}

#[test]
fn a_send_to_a_retry_topic_follows_the_same_rule() {
    let mut bench = Bench::new();
    let retry = |times, limit| SendMessage {
        reconsume_times: times,
        max_reconsume_times: Some(limit),
        ..with_properties(&[("DELAY", "3")], message("%RETRY%readers", 0, "x"))
    };
    bench.call(1, &retry(2, 2));
    bench.pass(10_000);
    assert_eq!(bench.bodies("%RETRY%readers", 0), ["x"]);
    bench.call(1, &retry(3, 2));
    assert_eq!(bench.bodies("%DLQ%readers", 0), ["x"], "without delay");
}
