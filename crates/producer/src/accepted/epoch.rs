//! Epochs: by them a flush knows what was accepted before it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use super::counter::Counter;

/// Messages are accepted in one of two epochs, which take turns: a flush begins the other one, and
/// awaits the end of the messages of the epoch before. The only cost per message is to remember its epoch.
#[derive(Debug, Default)]
pub(crate) struct Epochs {
    now: AtomicUsize,
    epochs: [EpochCounters; 2],
    /// One flush at a time.
    turn: Mutex<()>,
    /// How many flushes are under way or wait for their turn.
    flushing: AtomicUsize,
}

#[derive(Debug, Default)]
struct EpochCounters {
    accepted: Counter,
    ended: AtomicU64,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Epoch {
    #[default]
    Even,
    Odd,
}

impl Epoch {
    fn of(number: usize) -> Self {
        if number.is_multiple_of(2) { Self::Even } else { Self::Odd }
    }
}

impl Epochs {
    /// This many messages are accepted; says when.
    pub(crate) fn accept(&self, messages: usize) -> Epoch {
        let epoch = Epoch::of(self.now.load(Ordering::Acquire));
        self.of(epoch).accepted.add(messages);
        epoch
    }

    /// This many messages of an epoch have ended.
    pub(crate) fn end(&self, epoch: Epoch, messages: usize) {
        if messages > 0 {
            // Before the part that ends them looks whether that is awaited: the order of all
            // threads.
            self.of(epoch).ended.fetch_add(messages as u64, Ordering::SeqCst);
        }
    }

    /// How many messages have been accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.epochs.iter().map(|epoch| epoch.accepted.get()).sum()
    }

    /// A flush is under way from now on.
    pub(crate) fn begin_flush(&self) -> Flushing<'_> {
        self.flushing.fetch_add(1, Ordering::SeqCst);
        Flushing(self)
    }

    /// Waits for the flush's turn, which lasts as long as the guard.
    pub(crate) async fn turn_to_flush(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub(crate) fn is_flushing(&self) -> bool {
        self.flushing.load(Ordering::SeqCst) > 0
    }

    fn of(&self, epoch: Epoch) -> &EpochCounters {
        let [even, odd] = &self.epochs;
        match epoch {
            Epoch::Even => even,
            Epoch::Odd => odd,
        }
    }

    /// Begins the other epoch; gives the previous one.
    pub(crate) fn begin_other(&self) -> Epoch {
        Epoch::of(self.now.fetch_add(1, Ordering::AcqRel))
    }

    /// The epoch in which nothing is accepted now.
    pub(crate) fn other(&self) -> Epoch {
        Epoch::of(self.now.load(Ordering::Acquire) + 1)
    }

    pub(crate) fn is_over(&self, epoch: Epoch) -> bool {
        let counters = self.of(epoch);
        counters.ended.load(Ordering::SeqCst) >= counters.accepted.get()
    }
}

/// Counts a flush as under way.
pub(crate) struct Flushing<'a>(&'a Epochs);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.flushing.fetch_sub(1, Ordering::AcqRel);
    }
}
