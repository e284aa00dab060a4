//! What a message takes from its producer when it is accepted.

use std::net::IpAddr;

use posthaste_protocol::id::UniqueId;
use tokio::sync::{AcquireError, Semaphore};

use crate::accepted::budget::Budget;
use crate::accepted::{Epoch, Epochs, Permit};
use crate::message::unique_id::UniqueIds;

/// Permits, ids and counts: what every send writes to.
///
/// They stand together, and apart from all that is only read (processors fetch memory in pairs of lines
/// of 64 bytes): a core fetches them from the core that sent before it, and nothing else with them.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Intake {
    /// Permits: of how many messages, and of how many bytes.
    messages: Semaphore,
    bytes: Semaphore,
    ids: UniqueIds,
    pub(crate) epochs: Epochs,
    pub(crate) budget: Budget,
}

impl Intake {
    pub(crate) fn new(max_messages: usize, max_bytes: usize, ip: IpAddr) -> Self {
        Self {
            messages: Semaphore::new(max_messages),
            bytes: Semaphore::new(max_bytes),
            ids: UniqueIds::new(ip),
            epochs: Epochs::default(),
            budget: Budget::new(),
        }
    }

    /// Takes a permit; `false` when there is no room for it now.
    pub(crate) fn try_take(&self, permit: Permit) -> bool {
        let Ok(places) = self.messages.try_acquire_many(permit.messages) else { return false };
        let Ok(bytes) = self.bytes.try_acquire_many(permit.bytes) else { return false };
        places.forget();
        bytes.forget();
        true
    }

    /// Takes a permit as soon as there is room for it.
    ///
    /// # Errors
    /// When nothing is accepted any more.
    ///
    /// # Cancellation
    /// Nothing is taken when the future is dropped.
    pub(crate) async fn take(&self, permit: Permit) -> Result<(), AcquireError> {
        let places = self.messages.acquire_many(permit.messages).await?;
        self.bytes.acquire_many(permit.bytes).await?.forget();
        places.forget();
        Ok(())
    }

    /// This many messages, whose permit is taken, are accepted: says when, and the id of the first.
    pub(crate) fn accept(&self, messages: usize) -> (Epoch, UniqueId) {
        let epoch = self.epochs.accept(messages);
        self.budget.earn(messages);
        (epoch, self.ids.next(messages))
    }

    /// Permits come back.
    pub(crate) fn give_back(&self, messages: usize, bytes: usize) {
        self.bytes.add_permits(bytes);
        self.messages.add_permits(messages);
    }

    /// No more permits: callers that wait for one are woken.
    pub(crate) fn close(&self) {
        self.messages.close();
        self.bytes.close();
    }
}
