//! The judge: compares what callers learned with what the servers have recorded.
//!
//! It knows nothing of the producer's code, only what its documentation promises.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use posthaste::{ErrorKind, Outcome, TransactionState};
use posthaste_protocol::request::decision;

use super::facts::{Closed, Facts, Index};
use super::fault::Fault;
use super::journal::{Call, Decided, End, Place, Unit, Verb};
use super::record::{Copied, Number, Request};
use super::verbs::checker_says;

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lie {
    pub(super) rule: Rule,
    /// The messages that it is about; none, if it is about the producer as a whole.
    pub(super) numbers: Vec<Number>,
    pub(super) text: String,
}

macro_rules! rules {
    ($($name:ident $text:literal,)*) => {
        /// What is promised.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(super) enum Rule { $($name,)* }

        impl Rule {
            pub(super) fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

rules! {
    NoEnd "a send that never ended",
    SeveralEnds "a send that ended twice",
    FalseAcked "told as acked, and not stored so",
    FalseNotStored "told as not stored, and stored",
    Late "a send that ended after its deadline",
    LateCall "a call that took longer than its time",
    Duplicate "a copy without an attempt that ended unknown",
    SeveralIds "copies of one message with several unique ids",
    NotWhole "a body that is not that of its message",
    Order "the first copy of a message after that of a later one",
    OvertakesAFailure "a message stored after an earlier one of its key had failed",
    OtherQueue "a copy in another queue than the given one",
    TornBatch "a batch that was not sent as a whole",
    AfterItsEnd "a message that was sent after its end",
    CalledInvalid "a valid message that was called invalid",
    NotStoredInCalm "a message that was not stored although nothing was wrong",
    Transaction "a transaction that did not end as it was told",
    Reply "a reply that belongs to another request",
    Counts "counts that do not fit the ends",
    Report "a report of close that does not fit the ends",
    LeftOver "something that is left after close",
    Panic "a panic",
    Unreadable "a request that cannot be read",
}

/// Everything that was promised and not kept.
pub(super) fn judge(facts: &Facts) -> Vec<Lie> {
    let index = Index::of(facts);
    let mut lies = Vec::new();
    for call in &facts.calls {
        lies.extend(end(&index, call));
        lies.extend(outcome(&index, call));
        lies.extend(kind(&index, call));
        lies.extend(batch(&index, call));
        lies.extend(transaction(&index, call));
        lies.extend(after_its_end(&index, call));
        for number in call.numbers.clone() {
            lies.extend(copies(&index, call, number));
        }
    }
    lies.extend(order(&index));
    lies.extend(followers(&index));
    lies.extend(waits(&index));
    lies.extend(report(&index));
    lies.extend(counts(facts));
    let whole = |rule| move |text: &String| Lie { rule, numbers: Vec::new(), text: text.clone() };
    lies.extend(facts.left.iter().map(whole(Rule::LeftOver)));
    lies.extend(facts.panics.iter().map(whole(Rule::Panic)));
    lies.extend(facts.record.unreadable.iter().map(whole(Rule::Unreadable)));
    lies
}

fn lie(rule: Rule, numbers: impl Into<Vec<Number>>, text: impl Into<String>) -> Lie {
    Lie { rule, numbers: numbers.into(), text: text.into() }
}

fn first(call: &Call) -> [Number; 1] {
    [call.numbers.start]
}

/// Every send ends once, and in time.
fn end(index: &Index<'_>, call: &Call) -> Option<Lie> {
    let (at, end) = match &call.ends[..] {
        [] => return Some(lie(Rule::NoEnd, first(call), "its caller was told nothing")),
        [one] => one,
        [one, two, ..] => {
            return Some(lie(
                Rule::SeveralEnds,
                first(call),
                format!("{}, then {}", one.1.word(), two.1.word()),
            ));
        }
    };
    // A half message that is stored less firmly is rolled back, which has another deadline.
    let due = match call.verb {
        Verb::Begin => call.deadline() + call.timeout,
        _ => call.deadline(),
    };
    (*end != End::Dropped && index.is_late(call.verb, due, *at)).then(|| {
        let pulses = index.facts.pulses.between(due, *at);
        let late = at.saturating_sub(due);
        lie(Rule::Late, first(call), format!("{late:.0?} late, which is {pulses} pulses"))
    })
}

/// The end that a caller learned is true.
fn outcome(index: &Index<'_>, call: &Call) -> Vec<Lie> {
    let Some((_, end)) = call.end() else { return Vec::new() };
    let mut lies = Vec::new();
    match end {
        End::Acked(places) => {
            if places.len() != call.numbers.len() {
                let text = format!("{} receipts for {}", places.len(), call.numbers.len());
                lies.push(lie(Rule::FalseAcked, first(call), text));
            }
            for (number, place) in call.numbers.clone().zip(places) {
                lies.extend(acked(index, call, number, place));
            }
        }
        End::Unreplied(place) => lies.extend(acked(index, call, call.numbers.start, place)),
        End::Failed { outcome: Outcome::NotStored, text, .. } => {
            for number in call.numbers.clone() {
                let stored = index.copies(number).next().is_some();
                if stored && !is_rolled_back(index, call, number) {
                    lies.push(lie(Rule::FalseNotStored, [number], text.clone()));
                }
            }
        }
        End::Replied(reply) => {
            let number = call.numbers.start;
            if *reply != Some(number) || !index.facts.record.replied.contains(&number) {
                lies.push(lie(Rule::Reply, [number], format!("the reply was to {reply:?}")));
            }
        }
        End::Failed { .. } | End::Written | End::Dropped => {}
    }
    let is_good = matches!(end, End::Acked(_) | End::Written | End::Replied(_));
    if call.calm && !is_good {
        lies.push(lie(Rule::NotStoredInCalm, first(call), format!("{end:?}")));
    }
    lies
}

fn acked(index: &Index<'_>, call: &Call, number: Number, place: &Place) -> Option<Lie> {
    let is_there = |copy: &Copied| {
        copy.broker == place.broker
            && copy.topic == call.topic
            && copy.queue == place.queue
            && copy.offset == place.offset
            && copy.id == place.id
            && copy.weak == place.weak
    };
    let is_stored = index.copies(number).any(is_there);
    (!is_stored).then(|| lie(Rule::FalseAcked, [number], format!("{place:?}")))
}

/// Whether a half message was stored less firmly, and rolled back for that.
fn is_rolled_back(index: &Index<'_>, call: &Call, number: Number) -> bool {
    let weak = || index.copies(number).filter(|copy| copy.weak);
    let rolled_back = |copy: &Copied| {
        let mut decisions = index.facts.record.decisions.iter();
        decisions.any(|one| one.id == copy.id && one.code == decision::ROLLBACK)
    };
    call.verb == Verb::Begin && weak().any(rolled_back)
}

/// A message is called invalid only where a broker has said so.
fn kind(index: &Index<'_>, call: &Call) -> Option<Lie> {
    let Some((_, End::Failed { kind: ErrorKind::Invalid, text, .. })) = call.end() else {
        return None;
    };
    let says_so = |request: &Request| {
        request.refused == Some(13) || request.fault == Some(Fault::ProvenRefusal)
    };
    let mut requests = call.numbers.clone().flat_map(|number| index.requests(number));
    let unfounded = !call.spoiled && !requests.any(says_so);
    unfounded.then(|| lie(Rule::CalledInvalid, first(call), text.clone()))
}

/// The copies of one message.
fn copies(index: &Index<'_>, call: &Call, number: Number) -> Vec<Lie> {
    let copies: Vec<&Copied> = index.copies(number).collect();
    let mut lies = Vec::new();
    let ids: HashSet<&str> = copies.iter().map(|copy| copy.id.as_str()).collect();
    if ids.len() > 1 || ids.contains("") {
        lies.push(lie(Rule::SeveralIds, [number], format!("{ids:?}")));
    }
    if copies.iter().any(|copy| !copy.whole) {
        lies.push(lie(Rule::NotWhole, [number], "another body"));
    }
    if let Some((broker, queue)) = &call.given
        && let Some(copy) = copies.iter().find(|one| (&one.broker, &one.queue) != (broker, queue))
    {
        let text = format!("in queue {} of {}, not {queue} of {broker}", copy.queue, copy.broker);
        lies.push(lie(Rule::OtherQueue, [number], text));
    }
    let unknown = match (&index.facts.watched, call.end()) {
        (Some(watched), _) => Some(watched.get(&number).copied().unwrap_or_default()),
        // An error does not list all attempts of a long row.
        (None, Some((_, End::Failed { unknown_attempts, .. }))) if *unknown_attempts < 8 => {
            Some(*unknown_attempts)
        }
        _ => None,
    };
    // The last attempt may have stored it too: acked, or cut off by the end of closing.
    if let Some(unknown) = unknown.filter(|unknown| copies.len() > unknown + 1) {
        let text = format!("{} copies, and {unknown} attempts ended unknown", copies.len());
        lies.push(lie(Rule::Duplicate, [number], text));
    }
    lies
}

/// Nothing is sent any more once the caller has learned the end.
fn after_its_end(index: &Index<'_>, call: &Call) -> Option<Lie> {
    let (at, end) = call.end()?;
    // These have not awaited it.
    if matches!(end, End::Dropped | End::Replied(_)) {
        return None;
    }
    let links = &index.facts.record.links;
    let is_after = |request: &&Request| {
        let stalled = links.get(request.link).is_none_or(|link| link.stalled);
        !stalled && index.is_late(call.verb, *at, request.at)
    };
    let request = call.numbers.clone().flat_map(|number| index.requests(number)).find(is_after)?;
    let text = format!("it came to broker {} at {:.0?}", request.broker, request.at);
    Some(lie(Rule::AfterItsEnd, first(call), text))
}

/// A caller's batch is one request, whole and in its order.
fn batch(index: &Index<'_>, call: &Call) -> Option<Lie> {
    if call.numbers.len() < 2 {
        return None;
    }
    let all: Vec<Number> = call.numbers.clone().collect();
    let mut requests = all.iter().flat_map(|number| index.requests(*number));
    let torn = requests.find(|request| request.numbers != all)?;
    Some(lie(Rule::TornBatch, first(call), format!("sent as {:?}", torn.numbers)))
}

/// Transactions end as their callers learned, or as the checker says.
fn transaction(index: &Index<'_>, call: &Call) -> Vec<Lie> {
    let number = call.numbers.start;
    let Some(copy) = index.copies(number).next().filter(|_| call.verb == Verb::Begin) else {
        return Vec::new();
    };
    let code = |commit| if commit { decision::COMMIT } else { decision::ROLLBACK };
    let told = call.decided.map(|decided| code(decided.commit));
    // Only the caller decides; but a half message that is not firm enough is rolled back.
    let expected = told.unwrap_or(decision::ROLLBACK);
    let checked = match checker_says(number) {
        Some(TransactionState::Commit) => decision::COMMIT,
        Some(TransactionState::Rollback) => decision::ROLLBACK,
        Some(TransactionState::Unknown) | None => decision::UNKNOWN,
    };
    let of_it = || index.facts.record.decisions.iter().filter(|one| one.id == copy.id);
    let mut lies = Vec::new();
    for one in of_it() {
        let allowed = match one.from_check {
            true => one.code == checked || one.code == expected,
            false => one.code == expected,
        };
        if !allowed {
            let text = format!("the broker was told {}, not {expected}", one.code);
            lies.push(lie(Rule::Transaction, [number], text));
        }
    }
    let was_told = of_it().any(|one| !one.from_check);
    match call.decided.and_then(|decided| decided.failed) {
        None if told.is_some() && !was_told => {
            lies.push(lie(Rule::Transaction, [number], "confirmed, and the broker knows nothing"));
        }
        Some(Outcome::NotStored) if was_told => {
            lies.push(lie(Rule::Transaction, [number], "the broker knows what it was not told"));
        }
        _ => {}
    }
    lies
}

/// Calls with something to be kept in order, in the order of acceptance.
fn units<'a>(index: &Index<'a>) -> BTreeMap<(&'a str, &'a Unit), Vec<&'a Call>> {
    let mut units = BTreeMap::<_, Vec<&Call>>::new();
    for call in &index.facts.calls {
        if let Some(unit) = &call.unit {
            units.entry((call.topic.as_str(), unit)).or_default().push(call);
        }
    }
    for calls in units.values_mut() {
        calls.sort_by_key(|call| call.numbers.start);
    }
    units
}

/// First copies are stored in the order of acceptance.
fn order(index: &Index<'_>) -> Vec<Lie> {
    let mut lies = Vec::new();
    for calls in units(index).values() {
        let mut queues = HashMap::<_, Vec<(usize, &Copied, &Call)>>::new();
        for call in calls {
            if let Some((place, copy)) = index.first_copy(call.numbers.start) {
                let queue = (copy.broker.as_str(), copy.queue);
                queues.entry(queue).or_default().push((place, copy, call));
            }
        }
        for stored in queues.values() {
            for (at, (place, copy, call)) in stored.iter().enumerate() {
                let before = stored.get(at + 1..).unwrap_or_default().iter();
                let mut overtakers = before.filter(|later| later.0 < *place);
                if let Some((_, later, _)) = overtakers.next()
                    && !could_not_be_known(index, call, copy)
                {
                    let text = format!("stored at {:.0?}, later one at {:.0?}", copy.at, later.at);
                    lies.push(lie(Rule::Order, [copy.number, later.number], text));
                }
            }
        }
    }
    lies
}

/// Whether a copy came when its producer could know no more of it: after the end of its connection,
/// or when twice the time that its attempt had has passed after its deadline.
fn could_not_be_known(index: &Index<'_>, call: &Call, copy: &Copied) -> bool {
    let record = &index.facts.record;
    let Some(request) = record.requests.get(copy.request) else { return true };
    let Some(link) = record.links.get(request.link) else { return true };
    let had = call.deadline().saturating_sub(request.at);
    link.ended_at.is_some_and(|ended| ended <= copy.at) || copy.at >= call.deadline() + 2 * had
}

/// When a message fails, the messages of its key that were accepted before that was known fail too.
fn followers(index: &Index<'_>) -> Vec<Lie> {
    let mut lies = Vec::new();
    for ((_, unit), calls) in units(index) {
        if matches!(unit, Unit::Selected(_)) {
            continue;
        }
        for (at, earlier) in calls.iter().enumerate() {
            let Some((failed_at, End::Failed { .. })) = earlier.end() else { continue };
            if earlier.accepted.is_none() {
                continue;
            }
            let behind = calls.get(at + 1..).unwrap_or_default().iter();
            let overtakes = |later: &&&Call| {
                let long_before =
                    |accepted: Duration| index.is_late(earlier.verb, accepted, *failed_at);
                matches!(later.end(), Some((_, End::Acked(_))))
                    && later.accepted.is_some_and(long_before)
                    && !share_a_request(index, earlier.numbers.start, later.numbers.start)
            };
            if let Some(later) = behind.clone().find(overtakes) {
                let numbers = [earlier.numbers.start, later.numbers.start];
                let text = "the later one was acked, though it was accepted long before";
                lies.push(lie(Rule::OvertakesAFailure, numbers, text));
            }
        }
    }
    lies
}

fn share_a_request(index: &Index<'_>, one: Number, other: Number) -> bool {
    index.requests(one).any(|request| request.numbers.contains(&other))
}

/// Calls that no message belongs to end in their time.
fn waits(index: &Index<'_>) -> Vec<Lie> {
    let late = |wait: &&super::verbs::Wait| {
        wait.ended.is_none_or(|ended| {
            index.facts.pulses.between(wait.begun + wait.most, ended) > index.limit(None)
        })
    };
    let tell = |wait: &super::verbs::Wait| {
        let took = wait.ended.map(|ended| ended.saturating_sub(wait.begun));
        let text = format!("{} had {:.0?} and took {took:.0?}", wait.what, wait.most);
        lie(Rule::LateCall, Vec::new(), text)
    };
    index.facts.waits.iter().filter(late).map(tell).collect()
}

/// The report of close has what ended badly after it was called, and nothing else.
fn report(index: &Index<'_>) -> Vec<Lie> {
    let Some(close) = &index.facts.close else { return Vec::new() };
    let mut lies = Vec::new();
    let mut reported = HashSet::new();
    for number in &close.undelivered {
        if !reported.insert(*number) {
            lies.push(lie(Rule::Report, [*number], "reported twice"));
        }
        let Some(call) = index.call(*number) else { continue };
        match call.end() {
            Some((_, end @ (End::Acked(_) | End::Written))) => {
                lies.push(lie(Rule::Report, [*number], format!("reported, and {}", end.word())));
            }
            Some((at, End::Failed { .. })) if index.is_late(call.verb, *at, close.begun) => {
                lies.push(lie(Rule::Report, [*number], "reported, and ended before close"));
            }
            _ => {}
        }
    }
    for call in &index.facts.calls {
        let Some((at, End::Failed { .. })) = call.end() else { continue };
        let missing = call.numbers.clone().find(|number| !reported.contains(number));
        if let Some(number) = missing
            && call.accepted.is_some()
            && index.is_late(call.verb, close.begun, *at)
        {
            lies.push(lie(Rule::Report, [number], "ended badly after close, and is not reported"));
        }
    }
    for call in index.facts.calls.iter().filter(|call| call.verb == Verb::Begin) {
        lies.extend(undecided(index, call, close));
    }
    lies
}

/// A transaction whose end was confirmed before is not undecided. A transaction that had begun, and that has
/// no end, is.
fn undecided(index: &Index<'_>, call: &Call, close: &Closed) -> Option<Lie> {
    let (begun_at, End::Acked(places)) = call.end()? else { return None };
    let id = &places.first()?.id;
    let is_reported = close.undecided.contains(id);
    let asked = index.facts.record.asked.contains(&call.numbers.start);
    let long_before = |at: Duration| index.is_late(call.verb, at, close.begun);
    let text = match call.decided {
        Some(Decided { at, failed: None, .. }) if is_reported && long_before(at) => {
            "undecided, and confirmed before"
        }
        None if !asked && !is_reported && long_before(*begun_at) => {
            "nobody has ended it, and it is not reported"
        }
        _ => return None,
    };
    Some(lie(Rule::Report, first(call), text))
}

/// The producer has counted what its callers learned.
fn counts(facts: &Facts) -> Vec<Lie> {
    let counted = facts.counted;
    let mut lies = Vec::new();
    let mut wrong = |text: String| lies.push(lie(Rule::Counts, Vec::new(), text));
    let ended =
        counted.acked + counted.not_stored + counted.unknown + counted.oneway + counted.withdrawn;
    if counted.in_flight > 0 || counted.sent != ended {
        wrong(format!("{counted:?}"));
    }
    // No caller learns how these ended, or the end has another name.
    let untold = |call: &&Call| match call.end() {
        Some((_, End::Dropped | End::Replied(_))) | None => true,
        Some((_, End::Failed { kind, .. })) => {
            call.verb == Verb::Begin || *kind == ErrorKind::Closed
        }
        _ => false,
    };
    let sum = |word: &str| -> u64 {
        let calls = facts.calls.iter().filter(|call| !untold(call));
        let of = calls.filter(|call| call.end().is_some_and(|(_, end)| end.word() == word));
        of.map(|call| call.numbers.len() as u64).sum()
    };
    let slack: u64 = facts.calls.iter().filter(untold).map(|call| call.numbers.len() as u64).sum();
    for (name, told, count) in [
        ("acked", sum("acked") + sum("no reply"), counted.acked),
        ("not_stored", sum("not_stored"), counted.not_stored),
        ("unknown", sum("unknown"), counted.unknown),
        ("oneway", sum("written"), counted.oneway),
    ] {
        if !(told..=told + slack).contains(&count) {
            wrong(format!("{count} counted as {name}, {told} told, {slack} told to nobody"));
        }
    }
    lies
}

#[cfg(test)]
mod tests;
