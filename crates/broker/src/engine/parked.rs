//! Pulls that wait for messages (long polling).

use std::collections::HashMap;

use posthaste_protocol::request::Pull;
use rustc_hash::FxHashMap;

use super::{Millis, SessionId, effects::Caller, filter::Filter};
use crate::location::QueueKey;

/// How many pulls may wait; one more is answered at once.
const MAX_PARKED: usize = 16_384;

/// How many of them may be one session's: twice as many as a topic can have queues.
const MAX_PARKED_OF_SESSION: usize = 2_048;

/// A pull that waits.
#[derive(Debug)]
pub(crate) struct ParkedPull {
    /// Who asks.
    pub(crate) caller: Caller,
    /// What is asked for.
    pub(crate) pull: Pull,
    /// Which messages are wanted.
    pub(crate) filter: Filter,
    /// The queue.
    pub(crate) queue: QueueKey,
    /// Everything before this offset has been looked at and is not wanted.
    pub(crate) resume_at: u64,
    /// When it is answered at the latest.
    pub(crate) deadline: Millis,
}

/// All pulls that wait.
#[derive(Debug, Default)]
pub(crate) struct ParkedPulls {
    by_queue: HashMap<QueueKey, Vec<ParkedPull>>,
    /// How many there are of each session that has one.
    by_session: FxHashMap<SessionId, usize>,
    count: usize,
    /// No pull's deadline is before this.
    earliest: Option<Millis>,
}

impl ParkedPulls {
    /// Whether no further pull of a session may wait.
    pub(crate) fn is_full(&self, session: SessionId) -> bool {
        let own = self.by_session.get(&session).copied().unwrap_or(0);
        self.count >= MAX_PARKED || own >= MAX_PARKED_OF_SESSION
    }

    /// Lets a pull wait.
    pub(crate) fn park(&mut self, parked: ParkedPull) {
        self.count += 1;
        *self.by_session.entry(parked.caller.session).or_default() += 1;
        let earliest = self.earliest.unwrap_or(parked.deadline);
        self.earliest = Some(earliest.min(parked.deadline));
        self.by_queue.entry(parked.queue).or_default().push(parked);
    }

    /// Takes out the pulls that wait for messages of a queue.
    pub(crate) fn of_queue(&mut self, queue: QueueKey) -> Vec<ParkedPull> {
        let taken = self.by_queue.remove(&queue).unwrap_or_default();
        self.count_out(&taken);
        taken
    }

    /// Takes out the pulls that have waited long enough.
    pub(crate) fn expired(&mut self, now: Millis) -> Vec<ParkedPull> {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return Vec::new();
        }
        let expired = self.extract(|parked| parked.deadline <= now);
        self.earliest = self.by_queue.values().flatten().map(|parked| parked.deadline).min();
        expired
    }

    /// Takes out the pulls that wait for messages of a topic.
    pub(crate) fn of_topic(&mut self, number: u16) -> Vec<ParkedPull> {
        self.extract(|parked| parked.queue.topic == number)
    }

    /// Forgets the pulls of a session that is gone.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.extract(|parked| parked.caller.session == session);
    }

    /// When the next one may have waited long enough.
    pub(crate) fn earliest(&self) -> Option<Millis> {
        self.earliest
    }

    fn extract(&mut self, unwanted: impl Fn(&ParkedPull) -> bool) -> Vec<ParkedPull> {
        let mut taken = Vec::new();
        for parked in self.by_queue.values_mut() {
            taken.extend(parked.extract_if(.., |parked| unwanted(parked)));
        }
        self.by_queue.retain(|_, parked| !parked.is_empty());
        self.count_out(&taken);
        taken
    }

    fn count_out(&mut self, taken: &[ParkedPull]) {
        self.count -= taken.len();
        for parked in taken {
            let session = parked.caller.session;
            if let Some(own) = self.by_session.get_mut(&session) {
                *own -= 1;
                if *own == 0 {
                    self.by_session.remove(&session);
                }
            }
        }
    }
}
