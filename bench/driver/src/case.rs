//! One thing to measure: a client, a server, a shape.

use std::fmt;

use bench_session::Shape;
use serde::{Deserialize, Serialize};

use crate::client::Client;

/// The three servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServerKind {
    /// Apache RocketMQ 5.5.0.
    Real,
    /// Answers at once, stores nothing.
    Null,
    /// Posthaste's own.
    Embedded,
}

/// What is sent, in the words of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// This many callers with one message each.
    InFlight(usize),
    /// One caller that keeps this many messages in flight.
    Pipeline(usize),
    /// This many callers that wait for no answer.
    Oneway(usize),
    /// This many batches of 32 at once.
    Batches(usize),
    /// This many callers, each in the order of one of 100 keys.
    Ordered(usize),
    /// This many messages at once to a broker that has just started.
    Burst(usize),
}

/// One thing to measure.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) server: ServerKind,
    pub(crate) scenario: Scenario,
    /// Bytes of a body.
    pub(crate) body: usize,
    pub(crate) client: Client,
}

impl Scenario {
    pub(crate) fn shape(self) -> Shape {
        match self {
            Self::InFlight(_) => Shape::Callers,
            Self::Pipeline(_) => Shape::Pipeline,
            Self::Oneway(_) => Shape::Oneway,
            Self::Batches(_) => Shape::Batch,
            Self::Ordered(_) => Shape::Ordered,
            Self::Burst(_) => Shape::Burst,
        }
    }

    /// Callers, or batches, at once.
    pub(crate) fn in_flight(self) -> usize {
        match self {
            Self::InFlight(n)
            | Self::Pipeline(n)
            | Self::Oneway(n)
            | Self::Batches(n)
            | Self::Ordered(n)
            | Self::Burst(n) => n,
        }
    }

    /// Messages of a batch that the caller makes.
    pub(crate) fn batch(self) -> usize {
        if matches!(self, Self::Batches(_)) { 32 } else { 1 }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InFlight(1) => write!(f, "one at a time"),
            Self::InFlight(n) => write!(f, "{n} in flight"),
            Self::Pipeline(n) => write!(f, "pipelined by one caller, {n} in flight"),
            Self::Oneway(n) => write!(f, "one-way, {n} callers"),
            Self::Batches(n) => write!(f, "explicit batches of 32, {n} in flight"),
            Self::Ordered(n) => write!(f, "ordered by 100 keys, {n} in flight"),
            Self::Burst(n) => write!(f, "burst of {n} on a cold broker"),
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real",
            Self::Null => "null",
            Self::Embedded => "embedded",
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} B/{}", self.server, self.scenario, self.body, self.client)
    }
}
