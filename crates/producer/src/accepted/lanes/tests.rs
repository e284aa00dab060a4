//! Lanes by themselves: what may leave, in which order, and what moves.

use std::time::Duration;

use super::*;
use crate::Message;
use crate::accepted::Sharing;
use crate::accepted::tests::terms;
use crate::accepted::{End, Terms};

fn shared(key: &'static str, sharing: Sharing) -> Arc<Accepted> {
    let message = Message::new("t", "x").order_by(key);
    let deadline = Instant::now() + Duration::from_secs(1);
    let terms = Terms { stored_bytes: 200, ..terms(deadline, sharing) };
    Arc::new(Accepted::new(message.into(), terms))
}

/// A message that goes alone.
fn message(key: &'static str) -> Arc<Accepted> {
    shared(key, Sharing::Alone)
}

fn queue(id: i32) -> Option<MessageQueue> {
    Some(MessageQueue::new("t", "b", id))
}

/// Enters messages of these keys, all into queue 0.
fn lane(keys: &[&'static str]) -> (Lanes, Vec<Arc<Accepted>>) {
    let lanes = Lanes::new(1 << 20);
    let messages: Vec<_> = keys.iter().map(|key| message(key)).collect();
    for (place, one) in messages.iter().enumerate() {
        let entered = lanes.enter(one, || queue(0));
        assert_eq!(entered == Entered::MayLeave, place == 0);
    }
    (lanes, messages)
}

/// The message ends well; what may leave now.
fn end(lanes: &Lanes, one: &Arc<Accepted>) -> Vec<Arc<Accepted>> {
    lanes.end(one, || one.succeed(End::Written)).unwrap().1
}

/// The message fails; what fails with it, and what may leave now.
fn fail(lanes: &Lanes, one: &Arc<Accepted>) -> Followers {
    lanes.fail(one, ErrorKind::Timeout, "").unwrap().1
}

fn same(left: &[Arc<Accepted>], right: &[&Arc<Accepted>]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(l, r)| Arc::ptr_eq(l, r))
}

#[test]
fn one_at_a_time_in_the_order_of_acceptance() {
    let (lanes, messages) = lane(&["a", "b", "a"]);
    assert!(same(&end(&lanes, &messages[0]), &[&messages[1]]));
    assert!(same(&end(&lanes, &messages[1]), &[&messages[2]]));
    assert!(end(&lanes, &messages[2]).is_empty());
    assert!(lanes.state().keys.is_empty() && lanes.state().lanes.is_empty());
}

#[test]
fn a_failure_takes_those_of_its_key_along_and_no_other() {
    let (lanes, messages) = lane(&["a", "b", "a", "c", "a"]);
    let followers = fail(&lanes, &messages[0]);
    assert_eq!(followers.failed.len(), 2);
    assert!(Arc::ptr_eq(&followers.failed[0].0, &messages[2]));
    assert!(same(&followers.next, &[&messages[1]]));
    assert!(same(&end(&lanes, &messages[1]), &[&messages[3]]));
    assert!(end(&lanes, &messages[3]).is_empty());
    assert!(lanes.state().keys.is_empty() && lanes.state().waiting == 0);
}

#[test]
fn one_that_expires_while_it_waits_holds_up_nobody() {
    let (lanes, messages) = lane(&["a", "b", "c"]);
    assert!(fail(&lanes, &messages[1]).next.is_empty());
    assert!(same(&end(&lanes, &messages[0]), &[&messages[2]]));
}

#[test]
fn a_timed_out_request_holds_its_queue_and_its_key_until_it_is_over() {
    let (lanes, messages) = lane(&["a", "a", "b"]);
    let [first, second, third] = &messages[..] else { unreachable!() };
    lanes.hold(first);
    let followers = fail(&lanes, first);
    assert_eq!(followers.failed.len(), 1, "the one behind it");
    assert!(second.has_ended() && followers.next.is_empty());
    // The key is not idle yet, and its queue is not free.
    let fourth = message("a");
    assert_eq!(lanes.enter(&fourth, || queue(5)), Entered::Waits { sooner: false });
    assert!(same(&lanes.request_over(first), &[third]));
    assert!(lanes.request_over(first).is_empty());
    assert!(same(&end(&lanes, third), &[&fourth]));
    assert!(end(&lanes, &fourth).is_empty());
    assert!(lanes.state().keys.is_empty() && lanes.state().lanes.is_empty());
}

