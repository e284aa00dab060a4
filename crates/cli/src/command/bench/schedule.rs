//! When the sends of a run begin: one as soon as another has ended, or at a fixed rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use tokio::sync::Semaphore;

/// The timer of the system wakes up late by about half of this. So at low rates, where it costs
/// next to nothing, the last stretch before a send is waited out awake.
const AWAKE: Duration = Duration::from_micros(100);
const LOW_RATE: f64 = 1_000.0;

/// How many sends a run has, and how fast they begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) end: End,
    /// Sends a second; without it, each begins when there is room.
    pub(super) rate: Option<f64>,
    /// At a fixed rate: how long after the end sends may begin that were due before.
    pub(super) grace: Duration,
}

/// What ends a run.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    After(Duration),
    Count(u64),
}

/// The schedule of a run that has started, shared by all who send.
pub(super) struct Schedule {
    start: Instant,
    rate: Option<f64>,
    /// Sends in all.
    planned: u64,
    /// No send begins later.
    until: Option<Instant>,
    stopped: AtomicBool,
    /// Sends that have begun; a caller that asks after the last counts too.
    begun: AtomicU64,
    /// At a fixed rate: sends that were due so far.
    released: AtomicU64,
    /// At a fixed rate: a permit for each send that is due and has not begun.
    due: Semaphore,
}

/// One send's turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Turn {
    /// Number of the send, from 0.
    pub(super) number: u64,
    /// When it should begin. Later than that is part of its latency.
    pub(super) due: Instant,
}

impl Schedule {
    fn new(plan: Plan, start: Instant) -> Self {
        let (planned, until) = match (plan.end, plan.rate) {
            (End::Count(count), _) => (count, None),
            (End::After(time), None) => (u64::MAX, start.checked_add(time)),
            (End::After(time), Some(rate)) => {
                (sends_within(time, rate), start.checked_add(time.saturating_add(plan.grace)))
            }
        };
        Self {
            start,
            rate: plan.rate,
            planned,
            until,
            stopped: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            released: AtomicU64::new(0),
            due: Semaphore::new(0),
        }
    }

    /// Starts the clock for this many that send.
    ///
    /// # Errors
    /// When the thread that keeps the pace cannot be started.
    pub(super) fn start(plan: Plan, senders: usize) -> io::Result<Arc<Self>> {
        let schedule = Arc::new(Self::new(plan, Instant::now()));
        if let Some(rate) = plan.rate {
            // A thread, since the runtime's timers are only good for milliseconds.
            let paced = Arc::clone(&schedule);
            thread::Builder::new()
                .name("pace".into())
                .spawn(move || paced.keep_pace(rate, senders))?;
        }
        Ok(schedule)
    }

    /// Waits for the next send's turn; `None` when there is none any more.
    pub(super) async fn next(&self) -> Option<Turn> {
        if self.rate.is_some() {
            self.due.acquire().await.ok()?.forget();
        }
        let over = self.stopped.load(Ordering::Relaxed)
            || self.until.is_some_and(|until| Instant::now() >= until);
        if over {
            return None;
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let due = self.rate.map_or_else(Instant::now, |rate| self.due_at(number, rate));
        (number < self.planned).then_some(Turn { number, due })
    }

    /// No send begins from now on.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.due.close();
    }

    /// Sends that were due and never began.
    pub(super) fn overdue(&self) -> u64 {
        self.released.load(Ordering::Relaxed).saturating_sub(self.begun.load(Ordering::Relaxed))
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn due_at(&self, number: u64, rate: f64) -> Instant {
        let after = Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX);
        self.start.checked_add(after).unwrap_or(self.start)
    }

    /// Sends that are due by now.
    fn due_by(&self, now: Instant, rate: f64) -> u64 {
        let passed = now.saturating_duration_since(self.start);
        ((passed.as_secs_f64() * rate) as u64).saturating_add(1).min(self.planned)
    }

