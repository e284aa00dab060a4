//! Every count of a producer, in one table: a line makes the field of [`Stats`], the counter behind it,
//! and its metric.

use std::sync::Arc;

use super::meters::{Meters, Metric};
use crate::accepted::counter::Counter;

/// One broker address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Address.
    pub address: String,
    /// The protocol version that the broker declared in its latest answer to a heartbeat (Java:
    /// ordinal of `MQVersion`): 353 is 4.7.0, 513 is 5.5.0. Behind a proxy it is the proxy's.
    pub version: Option<i32>,
    /// How much may be in flight: a single message counts as 1, a batch as 1 and an eighth for each
    /// further message, which is about what they cost a broker.
    pub window: usize,
    /// How many requests are in flight.
    pub in_flight: usize,
    /// How many messages are in flight in these requests. One-way messages are not counted: they
    /// end when they are written.
    pub messages_in_flight: usize,
    /// How many messages wait to leave.
    pub waiting: usize,
}

/// How messages end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoodEnd {
    Acked,
    Oneway,
}

/// A count of the producer, and its metric.
pub(crate) struct Count {
    total: Counter,
    metric: Metric,
}

impl Count {
    fn new(metric: Metric) -> Self {
        Self { total: Counter::default(), metric }
    }

    pub(crate) fn add(&self, count: usize) {
        self.total.add(count);
        self.metric.add(count);
    }
}

/// Reads the table: how messages end, what is counted for the producer (with a metric, or without), and
/// what is counted for each broker.
macro_rules! counts {
    (@metric $meters:ident) => { Metric::none() };
    (@metric $meters:ident, $name:literal, $help:literal) => { $meters.counter($name, $help) };
    (
        ends { $( $(#[$end_doc:meta])* $end:ident; )* }
        producer { $( $(#[$own_doc:meta])* $own:ident $(= $own_name:literal, $own_help:literal)?; )* }
        broker { $( $(#[$broker_doc:meta])* $broker:ident = $broker_name:literal, $broker_help:literal; )* }
    ) => {
        /// Counts of a producer since its start. Read with [`Producer::stats`](crate::Producer::stats).
        ///
        /// `sent` = `acked` + `not_stored` + `unknown` + `oneway` + `withdrawn` + `in_flight`, up to
        /// what changes while it is read.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            /// Messages accepted, and messages rejected before (not valid, no room), which count as
            /// `not_stored` too. Sends to a closed producer do not count.
            pub sent: u64,
            $( $(#[$end_doc])* pub $end: u64, )*
            /// Messages accepted and not ended.
            pub in_flight: u64,
            $( $(#[$own_doc])* pub $own: u64, )*
            $( $(#[$broker_doc])* pub $broker: u64, )*
            /// Every broker address with a connection.
            pub brokers: Vec<BrokerStats>,
        }

        /// The counters behind [`Stats`].
        pub(crate) struct Counts {
            /// Rejected before they were accepted; the others are counted by epoch.
            pub(crate) rejected: Counter,
            $( pub(crate) $end: Counter, )*
            $( pub(crate) $own: Count, )*
            $( $broker: Counter, )*
        }

        impl Counts {
            pub(crate) fn of(meters: &Meters) -> Self {
                Self {
                    rejected: Counter::default(),
                    $( $end: Counter::default(), )*
                    $( $own: Count::new(counts!(@metric meters $(, $own_name, $own_help)?)), )*
                    $( $broker: Counter::default(), )*
                }
            }

            /// Messages accepted and not ended, of this many accepted.
            pub(crate) fn in_flight(&self, accepted: u64) -> u64 {
                let ended: u64 = [$( self.$end.get() ),*].into_iter().sum();
                (accepted + self.rejected.get()).saturating_sub(ended)
            }

            pub(crate) fn read(&self, accepted: u64, brokers: Vec<BrokerStats>) -> Stats {
                Stats {
                    in_flight: self.in_flight(accepted),
                    sent: accepted + self.rejected.get(),
                    $( $end: self.$end.get(), )*
                    $( $own: self.$own.total.get(), )*
                    $( $broker: self.$broker.get(), )*
                    brokers,
                }
            }
        }

        /// What is counted for one broker, by the task of its connection: each for the broker's
        /// metric and for the producer.
        pub(crate) struct BrokerCounts {
            all: Arc<Counts>,
            $( $broker: Metric, )*
        }

        impl BrokerCounts {
            /// `metric` makes a metric of the broker, given its name and its description.
            pub(crate) fn of(
                all: &Arc<Counts>,
                metric: impl Fn(&'static str, &'static str) -> Metric,
            ) -> Self {
                Self { all: all.clone(), $( $broker: metric($broker_name, $broker_help), )* }
            }

            $(
                pub(crate) fn $broker(&self, count: usize) {
                    self.all.$broker.add(count);
                    self.$broker.add(count);
                }
            )*
        }
    };
}

counts! {
    // They have one metric, which is labelled by outcome and topic: see `meters.rs`.
    ends {
        /// Messages stored.
        acked;
        /// Messages that ended as not stored.
        not_stored;
        /// Messages that ended as unknown.
        unknown;
        /// One-way messages written to a connection.
        oneway;
        /// Messages taken back, because the caller dropped the send before they left.
        withdrawn;
    }
    producer {
        /// Attempts that used up a retry; an attempt after a failed connect or a busy answer does not
        /// count.
        retries = "posthaste.retries", "Attempts that used up a retry";
        /// Requests that a server sent away because it was about to stop (`GO_AWAY`, 5.x). They go by a
        /// new connection, and use up no retry the first time.
        sent_away;
        /// Replies to requests that came when no request waited for them any more.
        late_replies = "posthaste.late_replies", "Replies that no request waited for";
        /// Transaction checks of brokers that were dropped because too many came at once.
        dropped_checks = "posthaste.dropped_checks", "Transaction checks dropped";
        /// Records of the message trace that were dropped, or that the trace topic did not take. Always
        /// 0 unless [`message_trace`](crate::ProducerBuilder::message_trace) is on.
        traces_lost = "posthaste.traces_lost", "Records of the message trace lost";
    }
    broker {
        /// Requests that a broker refused as busy.
        busy = "posthaste.broker.busy", "Requests refused as busy";
        /// Requests that carried messages to a broker, each try counted.
        requests = "posthaste.broker.requests", "Requests with messages";
        /// How many of these requests were batches.
        batches = "posthaste.broker.batches", "Requests that were batches";
        /// How many messages left in batches, each try counted.
        batched = "posthaste.broker.batched_messages", "Messages that left in batches";
    }
}
