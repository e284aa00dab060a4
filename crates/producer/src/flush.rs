//! Flushing: awaiting the end of everything that was accepted before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Mutex;

use crate::client::{Client, Phase};
use crate::connection::Order;
use crate::stats::Counter;

/// Messages are accepted in one of two epochs, which take turns: a flush begins the other one, and
/// awaits the end of those of the one before. So it costs a message nothing but to know its epoch.
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
    /// So many messages are accepted; says when.
    pub(crate) fn accept(&self, messages: usize) -> Epoch {
        let epoch = Epoch::of(self.now.load(Ordering::Acquire));
        self.of(epoch).accepted.add(messages);
        epoch
    }

    /// So many messages of an epoch have ended.
    pub(crate) fn end(&self, epoch: Epoch, messages: usize) {
        if messages > 0 {
            // Before whoever ends them looks whether that is awaited: the order of all threads.
            self.of(epoch).ended.fetch_add(messages as u64, Ordering::SeqCst);
        }
    }

    /// How many messages have been accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.epochs.iter().map(|epoch| epoch.accepted.get()).sum()
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

    /// Begins the other epoch; gives the one before.
    fn turn(&self) -> Epoch {
        Epoch::of(self.now.fetch_add(1, Ordering::AcqRel))
    }

    /// The epoch in which nothing is accepted now.
    fn other(&self) -> Epoch {
        Epoch::of(self.now.load(Ordering::Acquire) + 1)
    }

    fn is_over(&self, epoch: Epoch) -> bool {
        let counters = self.of(epoch);
        counters.ended.load(Ordering::SeqCst) >= counters.accepted.get()
    }
}

/// Counts a flush as under way.
struct Flushing<'a>(&'a Epochs);

impl<'a> Flushing<'a> {
    fn begin(epochs: &'a Epochs) -> Self {
        epochs.flushing.fetch_add(1, Ordering::SeqCst);
        Self(epochs)
    }
}

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.flushing.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Client {
    /// Awaits the end of everything that has been accepted; nothing lingers meanwhile.
    pub(crate) async fn flush(self: &Arc<Self>) {
        let _flushing = Flushing::begin(&self.intake.epochs);
        let _turn = self.intake.epochs.turn.lock().await;
        self.end_lingering();
        // Should an earlier flush have been dropped half way, its epoch is not over yet.
        self.all_ended_of(self.intake.epochs.other()).await;
        let before = self.intake.epochs.turn();
        self.all_ended_of(before).await;
    }

    async fn all_ended_of(&self, epoch: Epoch) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // Listen before looking, or the last end could slip in between.
            ended.as_mut().enable();
            if self.intake.epochs.is_over(epoch) {
                return;
            }
            ended.await;
        }
    }

    /// What lingers looks whether it still may.
    pub(crate) fn end_lingering(&self) {
        if self.config().linger.is_some() {
            for connection in self.connections() {
                connection.order(Order::Look);
            }
        }
    }

    /// Whether messages wait for more of their kind, where a time for that is set.
    pub(crate) fn lingers(&self) -> bool {
        !self.intake.epochs.is_flushing() && self.phase() == Phase::Open
    }

    /// Whether somebody awaits ends.
    pub(crate) fn ends_are_awaited(&self) -> bool {
        self.phase() != Phase::Open || self.intake.epochs.is_flushing()
    }
}
