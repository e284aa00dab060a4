//! Which brokers are left out for a while (Java: `MQFaultStrategy`, `LatencyFaultToleranceImpl`).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use posthaste_protocol::request::MaxOffset;

use crate::client::Client;
use crate::config::LONGEST;
use crate::route::RouteBroker;

/// How brokers that are slow, or do not answer, are left out while others will do.
///
/// A broker is left out for a time that depends on how long it took to answer, and longer when it
/// did not answer at all. Meanwhile it is asked in the background how it is, and taken back as soon
/// as it answers quickly. When all brokers of a topic are left out, none is. Messages that are
/// ordered or have a given queue go where they must, whatever the broker's health.
#[derive(Debug, Clone)]
pub struct FaultAvoidance {
    /// Latency from which on, and how long a broker is left out then; the longest first.
    table: Vec<(Duration, Duration)>,
    unanswered: Duration,
    probe_interval: Duration,
    probe_timeout: Duration,
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
    /// Leaves no broker out for its health. One that cannot be connected to is left out for two
    /// seconds all the same.
    pub fn off() -> Self {
        Self { unanswered: Duration::ZERO, ..Self::default() }.latencies([])
    }

    /// For how long a broker is left out (second) when an answer took this long or longer (first).
    /// Too low, and brokers are left out for being busy, while the others get busier.
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
    fn pause_after(&self, took: Duration) -> Duration {
        let row = self.table.iter().find(|(latency, _)| took >= *latency);
        row.map_or(Duration::ZERO, |(_, pause)| *pause)
    }
}

/// The health of one broker, as all threads see it.
#[derive(Debug)]
pub(crate) struct Health {
    /// Until when it is left out, in ms since `born`; 0: it is not.
    out_until_ms: AtomicU64,
    born: Instant,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { out_until_ms: AtomicU64::new(0), born: Instant::now() }
    }

    /// It answered after `took`. Says whether it is left out by that.
    pub(crate) fn answered(
        &self,
        avoidance: &FaultAvoidance,
        now: Instant,
        took: Duration,
    ) -> bool {
        self.leave_out(now, avoidance.pause_after(took))
    }

    /// It did not answer. Says whether it is left out by that.
    pub(crate) fn unanswered(&self, avoidance: &FaultAvoidance, now: Instant) -> bool {
        self.leave_out(now, avoidance.unanswered)
    }

    /// It answers quickly again.
    fn recovered(&self) {
        self.out_until_ms.store(0, Ordering::Relaxed);
    }

    fn leave_out(&self, now: Instant, pause: Duration) -> bool {
        if pause.is_zero() {
            return false;
        }
        self.out_until_ms.fetch_max(self.ms(now + pause.min(LONGEST)), Ordering::Relaxed);
        true
    }

    /// Whether it is left out.
    pub(crate) fn is_left_out(&self) -> bool {
        let until = self.out_until_ms.load(Ordering::Relaxed);
        until != 0 && self.ms(Instant::now()) < until
    }

    fn ms(&self, time: Instant) -> u64 {
        time.saturating_duration_since(self.born).as_millis() as u64
    }
}

/// Asks brokers that are left out how they are, as long as there are any.
pub(crate) async fn run(client: Arc<Client>) {
    let avoidance = client.config().avoidance.clone();
    loop {
        tokio::select! {
            () = client.left_out.notified() => {}
            () = client.stopped.cancelled() => return,
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(avoidance.probe_interval) => {}
                () = client.stopped.cancelled() => return,
            }
            let left_out = left_out(&client);
            if left_out.is_empty() {
                break;
            }
            for broker in left_out {
                let timeout = avoidance.probe_timeout;
                client.spawn(async move { probe(&broker, timeout).await });
            }
        }
    }
}

/// The brokers that are left out, each connection once.
fn left_out(client: &Client) -> Vec<Arc<RouteBroker>> {
    let mut known = HashSet::new();
    let mut left_out = Vec::new();
    for route in client.routes.all() {
        for broker in &route.brokers {
            let is_left_out = broker.connection.load().health.is_left_out();
            if is_left_out && known.insert(broker.connection.address().clone()) {
                left_out.push(broker.clone());
            }
        }
    }
    left_out
}

/// As Java's detector: any answer will do, also that it has no such queue.
async fn probe(broker: &RouteBroker, timeout: Duration) {
    let RouteBroker { wire_topic, name, connection, .. } = broker;
    let request = MaxOffset {
        topic: wire_topic.to_string(),
        queue_id: 0,
        committed: Some(true),
        broker_name: Some(name.to_string()),
    };
    match connection.call_raw(&request, Instant::now() + timeout).await {
        Ok(_) => connection.load().health.recovered(),
        Err(error) => tracing::debug!(broker = %name, %error, "the broker is still left out"),
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

    #[test]
    fn a_broker_comes_back_when_its_time_is_over_or_it_has_recovered() {
        let (health, avoidance) = (Health::new(), FaultAvoidance::default());
        assert!(!health.is_left_out());
        assert!(!health.answered(&avoidance, Instant::now(), ms(100)));
        assert!(!health.is_left_out());
        assert!(health.answered(&avoidance, Instant::now(), ms(600)));
        assert!(health.is_left_out());
        // A quick answer to what was sent before does not shorten it, nor does a shorter time.
        health.answered(&avoidance, Instant::now(), ms(1));
        let until = health.out_until_ms.load(Ordering::Relaxed);
        assert!(health.unanswered(&avoidance, Instant::now()));
        health.answered(&avoidance, Instant::now(), ms(600));
        assert!(health.out_until_ms.load(Ordering::Relaxed) >= until + 7_900);
        health.recovered();
        assert!(!health.is_left_out());
        let long_ago = Instant::now().checked_sub(ms(60_000));
        health.unanswered(&avoidance, long_ago.unwrap_or_else(Instant::now));
        assert!(long_ago.is_none() || !health.is_left_out());
        assert!(!health.unanswered(&FaultAvoidance::off(), Instant::now()));
    }
}