    fn keep_pace(&self, rate: f64, senders: usize) {
        let mut released = 0;
        while released < self.planned {
            wait_until(self.due_at(released, rate), rate);
            if self.due.is_closed() {
                return;
            }
            let due = self.due_by(Instant::now(), rate).max(released + 1);
            self.released.store(due, Ordering::Relaxed);
            self.due.add_permits((due - released) as usize);
            released = due;
        }
        // A caller that asks after the last one gets none.
        self.due.add_permits(senders);
    }
}

/// Sends that begin within this time, the first at its beginning.
fn sends_within(time: Duration, rate: f64) -> u64 {
    // A whole number of sends must not become one more by the way fractions are rounded.
    ((time.as_secs_f64() * rate - 1e-6).ceil() as u64).max(1)
}

fn wait_until(due: Instant, rate: f64) {
    let awake = if rate <= LOW_RATE { AWAKE } else { Duration::ZERO };
    let asleep = due.saturating_duration_since(Instant::now()).saturating_sub(awake);
    thread::sleep(asleep);
    while Instant::now() < due {
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(end: End, rate: Option<f64>) -> Plan {
        Plan { end, rate, grace: Duration::from_secs(3) }
    }

    async fn turns(schedule: &Schedule) -> Vec<Turn> {
        let mut turns = Vec::new();
        while let Some(turn) = schedule.next().await {
            turns.push(turn);
        }
        turns
    }

    #[test]
    fn as_many_sends_as_fit_the_time() {
        for (ms, rate, sends) in
            [(1_000, 100.0, 100), (700, 10.0, 7), (1_050, 10.0, 11), (100, 0.5, 1), (300, 10.0, 3)]
        {
            assert_eq!(sends_within(Duration::from_millis(ms), rate), sends, "{ms} ms at {rate}");
        }
    }

    #[tokio::test]
    async fn a_count_ends_a_run_without_a_rate() {
        let schedule = Schedule::start(plan(End::Count(3), None), 1).unwrap();
        let numbers: Vec<u64> = turns(&schedule).await.iter().map(|turn| turn.number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(schedule.overdue(), 0);
    }

    #[tokio::test]
    async fn at_a_rate_sends_are_due_at_even_intervals_however_late_they_are_asked_for() {
        let schedule = Schedule::start(plan(End::Count(200), Some(10_000.0)), 1).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        let turns = turns(&schedule).await;
        assert_eq!(turns.len(), 200);
        for turn in turns {
            let after = Duration::from_micros(100) * turn.number as u32;
            let off = turn.due.duration_since(schedule.start).abs_diff(after);
            assert!(off < Duration::from_micros(1), "{turn:?} is off by {off:?}");
        }
    }

    #[tokio::test]
    async fn no_send_begins_before_it_is_due() {
        let schedule = Schedule::start(plan(End::Count(20), Some(1_000.0)), 1).unwrap();
        while let Some(turn) = schedule.next().await {
            // Rounded down to the nanosecond on one side only.
            assert!(Instant::now() + Duration::from_nanos(10) >= turn.due);
        }
    }

    #[tokio::test]
    async fn what_was_due_and_never_began_is_counted() {
        let schedule = Schedule::start(plan(End::Count(50), Some(1e6)), 1).unwrap();
        assert!(schedule.next().await.is_some());
        while schedule.released.load(Ordering::Relaxed) < 50 {
            thread::yield_now();
        }
        schedule.stop();
        assert_eq!(schedule.next().await, None);
        assert_eq!(schedule.overdue(), 49);
    }

    #[tokio::test]
    async fn stopping_wakes_those_who_wait_for_their_turn() {
        let schedule = Schedule::start(plan(End::Count(2), Some(0.001)), 1).unwrap();
        assert!(schedule.next().await.is_some());
        let waiting = tokio::spawn({
            let schedule = Arc::clone(&schedule);
            async move { schedule.next().await }
        });
        tokio::task::yield_now().await;
        schedule.stop();
        let woken = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        assert_eq!(woken.expect("it still waits").unwrap(), None);
    }
}
