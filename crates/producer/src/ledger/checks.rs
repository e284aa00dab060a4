//! How many questions of brokers about transactions are answered at once, and how many wait.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Questions of brokers: the ones that are being answered, and the ones that wait.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) running: Arc<Semaphore>,
    /// Room for questions that run and questions that wait. A question without room is dropped: the broker
    /// asks again.
    pub(crate) room: Arc<Semaphore>,
}

impl Checks {
    /// This many run at once, and this many wait.
    pub(crate) fn new(running: usize, waiting: usize) -> Self {
        let semaphore =
            |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self { running: semaphore(running), room: semaphore(running.saturating_add(waiting)) }
    }
}
