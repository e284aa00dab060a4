//! The judge objects to each kind of lie, and to no truth.

use std::collections::BTreeSet;
use std::time::Duration;

use posthaste::{ErrorKind, Outcome};
use posthaste_protocol::request::decision;

use super::*;
use crate::campaign::facts::Counted;
use crate::campaign::pulse::Pulses;
use crate::campaign::record::{Decision, Link};
use crate::campaign::verbs::Wait;

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// A round of four messages of one key, the last of which was not stored, a batch of two and a
/// transaction; all as they should be.
fn truth() -> Facts {
    let mut facts = Facts {
        pulses: Pulses(vec![(1..2_000).map(|beat| ms(beat * 5)).collect()]),
        one_thread: true,
        ..Facts::default()
    };
    facts.record.links.push(Link { at: ms(0), ended_at: None, stalled: false });
    for number in 0..3 {
        let at = ms(100 * u64::from(number));
        facts.calls.push(call(Verb::Keyed, number..number + 1, at));
        store(&mut facts, &[number], at + ms(5), ms(10));
    }
    let mut failed = call(Verb::Keyed, 3..4, ms(300));
    failed.ends = vec![(ms(800), failure(ErrorKind::Timeout, Outcome::Unknown))];
    facts.calls.push(failed);
    request(&mut facts, &[3], ms(305));
    facts.calls.push(call(Verb::Batch, 4..6, ms(400)));
    store(&mut facts, &[4, 5], ms(405), ms(5));
    let mut begun = call(Verb::Begin, 6..7, ms(500));
    begun.decided = Some(Decided { at: ms(520), commit: true, failed: None });
    facts.calls.push(begun);
    store(&mut facts, &[6], ms(505), ms(5));
    let decision = Decision { id: id(6), code: decision::COMMIT, from_check: false };
    facts.record.decisions.push(decision);
    facts.counted = Counted { sent: 7, acked: 6, unknown: 1, ..Counted::default() };
    facts.close = Some(Closed { begun: ms(2_000), ..Closed::default() });
    facts
}

fn id(number: Number) -> String {
    format!("id-{number}")
}

fn place(number: Number) -> Place {
    Place { id: id(number), broker: "b".into(), queue: 1, offset: number.into(), weak: false }
}

fn failure(kind: ErrorKind, outcome: Outcome) -> End {
    let unknown_attempts = usize::from(outcome == Outcome::Unknown);
    End::Failed { kind, outcome, unknown_attempts, text: "failed".into() }
}

fn call(verb: Verb, numbers: std::ops::Range<Number>, begun: Duration) -> Call {
    let places = numbers.clone().map(place).collect();
    Call {
        verb,
        numbers,
        topic: "t".into(),
        unit: (verb == Verb::Keyed).then(|| Unit::Key("k".into())),
        given: None,
        begun,
        timeout: ms(500),
        accepted: (verb == Verb::Keyed).then_some(begun),
        ends: vec![(begun + ms(20), End::Acked(places))],
        decided: None,
        calm: false,
        spoiled: false,
    }
}

fn request(facts: &mut Facts, numbers: &[Number], at: Duration) {
    facts.record.requests.push(Request {
        at,
        broker: 0,
        link: 0,
        opaque: 0,
        oneway: false,
        numbers: numbers.to_vec(),
        queue: 1,
        fault: None,
        refused: None,
        done: Vec::new(),
    });
}

fn store(facts: &mut Facts, numbers: &[Number], at: Duration, takes: Duration) {
    request(facts, numbers, at);
    let request = facts.record.requests.len() - 1;
    facts.record.copies.extend(numbers.iter().map(|number| Copied {
        number: *number,
        id: id(*number),
        broker: "b".into(),
        topic: "t".into(),
        queue: 1,
        offset: (*number).into(),
        request,
        at: at + takes,
        weak: false,
        whole: true,
    }));
}

/// The rules that are broken when the truth is changed so.
fn broken(change: impl FnOnce(&mut Facts)) -> BTreeSet<Rule> {
    let mut facts = truth();
    change(&mut facts);
    judge(&facts).iter().map(|lie| lie.rule).collect()
}

#[test]
fn nothing_is_wrong_with_the_truth() {
    assert_eq!(broken(|_| {}), BTreeSet::new());
}

type Change = fn(&mut Facts);

