//! A request and its answer, as they went over a connection.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::frame::WireFrame;

/// A request and its answer, as they went over a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireExchange {
    /// Its number among those of the connection, from 1. One that is no longer kept leaves a gap.
    pub number: u64,
    /// Who has sent the request. Brokers ask, too: about transactions, and to tell a consumer that its
    /// group has changed.
    pub asked_by: WireSide,
    /// The number by which the answer finds the request (`opaque`); of bytes that are no frame, 0.
    pub opaque: i32,
    /// Whether the request says that no answer is wanted.
    pub is_oneway: bool,
    /// The request; `None` of an answer to a request that came before the log was on, that was answered
    /// before, or that there never was.
    pub request: Option<Arc<WireFrame>>,
    /// The answer; `None` while there is none.
    pub answer: Option<Arc<WireFrame>>,
    /// The time from the request's arrival to the answer's way into the connection.
    pub took: Option<Duration>,
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireSide {
    /// The client: producer, consumer or tool.
    Client,
    /// The broker, or the name server.
    Broker,
}

impl WireSide {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::Broker,
            Self::Broker => Self::Client,
        }
    }
}

impl WireExchange {
    /// The topic that the request names.
    pub fn topic(&self) -> Option<&str> {
        self.request.as_ref()?.fields.get("topic")
    }

    /// When it began, as far as it is known: with the answer, if the request is not kept.
    pub fn begun_at(&self) -> SystemTime {
        let first = self.request.as_ref().or(self.answer.as_ref());
        first.map_or(SystemTime::UNIX_EPOCH, |frame| frame.at)
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        let frames = [&self.request, &self.answer].into_iter().flatten();
        size_of::<Self>() + frames.map(|frame| frame.size()).sum::<usize>()
    }
}
