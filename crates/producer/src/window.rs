//! How many requests may be in flight to one broker.
//!
//! A pure state machine: answers go in, a limit comes out. The idea is that of TCP Vegas: what the
//! least round trip does not explain of a round trip was waiting in the broker's queue. Little
//! waiting: there is room for more. Much: fewer. A real broker refuses what has waited for 200 ms;
//! the window keeps far away from that, and does not learn it by being refused.
//!
//! Growth is by steps and shrinking by parts, so that several producers on one broker end up with
//! equal shares: the one with the larger window loses more than it gains.

use std::time::{Duration, Instant};

/// In flight at the start, before anything is known of the broker. Slow answers alone never make
/// the window smaller than this: so few do not overrun any broker, and on a host that is short of
/// processors answers are slow whatever is in flight. Only refusals do.
const START: f64 = 16.0;
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

/// The window of one broker.
#[derive(Debug)]
pub(crate) struct Window {
    limit: f64,
    ceiling: f64,
    /// Least round trip, in seconds, and when it was last seen.
    least: Option<(f64, Instant)>,
    /// Average of the latest round trips, in seconds.
    smooth: f64,
    /// Until the first sign of a queue the window doubles with each round trip.
    starting: bool,
    /// The limit is lowered at most once in a round trip.
    lowered_at: Option<Instant>,
    /// While measuring: since when, and the least round trip found.
    measuring: Option<(Instant, f64)>,
}

impl Window {
    pub(crate) fn new(ceiling: usize) -> Self {
        let ceiling = ceiling.max(1) as f64;
        Self {
            limit: START.min(ceiling),
            ceiling,
            least: None,
            smooth: 0.0,
            starting: true,
            lowered_at: None,
            measuring: None,
        }
    }

    /// How many requests may be in flight.
    pub(crate) fn limit(&self) -> usize {
        let limit = self.limit.max(1.0) as usize;
        if self.measuring.is_some() { limit.min(QUIET) } else { limit }
    }

    /// A request was answered, and not as busy. `in_flight` counts it: a window that was not used
    /// up is not made larger, since nothing was learnt about a larger one.
    pub(crate) fn answered(&mut self, now: Instant, round_trip: Duration, in_flight: usize) {
        let round_trip = round_trip.as_secs_f64();
        let Some(least) = self.least_round_trip(now, round_trip) else { return };
        self.smooth += (round_trip - self.smooth) / 8.0;
        let waiting = (self.smooth - least).max(0.0);
        let target = TARGET_LARGE + TARGET_SMALL / self.limit.max(1.0).sqrt();
        if waiting > target / 2.0 {
            self.starting = false;
        }
        if waiting > target {
            let least = START.min(self.limit);
            self.lower(now, 1.0 - SHRINK * (waiting - target) / waiting);
            self.limit = self.limit.max(least);
        } else if in_flight as f64 >= self.limit * 0.75 {
            let step = if self.starting { 1.0 } else { 1.0 / self.limit.max(1.0).sqrt() };
            self.limit = (self.limit + step).min(self.ceiling);
        }
    }

    /// A request was refused as busy. Its round trip says nothing: refusing is quick.
    pub(crate) fn refused(&mut self, now: Instant) {
        self.starting = false;
        self.lower(now, AFTER_BUSY);
    }

