//! Flushing: awaiting the end of everything that was accepted before.

use std::sync::Arc;

use super::Client;
use crate::connection::TaskOrder;

impl Client {
    /// Awaits the end of everything that has been accepted; nothing lingers meanwhile.
    pub(crate) async fn flush(self: &Arc<Self>) {
        let epochs = &self.ledger.intake.epochs;
        let _flushing = epochs.begin_flush();
        let _turn = epochs.turn_to_flush().await;
        self.end_lingering();
        // Should an earlier flush have been dropped half way, its epoch is not over yet.
        let earlier = epochs.other();
        self.ledger.all_ended(|| epochs.is_over(earlier)).await;
        let present = epochs.begin_other();
        self.ledger.all_ended(|| epochs.is_over(present)).await;
    }

    /// What lingers looks whether it still may.
    pub(crate) fn end_lingering(&self) {
        if self.ledger.config().linger.is_some() {
            for connection in self.connections() {
                connection.order(TaskOrder::Look);
            }
        }
    }
}
