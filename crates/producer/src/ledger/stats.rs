//! What a producer counts.

use crate::accepted::counter::Counter;

/// Counts of a producer since its start. Read with [`Producer::stats`](crate::Producer::stats).
///
/// `sent` = `acked` + `not_stored` + `unknown` + `oneway` + `withdrawn` + `in_flight`, up to what
/// changes while it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages accepted, and messages rejected before (not valid, no room), which count as
    /// `not_stored` too. Sends to a closed producer do not count.
    pub sent: u64,
    /// Messages stored.
    pub acked: u64,
    /// Messages that ended as not stored.
    pub not_stored: u64,
    /// Messages that ended as unknown.
    pub unknown: u64,
    /// One-way messages written to a connection.
    pub oneway: u64,
    /// Messages taken back, because the caller dropped the send before they left.
    pub withdrawn: u64,
    /// Messages accepted and not ended.
    pub in_flight: u64,
    /// Attempts that used up a retry; an attempt after a failed connect or a busy answer does not
    /// count.
    pub retries: u64,
    /// Requests that a broker refused as busy.
    pub busy: u64,
    /// Requests that a server sent away because it was about to stop (`GO_AWAY`, 5.x). They go by a
    /// new connection, and use up no retry the first time.
    pub sent_away: u64,
    /// Requests that carried messages to a broker, each try counted.
    pub requests: u64,
    /// How many of these requests were batches.
    pub batches: u64,
    /// How many messages left in batches, each try counted.
    pub batched: u64,
    /// Replies to requests that came when no request waited for them any more.
    pub late_replies: u64,
    /// Transaction checks of brokers that were dropped because too many came at once.
    pub dropped_checks: u64,
    /// Records of the message trace that were dropped, or that the trace topic did not take. Always
    /// 0 unless [`message_trace`](crate::ProducerBuilder::message_trace) is on.
    pub traces_lost: u64,
    /// Every broker address with a connection.
    pub brokers: Vec<BrokerStats>,
}

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

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Rejected before they were accepted; the others are counted by epoch.
    pub(crate) rejected: Counter,
    pub(crate) acked: Counter,
    pub(crate) not_stored: Counter,
    pub(crate) unknown: Counter,
    pub(crate) oneway: Counter,
    pub(crate) withdrawn: Counter,
    pub(crate) retries: Counter,
    pub(crate) busy: Counter,
    pub(crate) sent_away: Counter,
    pub(crate) requests: Counter,
    pub(crate) batches: Counter,
    pub(crate) batched: Counter,
    pub(crate) late_replies: Counter,
    pub(crate) dropped_checks: Counter,
    pub(crate) traces_lost: Counter,
}

impl Counters {
    /// Messages accepted and not ended, of this many accepted.
    pub(crate) fn in_flight(&self, accepted: u64) -> u64 {
        let ended = self.acked.get()
            + self.not_stored.get()
            + self.unknown.get()
            + self.oneway.get()
            + self.withdrawn.get();
        (accepted + self.rejected.get()).saturating_sub(ended)
    }

    pub(crate) fn read(&self, accepted: u64, brokers: Vec<BrokerStats>) -> Stats {
        Stats {
            in_flight: self.in_flight(accepted),
            sent: accepted + self.rejected.get(),
            acked: self.acked.get(),
            not_stored: self.not_stored.get(),
            unknown: self.unknown.get(),
            oneway: self.oneway.get(),
            withdrawn: self.withdrawn.get(),
            retries: self.retries.get(),
            busy: self.busy.get(),
            sent_away: self.sent_away.get(),
            requests: self.requests.get(),
            batches: self.batches.get(),
            batched: self.batched.get(),
            late_replies: self.late_replies.get(),
            dropped_checks: self.dropped_checks.get(),
            traces_lost: self.traces_lost.get(),
            brokers,
        }
    }
}
