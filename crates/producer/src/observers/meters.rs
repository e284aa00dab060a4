//! Metrics through the `metrics` facade (feature `metrics`). What each of them means is described
//! in `docs/observability.md`; without the feature `meters/off.rs` stands in.
//!
//! Handles are made once and kept: for a topic when it is first met, for a broker with its
//! connection. What is counted on the way of a good send is counted once per answer.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram, Label, SharedString, Unit};

use super::counts::{BrokerCounts, Counts, GoodEnd};
use crate::accepted::Accepted;
use crate::config::Config;
use crate::net::address::host_and_port;
use crate::{ErrorKind, Outcome};

/// This many topics of a producer have their own label.
const MOST_TOPICS: usize = 100;
/// What the others are called (as OpenTelemetry has it).
const OTHER: &str = "_OTHER";

const SENT: &str = "messaging.client.sent.messages";
const DURATION: &str = "messaging.client.operation.duration";
const ROUND_TRIP: &str = "posthaste.broker.round_trip";
const BATCH_SIZE: &str = "posthaste.broker.batch_size";
const IN_FLIGHT: &str = "posthaste.broker.in_flight";
const WAITING: &str = "posthaste.broker.waiting";
const WINDOW: &str = "posthaste.broker.window";

/// What a producer counts for all its brokers.
pub(crate) struct Meters {
    /// Labels that everything has.
    common: Vec<Label>,
    topics: ArcSwap<HashMap<Arc<str>, Arc<TopicMeters>>>,
    other: OnceLock<Arc<TopicMeters>>,
}

/// The metric of a count.
pub(crate) struct Metric(Counter);

impl Metric {
    /// Of a count that has none.
    pub(crate) fn none() -> Self {
        Self(Counter::noop())
    }

    fn of(name: &'static str, help: &'static str, labels: &[Label]) -> Self {
        metrics::describe_counter!(name, Unit::Count, help);
        Self(metrics::counter!(name, labels.to_vec()))
    }

    pub(crate) fn add(&self, count: usize) {
        self.0.increment(count as u64);
    }
}

/// What is counted for a topic.
struct TopicMeters {
    labels: Vec<Label>,
    acked: OnceLock<Ends>,
    oneway: OnceLock<Ends>,
}

/// Ends of one kind.
struct Ends {
    messages: Counter,
    duration: Histogram,
}

impl Meters {
    pub(crate) fn of(config: &Config) -> Self {
        describe();
        let common = vec![
            Label::from_static_parts("messaging.system", "rocketmq"),
            Label::new(
                "posthaste.producer_group",
                SharedString::from_shared(config.own_group.clone()),
            ),
        ];
        Self { topics: ArcSwap::default(), other: OnceLock::new(), common }
    }

    /// A metric of the producer, given its name and its description.
    pub(crate) fn counter(&self, name: &'static str, help: &'static str) -> Metric {
        Metric::of(name, help, &self.common)
    }

    /// What is counted for the broker at this address, and for the producer.
    pub(crate) fn broker(&self, address: &str, counts: &Arc<Counts>) -> BrokerMeters {
        BrokerMeters::of(&self.common, address, counts)
    }

    /// A message, or a batch, has failed.
    pub(crate) fn failed(&self, accepted: &Accepted, kind: ErrorKind, outcome: Outcome) {
        let labels = self.topic(accepted.topic()).labels_of_failure(kind, outcome);
        metrics::counter!(SENT, labels.clone()).increment(accepted.count() as u64);
        metrics::histogram!(DURATION, labels).record(accepted.since.elapsed());
    }

    /// This many messages were rejected before they were accepted: their topic may be anything.
    pub(crate) fn rejected(&self, kind: ErrorKind, messages: usize) {
        let labels = self.other().labels_of_failure(kind, Outcome::NotStored);
        metrics::counter!(SENT, labels).increment(messages as u64);
    }

    /// A caller took back a message, or a batch.
    pub(crate) fn withdrawn(&self, accepted: &Accepted) {
        let labels = self.topic(accepted.topic()).labels_of_end("withdrawn");
        metrics::counter!(SENT, labels).increment(accepted.count() as u64);
    }

    fn topic(&self, topic: &Arc<str>) -> Arc<TopicMeters> {
        if let Some(known) = self.topics.load().get(topic) {
            return known.clone();
        }
        self.new_topic(topic)
    }

    fn new_topic(&self, topic: &Arc<str>) -> Arc<TopicMeters> {
        let made = self.make_topic(SharedString::from_shared(topic.clone()));
        self.topics.rcu(|topics| {
            if topics.len() >= MOST_TOPICS || topics.contains_key(topic) {
                return topics.clone();
            }
            let mut topics = HashMap::clone(topics);
            topics.insert(topic.clone(), made.clone());
            Arc::new(topics)
        });
        self.topics.load().get(topic).unwrap_or_else(|| self.other()).clone()
    }

    /// All topics that have no label.
    fn other(&self) -> &Arc<TopicMeters> {
        self.other.get_or_init(|| self.make_topic(OTHER.into()))
    }

    fn make_topic(&self, topic: SharedString) -> Arc<TopicMeters> {
        let mut labels = self.common.clone();
        labels.push(Label::from_static_parts("messaging.operation.name", "send"));
        labels.push(Label::new("messaging.destination.name", topic));
        let (acked, oneway) = (OnceLock::new(), OnceLock::new());
        Arc::new(TopicMeters { labels, acked, oneway })
    }
}

