//! What all parts of a round share: its time, what is true of topics and brokers, and what name servers
//! say of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fault::{Counts, Fault, Profile};
use super::record::Record;

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) begun: Instant,
    pub(super) profile: Profile,
    pub(super) counts: Arc<Counts>,
    calm: AtomicBool,
    /// Things that brokers still have to do.
    pending: AtomicUsize,
    record: Mutex<Record>,
    land: Mutex<Land>,
}

/// Topics and brokers, as they are and as name servers say.
#[derive(Debug, Default)]
pub(super) struct Land {
    pub(super) topics: Vec<Topic>,
    pub(super) brokers: Vec<Address>,
}

#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) is: Queues,
    pub(super) said: Queues,
}

/// Queues of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queues {
    pub(super) exists: bool,
    /// By broker.
    pub(super) counts: Vec<i32>,
}

#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) name: String,
    pub(super) is: SocketAddr,
    pub(super) said: SocketAddr,
}

impl World {
    pub(super) fn new(seed: u64, profile: Profile, counts: Arc<Counts>) -> Arc<Self> {
        Arc::new(Self {
            seed,
            begun: Instant::now(),
            profile,
            counts,
            calm: AtomicBool::new(false),
            pending: AtomicUsize::new(0),
            record: Mutex::default(),
            land: Mutex::default(),
        })
    }

    /// Since the round began.
    pub(super) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn land(&self) -> MutexGuard<'_, Land> {
        self.land.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No fault begins any more.
    pub(super) fn be_calm(&self) {
        self.calm.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    /// A fault happens now.
    pub(super) fn happens(&self, fault: Fault) {
        self.counts.add(fault);
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        let event = (self.now(), text.into());
        self.record().events.push(event);
    }

    /// Something is under way until the guard is dropped.
    pub(super) fn under_way(self: &Arc<Self>) -> UnderWay {
        self.pending.fetch_add(1, Ordering::SeqCst);
        UnderWay(self.clone())
    }

    /// Whether brokers still have something to do.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.load(Ordering::SeqCst) == 0
    }
}

pub(super) struct UnderWay(Arc<World>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::SeqCst);
    }
}
