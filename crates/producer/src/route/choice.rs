//! Which queue a message goes to.

use std::panic::{AssertUnwindSafe, catch_unwind};

use posthaste_protocol::java;

use crate::MessageQueue;
use crate::accepted::Accepted;
use crate::connection::load::BrokerLoad;
use crate::connection::target::Target;
use crate::message::{Destination, Selector};
use crate::route::Route;

/// A backlog that needs no comparison with the others'.
const SMALL_BACKLOG: usize = 64;

/// Chooses a target for a message without a given queue: round robin over the queues, leaving out
/// `avoid`, brokers that are left out, brokers far behind the others, and brokers that hold half of the
/// `permits`. When all are left out, the reasons are dropped one by one. A broker counts as far
/// behind compared with the smallest backlog, which was looked up at most as many choices ago as
/// there are brokers.
pub(crate) fn choose(route: &Route, avoid: Option<&str>, permits: usize) -> Option<Target> {
    let broker = match &route.brokers[..] {
        [only] => only,
        several => several.get(choose_broker(route, avoid, permits)?)?,
    };
    Some(Target { broker: broker.clone(), queue: None })
}

fn choose_broker(route: &Route, avoid: Option<&str>, permits: usize) -> Option<usize> {
    let turn = route.next_turn();
    let smallest = route.smallest_backlog(turn);
    let count = route.queues.len();
    let start = turn % count.max(1);
    let in_turn = || {
        let places = (0..count).map(|step| (start + step) % count);
        places.filter_map(|place| route.queues.get(place)?.broker)
    };
    if avoid.is_none() {
        let load = |at: usize| route.brokers.get(at).map(|broker| broker.load());
        let fit = first_fit(in_turn(), most_backlog(smallest, permits), load);
        if fit.is_some() {
            return fit;
        }
    }
    let loads: Vec<BrokerLoad> = route.loads().collect();
    let avoided: Vec<bool> =
        route.brokers.iter().map(|broker| Some(&*broker.name) == avoid).collect();
    let accepted = acceptable(&loads, &avoided, permits);
    in_turn().find(|broker| accepted.get(*broker).copied().unwrap_or_default())
}

/// The first in turn that is not left out and has less than the `most` backlog. Mostly it is the first
/// that is looked at: so a choice does not cost more with more brokers.
fn first_fit(
    in_turn: impl Iterator<Item = usize>,
    most: usize,
    load: impl Fn(usize) -> Option<BrokerLoad>,
) -> Option<usize> {
    let mut last = None;
    // Mostly a broker's queues stand together.
    let mut brokers = in_turn.filter(|broker| last.replace(*broker) != Some(*broker));
    brokers.find(|at| load(*at).is_some_and(|load| !load.left_out && load.backlog < most))
}

/// A broker with this much backlog is far behind the broker that has the smallest, or holds too many of the
/// permits.
fn most_backlog(smallest: usize, permits: usize) -> usize {
    let most = (smallest * 2).max(SMALL_BACKLOG).min((permits / 2).max(1));
    most.max(smallest + 1)
}

/// Which brokers may be chosen; at least one, if there is one.
pub(crate) fn acceptable(loads: &[BrokerLoad], avoided: &[bool], permits: usize) -> Vec<bool> {
    let usable = |at: usize| {
        let left_out = loads.get(at).is_some_and(|load| load.left_out);
        !left_out && !avoided.get(at).copied().unwrap_or_default()
    };
    let smallest = (0..loads.len())
        .filter(|at| usable(*at))
        .filter_map(|at| loads.get(at).map(|load| load.backlog))
        .min()
        .unwrap_or_default();
    let most = most_backlog(smallest, permits);
    let rules: [&dyn Fn(usize) -> bool; 4] = [
        &|at| usable(at) && loads.get(at).is_some_and(|load| load.backlog < most),
        &usable,
        &|at| !avoided.get(at).copied().unwrap_or_default(),
        &|_| true,
    ];
    for rule in rules {
        let accepted: Vec<bool> = (0..loads.len()).map(rule).collect();
        if accepted.contains(&true) {
            return accepted;
        }
    }
    Vec::new()
}

/// The queue of an ordered message that is not bound to one yet.
pub(crate) fn of_ordered(route: &Route, accepted: &Accepted) -> Option<MessageQueue> {
    match accepted.destination() {
        Destination::Key(key) => of_key(route, key),
        Destination::Queue { queue, .. } => Some(queue.as_ref().clone()),
        Destination::Selected(_) => accepted.selected().cloned(),
        Destination::Any => None,
    }
}

/// The queue of a key.
pub(crate) fn of_key(route: &Route, key: &str) -> Option<MessageQueue> {
    route.queue(java::queue_of(key, route.queues.len()))
}

/// The queue that a selector picks, or what is wrong with it.
pub(crate) fn select(route: &Route, select: &Selector) -> Result<MessageQueue, String> {
    let queues: Vec<_> = (0..route.queues.len()).filter_map(|place| route.queue(place)).collect();
    let count = queues.len();
    // Nothing of ours is half done while it runs.
    let place = catch_unwind(AssertUnwindSafe(|| select(&queues)))
        .map_err(|_| "the queue selector panicked".to_owned())?;
    let queue = queues.into_iter().nth(place);
    queue
        .ok_or_else(|| format!("the queue selector picked place {place}; there are {count} queues"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(backlog: usize, left_out: bool) -> BrokerLoad {
        BrokerLoad { backlog, left_out }
    }

    #[test]
    fn it_looks_no_further_than_the_first_that_fits() {
        let loads = [load(100, false), load(9, true), load(99, false), load(0, false)];
        let looked_at = std::cell::RefCell::new(Vec::new());
        let look = |at: usize| {
            looked_at.borrow_mut().push(at);
            loads.get(at).copied()
        };
        assert_eq!(first_fit([0, 0, 1, 1, 2, 2, 3].into_iter(), 100, look), Some(2));
        assert_eq!(looked_at.take(), [0, 1, 2]);
        assert_eq!(first_fit([0, 0, 1].into_iter(), 100, look), None);
        // Twice the smallest, but no less than is small, and no more than half of the permits, unless it
        // is the smallest itself.
        let bounds = [(0, 10_000), (100, 10_000), (4_000, 10_000), (6_000, 10_000), (0, 1)];
        let most = bounds.map(|(smallest, permits)| most_backlog(smallest, permits));
        assert_eq!(most, [64, 200, 5_000, 6_001, 1]);
    }

    #[test]
    fn brokers_are_left_out_while_others_will_do() {
        let no = [false, false];
        for (loads, avoided, expected) in [
            ([load(0, false), load(0, false)], no, [true, true]),
            // The broker of the failed attempt.
            ([load(0, false), load(0, false)], [true, false], [false, true]),
            // One that is left out.
            ([load(0, true), load(900, false)], no, [false, true]),
            // A small backlog is nothing; over twice the smallest is much.
            ([load(60, false), load(0, false)], no, [true, true]),
            ([load(300, false), load(100, false)], no, [false, true]),
            ([load(199, false), load(100, false)], no, [true, true]),
            // Half of the permits.
            ([load(5_000, false), load(4_000, false)], no, [false, true]),
            // When nothing else is left, the reasons are dropped one by one.
            ([load(0, true), load(0, false)], [false, true], [true, false]),
            ([load(0, true), load(0, true)], [true, false], [false, true]),
        ] {
            assert_eq!(acceptable(&loads, &avoided, 10_000), expected, "{loads:?} {avoided:?}");
        }
        assert_eq!(acceptable(&[load(9_999, true)], &[true], 10_000), [true]);
    }
}
