//! What the callers of a round did, and what they learned.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use posthaste::{ErrorKind, Outcome, Receipt, SendError, SendStatus};

use super::record::Number;
use super::world::World;

/// How a message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Verb {
    Send,
    Handle,
    Callback,
    TryEnqueue,
    Oneway,
    Batch,
    Keyed,
    GivenQueue,
    OrderedQueue,
    SelectedQueue,
    Delayed,
    Begin,
    Request,
    Blocking,
}

impl Verb {
    pub(super) const ALL: [Self; 14] = [
        Self::Send,
        Self::Handle,
        Self::Callback,
        Self::TryEnqueue,
        Self::Oneway,
        Self::Batch,
        Self::Keyed,
        Self::GivenQueue,
        Self::OrderedQueue,
        Self::SelectedQueue,
        Self::Delayed,
        Self::Begin,
        Self::Request,
        Self::Blocking,
    ];

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Handle => "enqueue, handle",
            Self::Callback => "enqueue, callback",
            Self::TryEnqueue => "try_enqueue",
            Self::Oneway => "send_oneway",
            Self::Batch => "send_batch",
            Self::Keyed => "ordered by key",
            Self::GivenQueue => "given queue",
            Self::OrderedQueue => "ordered queue",
            Self::SelectedQueue => "selected queue",
            Self::Delayed => "delayed",
            Self::Begin => "begin, commit, rollback",
            Self::Request => "request",
            Self::Blocking => "blocking",
        }
    }
}

/// What a message has to keep its order with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Unit {
    Key(String),
    /// Several keys share a queue: only what is in the same one is in order.
    Selected(u64),
    Queue(String),
}

/// Where a receipt says that a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) broker: String,
    pub(super) queue: i32,
    pub(super) offset: i64,
    pub(super) weak: bool,
}

impl From<&Receipt> for Place {
    fn from(receipt: &Receipt) -> Self {
        Self {
            id: receipt.message_id().to_owned(),
            broker: receipt.queue().broker().to_owned(),
            queue: receipt.queue().id(),
            offset: receipt.queue_offset(),
            weak: receipt.status() != SendStatus::Stored,
        }
    }
}

/// How a call ended, as its caller learned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Acked(Vec<Place>),
    /// A one-way message was written.
    Written,
    Failed {
        kind: ErrorKind,
        outcome: Outcome,
        /// Attempts with an unknown end that it tells of.
        unknown_attempts: usize,
        text: String,
    },
    /// The reply to the request of this number came.
    Replied(Option<Number>),
    /// No reply came; the request is stored here.
    Unreplied(Place),
    /// The caller did not wait for it.
    Dropped,
}

impl From<SendError> for End {
    fn from(error: SendError) -> Self {
        let unknown = error.attempts().iter().filter(|one| one.outcome == Outcome::Unknown);
        Self::Failed {
            kind: error.kind(),
            outcome: error.outcome(),
            unknown_attempts: unknown.count(),
            text: error.to_string(),
        }
    }
}

impl From<Result<Receipt, SendError>> for End {
    fn from(result: Result<Receipt, SendError>) -> Self {
        result.map_or_else(Self::from, |receipt| Self::Acked(vec![Place::from(&receipt)]))
    }
}

/// One call with a message, or with several that belong together.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) verb: Verb,
    pub(super) numbers: Range<Number>,
    pub(super) topic: String,
    pub(super) unit: Option<Unit>,
    /// Broker and queue that it has to go to.
    pub(super) given: Option<(String, i32)>,
    pub(super) begun: Duration,
    pub(super) timeout: Duration,
    /// When the caller learned that it was accepted, for verbs that say so.
    pub(super) accepted: Option<Duration>,
    pub(super) ends: Vec<(Duration, End)>,
    /// What its caller said of the transaction, and what came of it.
    pub(super) decided: Option<Decided>,
    /// It was sent when all faults were over: it has to be stored.
    pub(super) calm: bool,
    /// Its own caller made it go wrong.
    pub(super) spoiled: bool,
}

/// How a caller ended a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decided {
    /// When its caller learned it.
    pub(super) at: Duration,
    pub(super) commit: bool,
    /// `None`: confirmed.
    pub(super) failed: Option<Outcome>,
}

impl Call {
    pub(super) fn deadline(&self) -> Duration {
        self.begun + self.timeout
    }

    pub(super) fn end(&self) -> Option<&(Duration, End)> {
        self.ends.first()
    }
}

/// All calls of a round.
#[derive(Clone)]
pub(super) struct Journal {
    world: Arc<World>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    next: Number,
}

/// A call that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallId(usize);

impl Journal {
    pub(super) fn new(world: Arc<World>) -> Self {
        Self { world, state: Arc::default() }
    }

    /// Numbers for this many messages.
    pub(super) fn numbers(&self, count: Number) -> Range<Number> {
        let mut state = self.state();
        let first = state.next;
        state.next += count;
        first..first + count
    }

    /// A call begins now.
    pub(super) fn begin(
        &self,
        verb: Verb,
        numbers: Range<Number>,
        topic: &str,
        timeout: Duration,
    ) -> CallId {
        let mut state = self.state();
        state.calls.push(Call {
            verb,
            numbers,
            topic: topic.to_owned(),
            unit: None,
            given: None,
            begun: self.world.now(),
            timeout,
            accepted: None,
            ends: Vec::new(),
            decided: None,
            calm: false,
            spoiled: false,
        });
        CallId(state.calls.len() - 1)
    }

    /// Says more of a call.
    pub(super) fn note(&self, call: CallId, note: impl FnOnce(&mut Call)) {
        if let Some(call) = self.state().calls.get_mut(call.0) {
            note(call);
        }
    }

    pub(super) fn accepted(&self, call: CallId) {
        let now = self.world.now();
        self.note(call, |call| call.accepted = Some(now));
    }

    /// A caller learns how a transaction ended.
    pub(super) fn decided(&self, call: CallId, commit: bool, failed: Option<Outcome>) {
        let decided = Decided { at: self.world.now(), commit, failed };
        self.note(call, |call| call.decided = Some(decided));
    }

    /// A caller learns how a call ended.
    pub(super) fn end(&self, call: CallId, end: impl Into<End>) {
        let (now, end) = (self.world.now(), end.into());
        self.note(call, |call| call.ends.push((now, end)));
    }

    /// Calls that have not ended.
    pub(super) fn open(&self) -> usize {
        self.state().calls.iter().filter(|call| call.ends.is_empty()).count()
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
