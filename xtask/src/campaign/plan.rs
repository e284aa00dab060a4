//! What a round is made of, by its seed alone: servers, settings, callers, and when what goes wrong.

use std::time::Duration;

use fastrand::Rng;

use super::fault::{Fault, Profile, Scope, dice};
use super::journal::Verb;

/// A round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) brokers: usize,
    pub(super) name_servers: usize,
    /// Queues of each topic on each broker.
    pub(super) topics: Vec<i32>,
    pub(super) profile: Profile,
    /// In the order of their times.
    pub(super) events: Vec<Event>,
    pub(super) threads: Threads,
    pub(super) settings: Settings,
    pub(super) callers: Vec<Caller>,
    /// When the producer is closed, if it is while callers still send.
    pub(super) close_after: Option<Duration>,
    pub(super) close_time: Duration,
}

/// What runs the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    One,
    Two,
    /// The blocking facade, with a thread for each caller.
    Blocking,
}

/// Something that goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) fault: Fault,
    /// Which broker, topic or name server.
    pub(super) place: usize,
    pub(super) lasts: Duration,
    /// How much later name servers say so.
    pub(super) lag: Duration,
    pub(super) queues: i32,
}

/// Settings of the producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) retries: u32,
    pub(super) max_pending: usize,
    pub(super) max_window: usize,
    pub(super) batching: bool,
    pub(super) linger: Option<Duration>,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) lookup_timeout: Duration,
    pub(super) route_poll: Duration,
    pub(super) oneway_unlimited: bool,
    /// Whether an interceptor counts attempts.
    pub(super) watched: bool,
}

/// A task, or a thread, that sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) verb: Verb,
    pub(super) seed: u64,
    pub(super) topic: usize,
    pub(super) messages: u32,
    /// The shortest time that it gives a send; others are up to four times as long.
    pub(super) timeout: Duration,
    /// Drops some of its futures.
    pub(super) drops: bool,
}

/// How long things go wrong.
pub(super) const TROUBLE: Duration = Duration::from_millis(1_500);

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let dice = &mut dice(&[seed, 0]);
        let (brokers, name_servers) = (dice.usize(1..=3), dice.usize(1..=2));
        let topics: Vec<i32> = (0..dice.usize(2..=4)).map(|_| dice.i32(2..=8)).collect();
        let threads = match dice.u32(..8) {
            0 => Threads::Blocking,
            1 | 2 => Threads::Two,
            _ => Threads::One,
        };
        let quiet = dice.u32(..6) == 0;
        let count = if quiet { 0 } else { dice.usize(1..=8) };
        let mut events: Vec<Event> =
            (0..count).map(|_| event(dice, brokers, name_servers, topics.len())).collect();
        events.sort_by_key(|event| event.at);
        Self {
            seed,
            brokers,
            name_servers,
            profile: Profile::draw(dice),
            events,
            settings: settings(dice),
            callers: callers(dice, seed, topics.len()),
            topics,
            threads,
            close_after: (dice.u32(..3) == 0).then(|| ms(dice.u64(50..1_200))),
            close_time: ms(dice.choice([0, 50, 300, 1_000, 3_000]).unwrap_or_default()),
        }
    }
}

fn event(dice: &mut Rng, brokers: usize, name_servers: usize, topics: usize) -> Event {
    let scope = dice.choice([Scope::Broker, Scope::Topic, Scope::NameServer]);
    let scope = scope.unwrap_or(Scope::Broker);
    let kinds = Fault::ALL.iter().filter(|fault| fault.scope() == scope);
    // That one follows from the others.
    let kinds: Vec<Fault> = kinds.filter(|fault| **fault != Fault::IllegalQueue).copied().collect();
    let places = match scope {
        Scope::Broker => brokers,
        Scope::Topic => topics,
        _ => name_servers,
    };
    // From the start on, or when routes are known.
    let at = if dice.u32(..4) == 0 { 0 } else { dice.u64(..1_000) };
    Event {
        at: ms(at),
        fault: dice.choice(kinds).unwrap_or(Fault::BrokerFrozen),
        place: dice.usize(..places.max(1)),
        lasts: ms(dice.u64(20..900)),
        lag: ms(dice.choice([0, 30, 400]).unwrap_or_default()),
        queues: dice.i32(1..=8),
    }
}