impl TopicMeters {
    fn ends(&self, good: GoodEnd) -> &Ends {
        let (ends, outcome) = match good {
            GoodEnd::Acked => (&self.acked, "acked"),
            GoodEnd::Oneway => (&self.oneway, "oneway"),
        };
        ends.get_or_init(|| {
            let labels = self.labels_of_end(outcome);
            let messages = metrics::counter!(SENT, labels.clone());
            Ends { messages, duration: metrics::histogram!(DURATION, labels) }
        })
    }

    fn labels_of_end(&self, outcome: &'static str) -> Vec<Label> {
        let mut labels = self.labels.clone();
        labels.push(Label::from_static_parts("outcome", outcome));
        labels
    }

    fn labels_of_failure(&self, kind: ErrorKind, outcome: Outcome) -> Vec<Label> {
        let mut labels = self.labels_of_end(match outcome {
            Outcome::NotStored => "not_stored",
            Outcome::Unknown => "unknown",
        });
        labels.push(Label::from_static_parts("error.type", kind.as_str()));
        labels
    }
}

/// Messages that end well together.
#[derive(Default)]
pub(crate) struct Tally {
    /// The topic of the latest message: mostly that of all.
    topic: Option<(Arc<str>, Arc<TopicMeters>)>,
    messages: u64,
}

impl Tally {
    pub(crate) fn add(
        &mut self,
        meters: &Meters,
        good: GoodEnd,
        accepted: &Accepted,
        now: Instant,
    ) {
        let is_of = |(topic, _): &(Arc<str>, _)| **topic == **accepted.topic();
        if !self.topic.as_ref().is_some_and(is_of) {
            self.count(good);
            let topic = accepted.topic().clone();
            self.topic = Some((topic, meters.topic(accepted.topic())));
        }
        self.messages += accepted.count() as u64;
        if let Some((_, meters)) = &self.topic {
            let took = now.saturating_duration_since(accepted.since);
            meters.ends(good).duration.record(took);
        }
    }

    /// Counts the events that it was told of.
    pub(crate) fn count(&mut self, good: GoodEnd) {
        if let Some((_, meters)) = &self.topic {
            meters.ends(good).messages.increment(std::mem::take(&mut self.messages));
        }
    }
}

/// What is counted for one broker, by the task of its connection.
pub(crate) struct BrokerMeters {
    pub(crate) counts: BrokerCounts,
    round_trip: Histogram,
    batch_size: Histogram,
    in_flight: Gauge,
    waiting: Gauge,
    window: Gauge,
}

impl BrokerMeters {
    /// For a peer that gets no messages.
    pub(crate) fn none(counts: &Arc<Counts>) -> Self {
        Self {
            counts: BrokerCounts::of(counts, |_, _| Metric::none()),
            round_trip: Histogram::noop(),
            batch_size: Histogram::noop(),
            in_flight: Gauge::noop(),
            waiting: Gauge::noop(),
            window: Gauge::noop(),
        }
    }

    fn of(common: &[Label], address: &str, counts: &Arc<Counts>) -> Self {
        let (host, port) = host_and_port(address);
        let mut labels = common.to_vec();
        labels.push(Label::new("server.address", host.to_owned()));
        labels.push(Label::new("server.port", port.unwrap_or_default().to_string()));
        Self {
            counts: BrokerCounts::of(counts, |name, help| Metric::of(name, help, &labels)),
            round_trip: metrics::histogram!(ROUND_TRIP, labels.clone()),
            batch_size: metrics::histogram!(BATCH_SIZE, labels.clone()),
            in_flight: metrics::gauge!(IN_FLIGHT, labels.clone()),
            waiting: metrics::gauge!(WAITING, labels.clone()),
            window: metrics::gauge!(WINDOW, labels),
        }
    }

    /// A request of this many messages leaves.
    pub(crate) fn request(&self, messages: usize) {
        self.counts.requests(1);
        self.batch_size.record(messages as f64);
        if messages > 1 {
            self.counts.batches(1);
            self.counts.batched(messages);
        }
    }

    /// A request was stored.
    pub(crate) fn answered(&self, took: Duration) {
        self.round_trip.record(took);
    }

    /// Shows requests in flight, messages that wait, and the window.
    pub(crate) fn show(&self, in_flight: usize, waiting: impl FnOnce() -> usize, window: usize) {
        self.in_flight.set(in_flight as f64);
        self.waiting.set(waiting() as f64);
        self.window.set(window as f64);
    }
}

/// Nothing is in flight where no connection is any more.
impl Drop for BrokerMeters {
    fn drop(&mut self) {
        for gauge in [&self.in_flight, &self.waiting, &self.window] {
            gauge.set(0.0);
        }
    }
}

fn describe() {
    metrics::describe_counter!(SENT, Unit::Count, "Messages, by how they ended");
    metrics::describe_histogram!(DURATION, Unit::Seconds, "From acceptance to the end of a send");
    metrics::describe_histogram!(ROUND_TRIP, Unit::Seconds, "From request to answer");
    metrics::describe_histogram!(BATCH_SIZE, Unit::Count, "Messages in a request");
    metrics::describe_gauge!(IN_FLIGHT, Unit::Count, "Requests in flight");
    metrics::describe_gauge!(WAITING, Unit::Count, "Messages that wait to leave");
    metrics::describe_gauge!(WINDOW, Unit::Count, "How much may be in flight");
}
