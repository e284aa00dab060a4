//! How much may be in flight to one broker.
//!
//! A pure state machine: answers go in, a limit comes out. The idea is that of TCP Vegas: what the
//! least round trip does not explain of a round trip was waiting in the broker's queue. Little
//! waiting: there is room for more. Much: less. A real broker refuses what has waited for 200 ms;
//! the window keeps far away from that, and does not learn it by being refused.
//!
//! The limit is in requests of one message. A batch weighs more, as it costs the broker more; and
//! what it costs is not taken for waiting.
//!
//! Growth is by steps and shrinking by parts, so that several producers on one broker end up with
//! equal shares: the producer with the larger window loses more than it gains.

use std::time::{Duration, Instant};

/// In flight at the start, before anything is known of the broker. Slow answers alone never make
/// the window smaller than this: so few do not overrun any broker, and on a host that is short of
/// processors answers are slow even with little in flight. Only refusals do.
const START: f64 = 16.0;
/// A real broker spends on a single send about what it spends on this many messages of a batch
/// (measured on 4.7.0 and 5.5.0).
const MESSAGES_PER_WEIGHT: usize = 8;
/// How long requests may wait in the broker's queue, in seconds: this for a large window, and up
/// to the sum of both for a small one. A cold broker's speed changes tenfold within a second; a
/// tenth of what makes it refuse leaves room for that. The smaller of two windows on one broker
/// allows itself more, and so catches up even if it took the other's queue for a part of the
/// least round trip.
const TARGET_LARGE: f64 = 0.006;
const TARGET_SMALL: f64 = 0.060;
/// How much of the window is given up in a round trip when all of it is waiting.
const SHRINK: f64 = 0.4;
/// What is left of the window after a refusal.
const AFTER_BUSY: f64 = 0.5;
/// How long a least round trip is believed. A broker that warms up, or moves, has another one.
const LEAST_LIFETIME: Duration = Duration::from_secs(3);
/// So few requests in flight hardly wait for each other.
const QUIET: usize = 1;
/// How long the window is nearly closed to measure. Long enough for others to be measuring too.
const MEASURING: Duration = Duration::from_millis(60);
/// A measurement without an answer after it is given up after so many round trips more, a second at
/// most.
const PATIENCE: u32 = 4;

/// What a request of this many messages weighs.
pub(crate) fn weight(messages: usize) -> usize {
    1 + messages.saturating_sub(1) / MESSAGES_PER_WEIGHT
}

/// The way of a request to the broker and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trip {
    /// When the answer came.
    pub(crate) now: Instant,
    /// How long it took.
    pub(crate) took: Duration,
    /// The weight of all that was in flight, itself counted.
    pub(crate) in_flight: usize,
}

/// The window of one broker.
#[derive(Debug)]
pub(crate) struct Window {
    limit: f64,
    ceiling: f64,
    /// Least round trip of a small request, in seconds.
    least: Least,
    /// What a message of a large batch adds to that at least, in seconds.
    least_per_message: Least,
    /// Average of the latest round trips, and of what their size explains of them, in seconds.
    smooth: f64,
    smooth_cost: f64,
    /// Until the first sign of a queue the window doubles with each round trip.
    starting: bool,
    /// The limit is lowered at most once in a round trip.
    lowered_at: Option<Instant>,
    measuring: Option<Measuring>,
}

/// The least value seen, and when it was seen last.
#[derive(Debug, Clone, Copy, Default)]
struct Least(Option<(f64, Instant)>);

/// The window is nearly closed, to see round trips without a queue.
#[derive(Debug)]
struct Measuring {
    since: Instant,
    least: Least,
    least_per_message: Least,
}

impl Window {
    pub(crate) fn new(ceiling: usize) -> Self {
        let ceiling = ceiling.max(1) as f64;
        Self {
            limit: START.min(ceiling),
            ceiling,
            least: Least::default(),
            least_per_message: Least::default(),
            smooth: 0.0,
            smooth_cost: 0.0,
            starting: true,
            lowered_at: None,
            measuring: None,
        }
    }

    /// What may be in flight: another request may leave while what is weighs less.
    pub(crate) fn limit(&self) -> usize {
        let limit = self.limit.max(1.0) as usize;
        if self.measuring.is_some() { limit.min(QUIET) } else { limit }
    }

    /// How long answers take at present.
    pub(crate) fn round_trip(&self) -> Duration {
        Duration::from_secs_f64(self.smooth)
    }