fn settings(dice: &mut Rng) -> Settings {
    let batching = dice.u32(..5) > 0;
    let lingers = batching && dice.u32(..6) == 0;
    Settings {
        retries: dice.u32(..4),
        max_pending: dice.choice([30, 1_000, 10_000, 10_000]).unwrap_or(1_000),
        max_window: dice.choice([1, 4, 1_024, 1_024]).unwrap_or(1_024),
        batching,
        linger: lingers.then(|| ms(dice.u64(1..60))),
        attempt_timeout: (dice.u32(..5) == 0).then(|| ms(dice.u64(30..300))),
        lookup_timeout: ms(dice.choice([200, 700, 3_000]).unwrap_or(3_000)),
        route_poll: ms(dice.choice([100, 500, 30_000]).unwrap_or(30_000)),
        oneway_unlimited: dice.u32(..4) == 0,
        watched: dice.bool(),
    }
}

fn callers(dice: &mut Rng, seed: u64, topics: usize) -> Vec<Caller> {
    let verbs = Verb::ALL.iter().filter(|verb| **verb != Verb::Blocking);
    let mut chosen: Vec<Verb> = verbs.filter(|_| dice.u32(..3) > 0).copied().collect();
    for _ in 0..dice.usize(1..=4) {
        chosen.push(dice.choice([Verb::Keyed, Verb::Handle, Verb::Send]).unwrap_or(Verb::Send));
    }
    let most = dice.choice([20, 200, 1_000]).unwrap_or(100);
    let caller = |(place, verb)| Caller {
        verb,
        seed: seed.wrapping_add((place as u64 + 1) << 32),
        topic: dice.usize(..topics.max(1)),
        messages: match verb {
            Verb::Keyed | Verb::OrderedQueue => 1_000,
            _ => dice.u32(10..=most),
        },
        timeout: ms(dice.choice([60, 150, 300, 300, 500]).unwrap_or(300)),
        drops: dice.u32(..4) == 0,
    };
    chosen.into_iter().enumerate().map(caller).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_one_plan() {
        for seed in 0..200 {
            assert_eq!(Plan::of(seed), Plan::of(seed));
        }
        assert_ne!(Plan::of(1), Plan::of(2));
    }

    #[test]
    fn every_event_and_every_verb_is_planned() {
        let plans: Vec<_> = (0..500).map(Plan::of).collect();
        for fault in Fault::ALL {
            let is_event =
                matches!(fault.scope(), Scope::Broker | Scope::Topic | Scope::NameServer);
            let is_planned =
                plans.iter().flat_map(|plan| &plan.events).any(|one| one.fault == *fault);
            assert_eq!(is_planned, is_event && *fault != Fault::IllegalQueue, "{fault:?}");
        }
        for verb in Verb::ALL.iter().filter(|verb| **verb != Verb::Blocking) {
            let all = plans.iter().flat_map(|plan| &plan.callers);
            assert!(all.into_iter().any(|caller| caller.verb == *verb), "{verb:?}");
        }
        for threads in [Threads::One, Threads::Two, Threads::Blocking] {
            assert!(plans.iter().any(|plan| plan.threads == threads), "{threads:?}");
        }
    }

    #[test]
    fn what_a_plan_names_is_there() {
        for seed in 0..500 {
            let plan = Plan::of(seed);
            for event in &plan.events {
                let places = match event.fault.scope() {
                    Scope::Broker => plan.brokers,
                    Scope::Topic => plan.topics.len(),
                    _ => plan.name_servers,
                };
                assert!(event.place < places, "{event:?}");
            }
            assert!(plan.callers.iter().all(|caller| caller.topic < plan.topics.len()));
        }
    }
}