    /// The least round trip; `None` while it is being measured.
    ///
    /// Under steady load every round trip has waiting in it; believed for ever, the least would go
    /// stale, and taken from the latest, it would creep up and the window with it. So when it has
    /// not been seen for a while the window nearly closes for a moment. Producers that share a
    /// broker see each other's pause as a new least, and so come to pause together: only then is
    /// the queue really empty.
    fn least_round_trip(&mut self, now: Instant, round_trip: f64) -> Option<f64> {
        if let Some((since, found)) = &mut self.measuring {
            *found = found.min(round_trip);
            if now.saturating_duration_since(*since) < MEASURING {
                return None;
            }
            self.least = Some((*found, now));
            self.smooth = *found;
            self.measuring = None;
        }
        match self.least {
            None => {
                self.smooth = round_trip;
                self.least = Some((round_trip, now));
                Some(round_trip)
            }
            Some((least, _)) if round_trip <= least => {
                self.least = Some((round_trip, now));
                Some(round_trip)
            }
            Some((_, seen)) if now.saturating_duration_since(seen) > LEAST_LIFETIME => {
                self.measuring = Some((now, f64::MAX));
                None
            }
            Some((least, _)) => Some(least),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that works off so many requests a second, one after another, and refuses what has
    /// waited for 200 ms, as real ones do.
    struct Broker {
        per_second: f64,
        round_trip: Duration,
    }

    struct Run {
        now: Instant,
        window: Window,
        /// When each request in flight will be answered, and when it was sent.
        in_flight: std::collections::VecDeque<(Instant, Instant)>,
        idle_at: Instant,
        refused: u32,
        done: u32,
    }

    impl Run {
        fn new() -> Self {
            let now = Instant::now();
            let in_flight = std::collections::VecDeque::new();
            Self { now, window: Window::new(1024), in_flight, idle_at: now, refused: 0, done: 0 }
        }

        /// Offers more than the broker can take for so long.
        fn flood(&mut self, broker: &Broker, time: Duration) {
            let end = self.now + time;
            while self.now < end {
                while self.in_flight.len() < self.window.limit() {
                    let starts = self.idle_at.max(self.now);
                    self.idle_at = starts + Duration::from_secs_f64(1.0 / broker.per_second);
                    self.in_flight.push_back((self.idle_at + broker.round_trip, self.now));
                }
                let Some((answered, sent)) = self.in_flight.pop_front() else { return };
                self.now = answered;
                let count = self.in_flight.len() + 1;
                if answered - sent > Duration::from_millis(200) {
                    self.refused += 1;
                    self.window.refused(self.now);
                } else {
                    self.done += 1;
                    self.window.answered(self.now, answered - sent, count);
                }
            }
        }
    }

    const COLD: Broker = Broker { per_second: 1_000.0, round_trip: Duration::from_micros(500) };
    const WARM: Broker = Broker { per_second: 40_000.0, round_trip: Duration::from_micros(300) };

    #[test]
    fn a_warm_broker_works_at_full_speed() {
        let mut run = Run::new();
        run.flood(&WARM, Duration::from_secs(2));
        assert!(run.window.limit() >= 64, "window {}", run.window.limit());
        assert!(run.done > 76_000, "{} done", run.done);
        assert_eq!(run.refused, 0);
    }

    #[test]
    fn a_cold_broker_is_never_overrun() {
        let mut run = Run::new();
        run.flood(&COLD, Duration::from_secs(5));
        assert_eq!(run.refused, 0);
        assert!(run.done > 4_500, "{} done", run.done);
        run.flood(&WARM, Duration::from_secs(2));
        assert!(run.window.limit() >= 64, "window {} after warming up", run.window.limit());
    }

    #[test]
    fn a_broker_that_slows_down_gets_less() {
        let mut run = Run::new();
        run.flood(&WARM, Duration::from_secs(2));
        let before = run.window.limit();
        run.flood(&COLD, Duration::from_secs(5));
        assert!(run.window.limit() < before / 4, "{before} then {}", run.window.limit());
        // What was in flight when it slowed down may be too late; nothing after that.
        let refused = run.refused;
        run.flood(&COLD, Duration::from_secs(20));
        assert_eq!(run.refused, refused);
    }

    #[test]
    fn the_window_does_not_creep_up_under_steady_load() {
        let mut run = Run::new();
        run.flood(&WARM, Duration::from_secs(10));
        let after_ten = run.window.limit();
        run.flood(&WARM, Duration::from_secs(120));
        let after_two_minutes = run.window.limit();
        assert!(after_two_minutes < after_ten * 2, "{after_ten}, then {after_two_minutes}");
    }

    #[test]
    fn refusals_halve_the_window_once_a_round_trip_and_never_close_it() {
        let mut window = Window::new(1024);
        let now = Instant::now();
        window.answered(now, Duration::from_millis(10), 1);
        window.refused(now);
        window.refused(now + Duration::from_millis(1));
        assert_eq!(window.limit(), 8);
        for step in 1..100 {
            window.refused(now + Duration::from_millis(20 * step));
        }
        assert_eq!(window.limit(), 1);
    }

    #[test]
    fn slow_answers_alone_leave_a_few_in_flight() {
        let mut window = Window::new(1024);
        let now = Instant::now();
        window.answered(now, Duration::from_millis(1), 1);
        for step in 1..100 {
            window.answered(now + Duration::from_millis(25 * step), Duration::from_millis(500), 16);
        }
        assert_eq!(window.limit(), 16);
    }

    #[test]
    fn a_window_that_is_not_used_up_does_not_grow() {
        let mut window = Window::new(1024);
        let now = Instant::now();
        for step in 0..1_000 {
            window.answered(now + Duration::from_millis(step), Duration::from_micros(300), 1);
        }
        assert_eq!(window.limit(), 16);
    }

    /// Four producers that flood one broker, all at once or each some time after the one before.
    #[test]
    fn four_producers_share_a_broker() {
        for (per_second, gap) in
            [(10_000.0, 0), (10_000.0, 2_000), (40_000.0, 0), (40_000.0, 2_000)]
        {
            let broker = Broker { per_second, round_trip: Duration::from_micros(300) };
            let start = Instant::now();
            let mut windows: Vec<Window> = (0..4).map(|_| Window::new(1024)).collect();
            let mut in_flight = [0usize; 4];
            let mut done = [0u32; 4];
            let mut queue = std::collections::VecDeque::new();
            let (mut now, mut idle_at) = (start, start);
            while now < start + Duration::from_secs(26) {
                for (one, window) in windows.iter().enumerate() {
                    let started = now >= start + Duration::from_millis(gap * one as u64);
                    while started && in_flight[one] < window.limit() {
                        idle_at =
                            idle_at.max(now) + Duration::from_secs_f64(1.0 / broker.per_second);
                        queue.push_back((idle_at + broker.round_trip, now, one));
                        in_flight[one] += 1;
                    }
                }
                let (answered, sent, one) = queue.pop_front().unwrap();
                now = answered;
                assert!(answered - sent < Duration::from_millis(200), "refused");
                windows[one].answered(now, answered - sent, in_flight[one]);
                in_flight[one] -= 1;
                // Ten seconds after the last has started.
                done[one] += u32::from(now > start + Duration::from_secs(16));
            }
            let all: u32 = done.iter().sum();
            let fair = done.iter().all(|part| *part * 100 > all * 15);
            assert!(fair, "{per_second}/s, {gap} ms apart: {done:?} of {all}");
        }
    }
}