    /// A request of this many messages was answered, and not as busy. A window that was not used up
    /// is not made larger, since nothing was learnt about a larger one.
    pub(crate) fn answered(&mut self, trip: &Trip, messages: usize) {
        let round_trip = trip.took.as_secs_f64();
        if !self.learn(trip.now, round_trip, messages) {
            return;
        }
        if self.smooth == 0.0 {
            self.smooth = round_trip;
        }
        self.smooth += (round_trip - self.smooth) / 8.0;
        self.smooth_cost += (self.cost(messages) - self.smooth_cost) / 8.0;
        let waiting = (self.smooth - self.least.value() - self.smooth_cost).max(0.0);
        let target = TARGET_LARGE + TARGET_SMALL / self.limit.max(1.0).sqrt();
        if waiting > target / 2.0 {
            self.starting = false;
        }
        if waiting > target {
            let least = START.min(self.limit);
            self.lower(trip.now, 1.0 - SHRINK * (waiting - target) / waiting);
            self.limit = self.limit.max(least);
        } else if trip.in_flight as f64 >= self.limit * 0.75 {
            let step = if self.starting { 1.0 } else { 1.0 / self.limit.max(1.0).sqrt() };
            self.limit = (self.limit + step * weight(messages) as f64).min(self.ceiling);
        }
    }

    /// A request was refused as busy. Its round trip says nothing: refusing is quick.
    pub(crate) fn busy(&mut self, now: Instant) {
        self.starting = false;
        self.lower(now, AFTER_BUSY);
    }

    /// Keeps the least round trips up to date. `false` while they are being measured.
    ///
    /// Under steady load every round trip has waiting in it; believed for ever, the least would go
    /// stale, and taken from the latest, it would creep up and the window with it. So when it has
    /// not been seen for a while the window nearly closes for a moment. Producers that share a
    /// broker see each other's pause as a new least, and so come to pause together: only then is
    /// the queue really empty.
    fn learn(&mut self, now: Instant, round_trip: f64, messages: usize) -> bool {
        let small = messages <= MESSAGES_PER_WEIGHT;
        let value = match small {
            true => round_trip,
            false => (round_trip - self.least.value()).max(0.0) / messages as f64,
        };
        if let Some(measuring) = &mut self.measuring {
            let least = if small { &mut measuring.least } else { &mut measuring.least_per_message };
            least.see(value, now);
            if now.saturating_duration_since(measuring.since) < MEASURING {
                return false;
            }
            self.least.replace(measuring.least);
            self.least_per_message.replace(measuring.least_per_message);
            self.smooth = round_trip;
            self.smooth_cost = self.cost(messages);
            self.measuring = None;
        }
        let least = if small { &mut self.least } else { &mut self.least_per_message };
        if least.is_stale(now) && value > least.value() {
            let (least, least_per_message) = (Least::default(), Least::default());
            self.measuring = Some(Measuring { since: now, least, least_per_message });
            return false;
        }
        least.see(value, now);
        true
    }

    /// When a measurement that no answer ends is given up: what is in flight may never be answered, and
    /// nothing else may leave before.
    pub(crate) fn measures_until(&self) -> Option<Instant> {
        let measuring = self.measuring.as_ref()?;
        let patience = (self.round_trip() * PATIENCE).min(Duration::from_secs(1));
        Some(measuring.since + MEASURING + patience)
    }

    /// Gives a measurement up that takes too long. What was believed before is believed again.
    pub(crate) fn end_overdue_measurement(&mut self, now: Instant) {
        if self.measures_until().is_some_and(|until| now >= until) {
            self.measuring = None;
            self.least.believe_from(now);
            self.least_per_message.believe_from(now);
        }
    }

    /// What a request of this many messages costs more than a small one.
    fn cost(&self, messages: usize) -> f64 {
        match messages <= MESSAGES_PER_WEIGHT {
            true => 0.0,
            false => self.least_per_message.value() * messages as f64,
        }
    }

    fn lower(&mut self, now: Instant, factor: f64) {
        let round_trip = Duration::from_secs_f64(self.smooth.max(0.001));
        if self.lowered_at.is_some_and(|at| now.saturating_duration_since(at) < round_trip) {
            return;
        }
        self.lowered_at = Some(now);
        self.limit = (self.limit * factor).max(1.0);
    }
}

impl Least {
    /// 0 before anything was seen.
    fn value(&self) -> f64 {
        self.0.map_or(0.0, |(value, _)| value)
    }

    fn see(&mut self, value: f64, now: Instant) {
        if self.0.is_none_or(|(least, _)| value <= least) {
            self.0 = Some((value, now));
        }
    }

    /// A newer measurement takes the place of this one, if something was seen in it.
    fn replace(&mut self, measured: Self) {
        self.0 = measured.0.or(self.0);
    }

    fn believe_from(&mut self, now: Instant) {
        self.0 = self.0.map(|(least, _)| (least, now));
    }

    fn is_stale(&self, now: Instant) -> bool {
        self.0.is_some_and(|(_, seen)| now.saturating_duration_since(seen) > LEAST_LIFETIME)
    }
}

#[cfg(test)]
mod tests;
