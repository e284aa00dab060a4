//! Messages that end well, many at a time.
//!
//! What all of them share is done once, however many answers a read has brought: to count them, to
//! give their permits back, and to let what waits behind them follow; and before any caller is
//! woken who might look.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::accepted::{Accepted, End, Epoch, Wake};
use crate::ledger::Ledger;
use crate::observers::counts::GoodEnd;
use crate::observers::meters::Tally;

/// Messages, or batches, that have ended well since the last report.
pub(crate) struct GoodEnds {
    good: GoodEnd,
    tally: Tally,
    /// How many messages, by their epoch.
    even: usize,
    odd: usize,
    /// What their permits were.
    places: usize,
    bytes: usize,
    wakes: VecDeque<Wake>,
    /// Messages that may leave now.
    next: Vec<Arc<Accepted>>,
}

impl GoodEnds {
    pub(crate) fn new(good: GoodEnd) -> Self {
        Self {
            good,
            tally: Tally::default(),
            even: 0,
            odd: 0,
            places: 0,
            bytes: 0,
            wakes: VecDeque::new(),
            next: Vec::new(),
        }
    }

    /// A message has ended well, unless it has ended before. [`tell`](Self::tell) reports it.
    pub(crate) fn add(
        &mut self,
        ledger: &Ledger,
        accepted: &Arc<Accepted>,
        end: End,
        now: Instant,
    ) {
        let Some((wake, follow)) = ledger.lanes.end(accepted, || accepted.succeed(end)) else {
            return;
        };
        self.tally.add(ledger.meters(), self.good, accepted, now);
        *match accepted.epoch {
            Epoch::Even => &mut self.even,
            Epoch::Odd => &mut self.odd,
        } += accepted.count();
        self.places += accepted.permit.messages as usize;
        self.bytes += accepted.permit.bytes as usize;
        self.wakes.push_back(wake);
        self.next.extend(follow);
    }

    /// Tells everybody of them. What waits behind them is handed to `follow`, if there is anything.
    pub(crate) fn tell(&mut self, ledger: &Ledger, follow: impl FnOnce(Vec<Arc<Accepted>>)) {
        if self.wakes.is_empty() {
            return;
        }
        self.tally.count(self.good);
        let [even, odd, places, bytes] =
            [&mut self.even, &mut self.odd, &mut self.places, &mut self.bytes].map(std::mem::take);
        match self.good {
            GoodEnd::Acked => ledger.counts().acked.add(even + odd),
            GoodEnd::Oneway => ledger.counts().oneway.add(even + odd),
        }
        ledger.intake.epochs.end(Epoch::Even, even);
        ledger.intake.epochs.end(Epoch::Odd, odd);
        if !self.next.is_empty() {
            follow(std::mem::take(&mut self.next));
        }
        ledger.give_back(places, bytes);
        // If one panics, the next call of `tell` tells the others.
        while let Some(wake) = self.wakes.pop_front() {
            ledger.wake(wake);
        }
    }
}
