//! What the servers of a round have recorded: the truth that the callers' outcomes are held against.

use std::collections::HashMap;
use std::time::Duration;

use super::fault::Fault;

/// The number of a message in its round; it travels as a property.
pub(super) type Number = u32;

/// Everything that the servers of a round have seen and done.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) links: Vec<Link>,
    pub(super) requests: Vec<Request>,
    /// How often each message has come first in a request.
    pub(super) arrivals: HashMap<Number, usize>,
    /// In the order of storing.
    pub(super) copies: Vec<Copied>,
    pub(super) decisions: Vec<Decision>,
    /// Half messages that a producer was asked about.
    pub(super) asked: Vec<Number>,
    /// Messages that were replied to.
    pub(super) replied: Vec<Number>,
    /// What happened to servers and topics.
    pub(super) events: Vec<(Duration, String)>,
    /// What could not be read: a producer never writes such a thing.
    pub(super) unreadable: Vec<String>,
}

/// A connection to a broker.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) at: Duration,
    /// From here on nothing that it says can be relied on.
    pub(super) ended_at: Option<Duration>,
    /// The broker has let bytes lie unread on it.
    pub(super) stalled: bool,
}

/// A request with messages.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) at: Duration,
    pub(super) broker: usize,
    pub(super) link: usize,
    pub(super) opaque: i32,
    pub(super) oneway: bool,
    pub(super) numbers: Vec<Number>,
    pub(super) queue: i32,
    pub(super) fault: Option<Fault>,
    /// The code that it was refused with.
    pub(super) refused: Option<i32>,
    /// What was done with it, and when.
    pub(super) done: Vec<(Duration, String)>,
}

/// One copy of a message in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) number: Number,
    /// Its unique id.
    pub(super) id: String,
    /// The name of the broker.
    pub(super) broker: String,
    pub(super) topic: String,
    pub(super) queue: i32,
    pub(super) offset: i64,
    /// The request that brought it.
    pub(super) request: usize,
    pub(super) at: Duration,
    /// Stored, but the answer says that it is less firm.
    pub(super) weak: bool,
    /// The body is that of the message.
    pub(super) whole: bool,
}

/// How a half message ended, as its broker learned it.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) id: String,
    pub(super) code: i32,
    pub(super) from_check: bool,
}
