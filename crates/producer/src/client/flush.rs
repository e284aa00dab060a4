//! Flushing: awaiting the end of everything that was accepted before.

use std::sync::Arc;

use super::Client;
use crate::accepted::Epoch;
use crate::connection::Order;

impl Client {
    /// Awaits the end of everything that has been accepted; nothing lingers meanwhile.
    pub(crate) async fn flush(self: &Arc<Self>) {
        let epochs = &self.ledger.intake.epochs;
        let _flushing = epochs.begin_flush();
        let _turn = epochs.turn_to_flush().await;
        self.end_lingering();
        // Should an earlier flush have been dropped half way, its epoch is not over yet.
        self.all_ended_of(epochs.other()).await;
        self.all_ended_of(epochs.begin_other()).await;
    }

    async fn all_ended_of(&self, epoch: Epoch) {
        loop {
            let mut ended = std::pin::pin!(self.ledger.ended.notified());
            // Listen before looking, or the last end could slip in between.
            ended.as_mut().enable();
            if self.ledger.intake.epochs.is_over(epoch) {
                return;
            }
            ended.await;
        }
    }

    /// What lingers looks whether it still may.
    pub(crate) fn end_lingering(&self) {
        if self.ledger.config().linger.is_some() {
            for connection in self.connections() {
                connection.order(Order::Look);
            }
        }
    }
}
