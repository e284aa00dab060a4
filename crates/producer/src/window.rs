//! How many requests may be in flight to one broker.
//!
//! A pure state machine: answers go in, a limit comes out. The idea is that of TCP Vegas: of the
//! requests in flight, those that the least round trip does not explain stand in the broker's
//! queue. Few of them: there is room for more. Many: fewer. A real broker refuses what has waited
//! for 200 ms; the window keeps far away from that, and does not learn it by being refused.

use std::time::{Duration, Instant};

/// In flight at the start, before anything is known of the broker.
const START: f64 = 16.0;
/// The time that requests may stand in the broker's queue without the window shrinking. A cold
/// broker's speed changes tenfold within a second; a tenth of what makes it refuse leaves
/// room for that.
const QUEUE_TARGET: Duration = Duration::from_millis(20);
/// How long a least round trip is believed. A broker that warms up, or moves, has another one.
const LEAST_LIFETIME: Duration = Duration::from_secs(10);
/// So few requests in flight do not wait for each other.
const QUIET: usize = 4;
/// What is left of the window after a refusal.
const AFTER_BUSY: f64 = 0.5;

/// The window of one broker.
#[derive(Debug)]
pub(crate) struct Window {
    limit: f64,
    ceiling: f64,
    least: WindowedLeast,
    /// Average of the latest round trips, in seconds.
    smooth: Option<f64>,
    /// Until the first sign of a queue the window doubles with each round trip.
    starting: bool,
    /// The limit is lowered at most once in a round trip.
    lowered_at: Option<Instant>,
    /// When few enough requests were in flight for their round trip to be free of waiting.
    quiet_at: Option<Instant>,
    /// Answers still wanted until the window, nearly closed to measure, is opened again.
    draining: Option<u32>,
}

impl Window {
    pub(crate) fn new(ceiling: usize) -> Self {
        let ceiling = ceiling.max(1) as f64;
        Self {
            limit: START.min(ceiling),
            ceiling,
            least: WindowedLeast::default(),
            smooth: None,
            starting: true,
            lowered_at: None,
            quiet_at: None,
            draining: None,
        }
    }

    /// How many requests may be in flight.
    pub(crate) fn limit(&self) -> usize {
        let limit = self.limit.max(1.0) as usize;
        if self.draining.is_some() { limit.min(QUIET) } else { limit }
    }

    /// A request was answered, and not as busy. `in_flight` counts it: a window that was not used
    /// up is not made larger, since nothing was learnt about a larger one.
    pub(crate) fn answered(&mut self, now: Instant, round_trip: Duration, in_flight: usize) {
        let round_trip = round_trip.as_secs_f64();
        let least = self.least.observe(now, round_trip);
        if self.measures(now, in_flight) {
            return;
        }
        let smooth = self.smooth.map_or(round_trip, |s| s + (round_trip - s) / 8.0);
        self.smooth = Some(smooth);
        let waiting = (smooth - least).max(0.0);
        let target = QUEUE_TARGET.as_secs_f64();
        if waiting > 2.0 * target {
            self.starting = false;
            self.lower(now, 0.8);
        } else if waiting < target && in_flight as f64 >= self.limit * 0.75 {
            let step = if self.starting { 1.0 } else { 1.0 / self.limit.max(1.0).sqrt() };
            // The nearer the target, the smaller the step: the window settles, it does not swing.
            let room = 1.0 - waiting / target;
            self.limit = (self.limit + step * room).min(self.ceiling);
        }
        if waiting > target / 2.0 {
            self.starting = false;
        }
    }

    /// A request was refused as busy. Its round trip says nothing: refusing is quick.
    pub(crate) fn refused(&mut self, now: Instant) {
        self.starting = false;
        self.lower(now, AFTER_BUSY);
    }

    /// Under steady load each round trip has waiting in it, and the least of them would creep up
    /// and the window with it. So now and then the window closes for a moment, until a few
    /// requests have found the broker's queue empty.
    fn measures(&mut self, now: Instant, in_flight: usize) -> bool {
        if let Some(wanted) = &mut self.draining {
            if in_flight <= QUIET {
                *wanted = wanted.saturating_sub(1);
            }
            if *wanted == 0 {
                self.draining = None;
                self.quiet_at = Some(now);
            }
            return true;
        }
        let quiet_at = *self.quiet_at.get_or_insert(now);
        if in_flight <= QUIET {
            self.quiet_at = Some(now);
        } else if now.saturating_duration_since(quiet_at) > LEAST_LIFETIME / 2 {
            self.draining = Some(2 * QUIET as u32);
        }
        false
    }

    fn lower(&mut self, now: Instant, factor: f64) {
        let round_trip = Duration::from_secs_f64(self.smooth.unwrap_or(0.001));
        if self.lowered_at.is_some_and(|at| now.saturating_duration_since(at) < round_trip) {
            return;
        }
        self.lowered_at = Some(now);
        self.limit = (self.limit * factor).max(1.0);
    }
}

/// The least value of the last [`LEAST_LIFETIME`], kept as the least of the current half of it and
/// of the half before.
#[derive(Debug, Default)]
struct WindowedLeast {
    current: Option<f64>,
    before: Option<f64>,
    since: Option<Instant>,
}

impl WindowedLeast {
    fn observe(&mut self, now: Instant, value: f64) -> f64 {
        match self.since {
            Some(since) if now.saturating_duration_since(since) < LEAST_LIFETIME / 2 => {
                self.current = Some(self.current.map_or(value, |least| least.min(value)));
            }
            _ => {
                self.before = self.current;
                self.current = Some(value);
                self.since = Some(now);
            }
        }
        let current = self.current.unwrap_or(value);
        self.before.map_or(current, |before| before.min(current))
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
    fn a_window_that_is_not_used_up_does_not_grow() {
        let mut window = Window::new(1024);
        let now = Instant::now();
        for step in 0..1_000 {
            window.answered(now + Duration::from_millis(step), Duration::from_micros(300), 1);
        }
        assert_eq!(window.limit(), 16);
    }
}
