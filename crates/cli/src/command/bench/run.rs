//! A run: starts the senders, reads what they counted second by second, and ends when they have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste::Producer;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};

use super::load::{Gauge, Pattern, Sender};
use super::measure::Measure;
use super::schedule::Schedule;
use super::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;

const SECOND: Duration = Duration::from_secs(1);
/// The rest after the last full second counts as a lap when it is as long as this: the rate over
/// less says nothing.
const SHORTEST: Duration = Duration::from_millis(100);

/// A second of a run.
#[derive(Debug, Clone)]
pub(crate) struct Lap {
    /// When it ended, from the start of the run.
    pub(super) end: Duration,
    /// A second, but for the last.
    pub(super) length: Duration,
    /// Messages that ended as they should.
    pub(super) good: u64,
    pub(super) failures: u64,
    pub(super) retries: u64,
    /// At its end.
    pub(super) in_flight: u64,
    /// In microseconds, of the share of messages beside it.
    pub(super) latency: [(f64, Option<u64>); 4],
}

impl Lap {
    /// Messages a second that ended as they should.
    pub(super) fn rate(&self) -> f64 {
        self.good as f64 / self.length.as_secs_f64()
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Results {
    /// Until the last message had ended.
    pub(super) elapsed: Duration,
    pub(super) total: Measure,
    pub(super) laps: Vec<Lap>,
    /// What the producers counted meanwhile.
    pub(super) counts: Counts,
    /// At a fixed rate: sends that were due and never began.
    pub(super) overdue: u64,
    pub(super) interrupted: bool,
}

impl Results {
    /// Messages a second that ended as they should.
    pub(super) fn rate(&self) -> f64 {
        self.total.good() as f64 / self.elapsed.as_secs_f64().max(1e-6)
    }

    /// The code that follows from what became of the messages.
    pub(super) fn exit(&self) -> Exit {
        let Measure { unknown, not_stored, first, .. } = &self.total;
        match first {
            _ if self.interrupted => Exit::Interrupted,
            _ if *unknown > 0 || (*not_stored > 0 && self.total.good() > 0) => Exit::Partial,
            Some(error) => Exit::of(error.kind()),
            None => Exit::Done,
        }
    }
}

/// A run that is under way.
pub(super) struct Run<'a> {
    producers: &'a [Producer],
    schedule: Arc<Schedule>,
    gauges: Vec<Gauge>,
    senders: JoinSet<()>,
    /// What the producers had counted before.
    before: Counts,
    laps: Vec<Lap>,
    /// Without the lap that has not ended.
    total: Measure,
    /// What the producers had counted when the last lap ended.
    last: Counts,
    interrupted: bool,
}

impl<'a> Run<'a> {
    /// Starts the clock.
    ///
    /// # Errors
    /// When the system gives no thread to keep the pace.
    pub(super) fn start(producers: &'a [Producer], settings: &Settings) -> Result<Self, Failure> {
        let pattern = Arc::new(Pattern::new(settings));
        let senders = settings.in_flight as usize;
        let before = Counts::of(producers);
        let schedule = Schedule::start(settings.plan(), senders).map_err(|error| {
            Failure::new(Exit::Failed, "system", format!("cannot start a thread: {error}"))
        })?;
        let gauges: Vec<Gauge> = producers.iter().map(|_| Gauge::new()).collect();
        let mut run = Self {
            producers,
            schedule,
            senders: JoinSet::new(),
            last: before,
            before,
            laps: Vec::new(),
            total: Measure::new(),
            interrupted: false,
            gauges,
        };
        for (producer, gauge) in producers.iter().zip(&run.gauges).cycle().take(senders) {
            let sender = Sender {
                producer: producer.clone(),
                oneway: settings.oneway,
                pattern: Arc::clone(&pattern),
                schedule: Arc::clone(&run.schedule),
                gauge: gauge.clone(),
            };
            run.senders.spawn(sender.run());
        }
        Ok(run)
    }

    /// Lets `tell` know of each lap, until every message has ended. An interrupt lets none begin
    /// that has not.
    pub(super) async fn watch(
        mut self,
        interrupt: &mut Interrupt,
        mut tell: impl FnMut(&Lap),
        interrupted: impl FnOnce(),
    ) -> Results {
        let mut interrupted = Some(interrupted);
        let mut seconds = interval_at((Instant::now() + SECOND).into(), SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = interrupt.next(), if !self.interrupted => {
                    self.interrupted = true;
                    self.schedule.stop();
                    if let Some(tell) = interrupted.take() { tell() }
                }
                _ = seconds.tick() => tell(&self.end_lap()),
                ended = self.senders.join_next() => if ended.is_none() { break },
            }
        }
        let rest = self.schedule.elapsed().saturating_sub(self.lap_began());
        if rest >= SHORTEST || self.laps.is_empty() {
            tell(&self.end_lap());
        }
        self.results()
    }

    fn results(mut self) -> Results {
        let elapsed = self.schedule.elapsed();
        for gauge in &self.gauges {
            gauge.empty_into(&mut self.total);
        }
        Results {
            elapsed,
            total: self.total,
            laps: self.laps,
            counts: Counts::of(self.producers).since(self.before),
            overdue: self.schedule.overdue(),
            interrupted: self.interrupted,
        }
    }

    fn lap_began(&self) -> Duration {
        self.laps.last().map_or(Duration::ZERO, |lap| lap.end)
    }

    fn end_lap(&mut self) -> Lap {
        let mut measure = Measure::new();
        for gauge in &self.gauges {
            gauge.empty_into(&mut measure);
        }
        let (end, counts) = (self.schedule.elapsed(), Counts::of(self.producers));
        let lap = Lap {
            end,
            length: end.saturating_sub(self.lap_began()).max(Duration::from_micros(1)),
            good: measure.good(),
            failures: measure.failures(),
            retries: counts.since(self.last).retries,
            in_flight: counts.in_flight,
            latency: [0.5, 0.95, 0.99, 0.999].map(|share| (share, measure.latency.at(share))),
        };
        self.last = counts;
        self.total.take(&mut measure);
        self.laps.push(lap.clone());
        lap
    }
}

/// What the producers count themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Attempts beyond the first of a message.
    pub(super) retries: u64,
    /// Requests that a broker refused as busy.
    pub(super) busy: u64,
    /// Requests that carried messages.
    pub(super) requests: u64,
    /// How many of them were batches.
    pub(super) batches: u64,
    /// Messages in these.
    pub(super) batched: u64,
    pub(super) in_flight: u64,
}

impl Counts {
    fn of(producers: &[Producer]) -> Self {
        let mut counts = Self::default();
        for stats in producers.iter().map(Producer::stats) {
            counts.retries += stats.retries;
            counts.busy += stats.busy;
            counts.requests += stats.requests;
            counts.batches += stats.batches;
            counts.batched += stats.batched;
            counts.in_flight += stats.in_flight;
        }
        counts
    }

    /// What came to earlier counts.
    fn since(self, earlier: Self) -> Self {
        Self {
            retries: self.retries - earlier.retries,
            busy: self.busy - earlier.busy,
            requests: self.requests - earlier.requests,
            batches: self.batches - earlier.batches,
            batched: self.batched - earlier.batched,
            in_flight: self.in_flight,
        }
    }

    /// How many messages a request carried, on the average.
    pub(super) fn messages_per_request(self) -> Option<f64> {
        // What is read while it changes may be off by a little; below 0 it must not come.
        let messages = self.requests.saturating_sub(self.batches) + self.batched;
        (self.requests > 0).then(|| messages as f64 / self.requests as f64)
    }
}
