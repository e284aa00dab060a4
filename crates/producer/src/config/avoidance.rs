//! How long brokers are left out for their health (Java: `MQFaultStrategy`).

use std::time::Duration;

use super::LONGEST;

/// How brokers that are slow, or do not answer, are left out as long as another broker will do.
///
/// A broker is left out for a time that depends on how long it took to answer, and longer when it
/// did not answer at all. Meanwhile it is probed in the background, and used again as soon as it
/// answers quickly. If all brokers of a topic would be left out, none is. Messages that are ordered
/// or have a given queue go where they must, even if the broker's health is bad.
#[derive(Debug, Clone)]
pub struct FaultAvoidance {
    /// Latency from which on, and how long a broker is left out then; the longest first.
    table: Vec<(Duration, Duration)>,
    pub(crate) unanswered: Duration,
    pub(crate) probe_interval: Duration,
    pub(crate) probe_timeout: Duration,
}

impl Default for FaultAvoidance {
    /// As in Java 5.x where it is turned on: left out for 2 s when an answer took 550 ms, for 5 s at
    /// 1.8 s, 6 s at 3 s, 10 s at 5 s, 30 s at 15 s, and for 10 s when no answer came; asked every
    /// 2 s, for 200 ms.
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            table: Vec::new(),
            unanswered: ms(10_000),
            probe_interval: ms(2_000),
            probe_timeout: ms(200),
        }
        .latencies([
            (ms(550), ms(2_000)),
            (ms(1_800), ms(5_000)),
            (ms(3_000), ms(6_000)),
            (ms(5_000), ms(10_000)),
            (ms(15_000), ms(30_000)),
        ])
    }
}

impl FaultAvoidance {
    /// Leaves no broker out for its health. A broker that cannot be connected to is still left out
    /// for two seconds.
    pub fn off() -> Self {
        Self { unanswered: Duration::ZERO, ..Self::default() }.latencies([])
    }

    /// For how long a broker is left out (second) when an answer took this long or longer (first).
    /// If the limits are too low, brokers are left out for being busy, while the others get busier.
    #[must_use]
    pub fn latencies(mut self, table: impl IntoIterator<Item = (Duration, Duration)>) -> Self {
        self.table = table.into_iter().collect();
        self.table.sort_unstable_by(|one, other| other.cmp(one));
        self
    }

    /// For how long a broker is left out when it did not answer, or its connection broke. Default:
    /// 10 s; zero: not at all.
    #[must_use]
    pub fn unanswered(mut self, time: Duration) -> Self {
        self.unanswered = time;
        self
    }

    /// How often a broker that is left out is asked how it is, and how soon it must answer to be
    /// taken back. Default: every 2 s, within 200 ms.
    #[must_use]
    pub fn probe(mut self, interval: Duration, timeout: Duration) -> Self {
        self.probe_interval = interval.max(Duration::from_millis(1));
        self.probe_timeout = timeout.min(LONGEST);
        self
    }

    /// How long a broker is left out that answered after `took`.
    pub(crate) fn pause_after(&self, took: Duration) -> Duration {
        let row = self.table.iter().find(|(latency, _)| took >= *latency);
        row.map_or(Duration::ZERO, |(_, pause)| *pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn how_long_a_broker_is_left_out() {
        let default = FaultAvoidance::default();
        for (took, expected) in [
            (0, 0),
            (549, 0),
            (550, 2_000),
            (1_799, 2_000),
            (1_800, 5_000),
            (3_000, 6_000),
            (5_000, 10_000),
            (15_000, 30_000),
            (99_000, 30_000),
        ] {
            assert_eq!(default.pause_after(ms(took)), ms(expected), "{took}");
            assert_eq!(FaultAvoidance::off().pause_after(ms(took)), ms(0));
        }
        // In any order.
        let own = default.latencies([(ms(5), ms(1)), (ms(50), ms(3)), (ms(10), ms(2))]);
        assert_eq!(
            [4, 5, 10, 49, 50].map(|took| own.pause_after(ms(took)).as_millis()),
            [0, 1, 2, 2, 3]
        );
    }
}