#[test]
fn a_message_that_goes_on_when_its_request_is_over_keeps_its_place() {
    let (lanes, messages) = lane(&["a", "a"]);
    let [first, second] = &messages[..] else { unreachable!() };
    lanes.hold(first);
    assert!(lanes.request_over(first).is_empty());
    assert!(same(&end(&lanes, first), &[second]));
    // One that is not on its way is not held.
    let third = message("a");
    lanes.enter(&third, || queue(0));
    lanes.hold(&third);
    assert!(lanes.request_over(&third).is_empty());
    assert!(same(&end(&lanes, second), &[&third]));
    assert!(end(&lanes, &third).is_empty());
    assert!(lanes.state().keys.is_empty() && lanes.state().lanes.is_empty());
}

#[test]
fn a_key_keeps_its_queue_until_it_is_idle() {
    let (lanes, messages) = lane(&["a"]);
    let second = message("a");
    lanes.enter(&second, || queue(5));
    assert_eq!(lanes.queue_of(&second), queue(0));
    end(&lanes, &messages[0]);
    end(&lanes, &second);
    let third = message("a");
    lanes.enter(&third, || queue(5));
    assert_eq!(lanes.queue_of(&third), queue(5));
}

/// Of these on their way to queue 0, all in one request, the given ones are certainly not stored.
fn move_away(
    lanes: &Lanes,
    group: &[&Arc<Accepted>],
    queues: &[(&str, i32)],
) -> Vec<Arc<Accepted>> {
    let group = group.iter().map(|one| (*one).clone()).collect();
    let to = |key: &str| queues.iter().find(|(of, _)| *of == key).and_then(|(_, id)| queue(*id));
    lanes.move_keys(&queue(0).unwrap(), group, to)
}

#[test]
fn a_key_whose_queue_is_gone_moves_with_all_that_waits_for_it_and_in_order() {
    let (lanes, messages) = lane(&["a", "b", "a", "b", "a"]);
    let [first, second, third, fourth, fifth] = &messages[..] else { unreachable!() };
    // One that was there already.
    let other = message("o");
    assert_eq!(lanes.enter(&other, || queue(2)), Entered::MayLeave);
    let may_leave = move_away(&lanes, &[first], &[("a", 1), ("b", 2)]);
    assert!(same(&may_leave, &[first]));
    assert_eq!((lanes.queue_of(third), lanes.queue_of(second)), (queue(1), queue(2)));
    assert!(same(&end(&lanes, first), &[third]));
    assert!(same(&end(&lanes, third), &[fifth]));
    assert!(same(&end(&lanes, &other), &[second]));
    // What comes later is behind them.
    let late = message("a");
    assert_eq!(lanes.enter(&late, || queue(0)), Entered::Waits { sooner: false });
    assert!(same(&end(&lanes, second), &[fourth]));
    assert!(same(
        &fail(&lanes, fifth).failed.iter().map(|one| one.0.clone()).collect::<Vec<_>>(),
        &[&late]
    ));
    assert!(end(&lanes, fourth).is_empty());
    let state = lanes.state();
    assert!(state.keys.is_empty() && state.waiting == 0, "{state:?}");
}

#[test]
fn a_key_stays_of_which_a_message_may_be_stored() {
    let (lanes, messages) = shared_lane(&["x", "a", "b", "c", "a", "b", "c"]);
    end(&lanes, &messages[0]);
    let [_, a1, b1, c1, a2, b2, c2] = &messages[..] else { unreachable!() };
    // An attempt of one may have stored it, the request of another has timed out.
    assert!(a1.write_unless_ended(|_| {}).is_some());
    lanes.hold(b1);
    fail(&lanes, b1);
    let group = [a1, c1, a2, b2, c2];
    let may_leave = move_away(&lanes, &group, &[("a", 1), ("b", 1), ("c", 1)]);
    assert!(same(&may_leave, &[a1, a2, c1, c2]));
    assert_eq!((lanes.queue_of(a1), lanes.queue_of(c1)), (queue(0), queue(1)));
    // Nothing is lost or counted twice.
    for one in [a1, a2, c1, c2] {
        end(&lanes, one);
    }
    lanes.request_over(b1);
    let state = lanes.state();
    assert!(state.keys.is_empty() && state.lanes.is_empty() && state.waiting == 0, "{state:?}");
}

