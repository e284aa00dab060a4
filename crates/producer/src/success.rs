//! Messages that end well, many at a time.
//!
//! What all of them share is done once, however many answers a read has brought: to count them, to
//! give their permits back, and to let what waits behind them follow; and before any caller is
//! woken who might look.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::accepted::{Accepted, End, Epoch, Wake};
use crate::client::Client;
use crate::meters::{Good, Tally};

/// Messages, or batches, that have ended well since it was told last.
pub(crate) struct Successes {
    good: Good,
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

impl Successes {
    pub(crate) fn new(good: Good) -> Self {
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

    /// A message has ended well, unless it has ended before. To be told of by [`tell`](Self::tell).
    pub(crate) fn add(
        &mut self,
        client: &Client,
        accepted: &Arc<Accepted>,
        end: End,
        now: Instant,
    ) {
        let Some((wake, follow)) = client.lanes.end(accepted, || accepted.succeed(end)) else {
            return;
        };
        self.tally.add(client.meters(), self.good, accepted, now);
        *match accepted.epoch {
            Epoch::Even => &mut self.even,
            Epoch::Odd => &mut self.odd,
        } += accepted.count();
        self.places += accepted.permit.messages as usize;
        self.bytes += accepted.permit.bytes as usize;
        self.wakes.push_back(wake);
        self.next.extend(follow);
    }

    /// Tells everybody of them.
    pub(crate) fn tell(&mut self, client: &Arc<Client>) {
        if self.wakes.is_empty() {
            return;
        }
        self.tally.count(self.good);
        let [even, odd, places, bytes] =
            [&mut self.even, &mut self.odd, &mut self.places, &mut self.bytes].map(std::mem::take);
        match self.good {
            Good::Acked => client.counters().acked.add(even + odd),
            Good::Oneway => client.counters().oneway.add(even + odd),
        }
        client.intake.epochs.end(Epoch::Even, even);
        client.intake.epochs.end(Epoch::Odd, odd);
        client.let_follow(std::mem::take(&mut self.next));
        client.give_back(places, bytes);
        // If one panics, the next call of `tell` tells the others.
        while let Some(wake) = self.wakes.pop_front() {
            client.wake(wake);
        }
    }
}