#[test]
fn each_lie_about_a_message_is_found() {
    let changes: [(Rule, Change); 16] = [
        (Rule::NoEnd, |facts| facts.calls[4].ends.clear()),
        (Rule::SeveralEnds, |facts| {
            let end = facts.calls[0].ends[0].clone();
            facts.calls[0].ends.push(end);
        }),
        (Rule::FalseAcked, |facts| drop(facts.record.copies.remove(0))),
        (Rule::FalseAcked, |facts| facts.record.copies[0].offset = 9),
        (Rule::FalseNotStored, |facts| {
            facts.calls[4].ends[0].1 = failure(ErrorKind::Busy, Outcome::NotStored);
        }),
        (Rule::Late, |facts| facts.calls[3].ends[0].0 = ms(950)),
        (Rule::Duplicate, |facts| {
            for _ in 0..3 {
                store(facts, &[3], ms(310), ms(1));
            }
        }),
        (Rule::SeveralIds, |facts| {
            store(facts, &[2], ms(215), ms(1));
            facts.record.copies.last_mut().unwrap().id = "another".into();
        }),
        (Rule::NotWhole, |facts| facts.record.copies[0].whole = false),
        (Rule::Order, |facts| facts.record.copies.swap(0, 1)),
        (Rule::OvertakesAFailure, |facts| {
            facts.calls[1].ends = vec![(ms(600), failure(ErrorKind::Timeout, Outcome::Unknown))];
        }),
        (Rule::OtherQueue, |facts| facts.calls[0].given = Some(("b".into(), 2))),
        (Rule::TornBatch, |facts| facts.record.requests[4].numbers = vec![4]),
        (Rule::AfterItsEnd, |facts| request(facts, &[0], ms(400))),
        (Rule::CalledInvalid, |facts| {
            facts.calls[3].ends[0].1 = failure(ErrorKind::Invalid, Outcome::Unknown);
        }),
        (Rule::NotStoredInCalm, |facts| facts.calls[3].calm = true),
    ];
    for (rule, change) in changes {
        assert!(broken(change).contains(&rule), "{rule:?}: {:?}", broken(change));
    }
}

#[test]
fn each_lie_about_a_producer_is_found() {
    let changes: [(Rule, Change); 14] = [
        (Rule::LateCall, |facts| {
            let ended = Some(ms(900));
            facts.waits.push(Wait { what: "close", begun: ms(0), most: ms(500), ended });
        }),
        (Rule::Transaction, |facts| facts.record.decisions.clear()),
        (Rule::Transaction, |facts| facts.record.decisions[0].code = decision::ROLLBACK),
        (Rule::Transaction, |facts| {
            let failed = Some(Outcome::NotStored);
            facts.calls[5].decided = Some(Decided { at: ms(520), commit: true, failed });
        }),
        (Rule::Reply, |facts| facts.calls[0].ends[0].1 = End::Replied(Some(7))),
        (Rule::Counts, |facts| facts.counted.in_flight = 1),
        (Rule::Counts, |facts| {
            (facts.counted.acked, facts.counted.unknown) = (5, 2);
        }),
        (Rule::Report, |facts| facts.close.as_mut().unwrap().undelivered = vec![0]),
        (Rule::Report, |facts| facts.close.as_mut().unwrap().begun = ms(600)),
        (Rule::Report, |facts| facts.close.as_mut().unwrap().undecided = vec![id(6)]),
        (Rule::Report, |facts| facts.calls[5].decided = None),
        (Rule::LeftOver, |facts| facts.left.push("a task".into())),
        (Rule::Panic, |facts| facts.panics.push("somewhere".into())),
        (Rule::Unreadable, |facts| facts.record.unreadable.push("half a frame".into())),
    ];
    for (rule, change) in changes {
        assert!(broken(change).contains(&rule), "{rule:?}: {:?}", broken(change));
    }
}

/// What cannot be known, or was not awaited, is not called a lie.
#[test]
fn what_is_no_lie_is_not_called_one() {
    let changes: [(&str, Change); 9] = [
        ("late by less than 20 pulses", |facts| facts.calls[3].ends[0].0 = ms(895)),
        ("late while nothing ran", |facts| {
            facts.calls[3].ends[0].0 = ms(5_000);
            facts.pulses.0.push(vec![ms(5_000)]);
            facts.close.as_mut().unwrap().undelivered = vec![3];
        }),
        ("one duplicate of an attempt that ended unknown", |facts| {
            store(facts, &[3], ms(310), ms(1));
            store(facts, &[3], ms(320), ms(1));
        }),
        ("stored behind its successor after its connection had ended", |facts| {
            facts.record.copies.swap(0, 1);
            facts.record.links[0].ended_at = Some(ms(1));
        }),
        ("a half message that was not firm enough", |facts| {
            facts.record.copies[5].weak = true;
            facts.record.decisions[0].code = decision::ROLLBACK;
            facts.calls[5].decided = None;
            facts.calls[5].ends[0].1 = failure(ErrorKind::Unavailable, Outcome::NotStored);
        }),
        ("invalid as the broker says", |facts| {
            facts.record.requests[3].refused = Some(13);
            facts.calls[3].ends[0].1 = failure(ErrorKind::Invalid, Outcome::Unknown);
        }),
        ("those of a request have ends of their own", |facts| {
            facts.calls[1].ends = vec![(ms(600), failure(ErrorKind::Timeout, Outcome::Unknown))];
            facts.record.requests[1].numbers = vec![1, 2];
            facts.counted = Counted { sent: 7, acked: 5, unknown: 2, ..Counted::default() };
        }),
        ("undecided when the report was made, and confirmed later", |facts| {
            facts.calls[5].decided.as_mut().unwrap().at = ms(2_010);
            facts.close.as_mut().unwrap().undecided = vec![id(6)];
        }),
        ("dropped, and stored", |facts| facts.calls[0].ends[0].1 = End::Dropped),
    ];
    for (what, change) in changes {
        assert_eq!(broken(change), BTreeSet::new(), "{what}");
    }
}