#[test]
fn a_key_stays_that_has_nowhere_to_go() {
    let (lanes, messages) = lane(&["a", "a"]);
    let may_leave = move_away(&lanes, &[&messages[0]], &[]);
    assert!(same(&may_leave, &[&messages[0]]));
    assert_eq!(lanes.queue_of(&messages[1]), queue(0));
    assert!(same(&end(&lanes, &messages[0]), &[&messages[1]]));
}

#[test]
fn one_taken_back_fails_nobody() {
    let (lanes, messages) = lane(&["a", "a", "a"]);
    assert!(messages[1].withdraw());
    assert!(lanes.withdrawn(&messages[1]).is_empty());
    assert!(same(&end(&lanes, &messages[0]), &[&messages[2]]));
    assert!(messages[2].withdraw());
    assert!(lanes.withdrawn(&messages[2]).is_empty());
    assert!(lanes.state().keys.is_empty() && lanes.state().lanes.is_empty());
}

#[test]
fn those_taken_back_do_not_pile_up() {
    let (lanes, _first) = lane(&["a"]);
    for _ in 0..10_000 {
        let one = message("a");
        lanes.enter(&one, || queue(0));
        assert!(one.withdraw());
        lanes.withdrawn(&one);
    }
    assert!(lanes.state().waiting < 200, "{} wait", lanes.state().waiting);
}

const WITH: Sharing = Sharing::With { wait_stored: true, oneway: false, sys_flag: 0 };

/// Enters messages that may share a batch, all into queue 0.
fn shared_lane(keys: &[&'static str]) -> (Lanes, Vec<Arc<Accepted>>) {
    let lanes = Lanes::new(1 << 20);
    let messages: Vec<_> = keys.iter().map(|key| shared(key, WITH)).collect();
    for one in &messages {
        lanes.enter(one, || queue(0));
    }
    (lanes, messages)
}

#[test]
fn what_waited_leaves_together_when_all_before_it_has_ended() {
    let (lanes, messages) = shared_lane(&["a", "b", "a", "b"]);
    let [first, second, third, fourth] = &messages[..] else { unreachable!() };
    assert!(same(&end(&lanes, first), &[second, third, fourth]));
    let fifth = shared("c", WITH);
    assert_eq!(lanes.enter(&fifth, || queue(0)), Entered::Waits { sooner: false });
    assert!(end(&lanes, third).is_empty());
    assert!(end(&lanes, second).is_empty());
    assert!(same(&end(&lanes, fourth), &[&fifth]));
    assert!(end(&lanes, &fifth).is_empty());
    assert!(lanes.state().keys.is_empty() && lanes.state().lanes.is_empty());
}

#[test]
fn a_message_that_goes_alone_keeps_its_place_among_batches() {
    let (lanes, first) = shared_lane(&["a"]);
    let second = shared("a", WITH);
    let alone = message("a");
    let last = shared("a", WITH);
    for one in [&second, &alone, &last] {
        lanes.enter(one, || queue(0));
    }
    assert!(same(&end(&lanes, &first[0]), &[&second]));
    assert!(same(&end(&lanes, &second), &[&alone]));
    assert!(same(&end(&lanes, &alone), &[&last]));
}

#[test]
fn a_failure_in_a_batch_takes_those_of_its_key_along_that_have_not_left() {
    let (lanes, messages) = shared_lane(&["x", "a", "b", "a", "a"]);
    end(&lanes, &messages[0]);
    // The third message of key `a` comes while the others are on their way.
    let late = shared("a", WITH);
    lanes.enter(&late, || queue(0));
    assert!(messages[3].write_unless_ended(|_| {}).is_some());
    let followers = fail(&lanes, &messages[1]);
    let failed: Vec<_> = followers.failed.iter().map(|(one, _)| one.clone()).collect();
    assert!(same(&failed, &[&messages[4], &late]));
    assert!(followers.next.is_empty());
    // What is on the wire may be stored yet, but is not sent again; other keys go on.
    assert!(messages[3].earlier_failed() && !messages[3].has_ended());
    assert!(!messages[2].earlier_failed());
}
