//! The unexpected end of a broker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::watch;

use crate::panicked;

/// Why a broker has stopped by itself, if it has. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Failure(Arc<watch::Sender<Option<String>>>);

impl Default for Failure {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Failure {
    /// Does what the broker cannot do without: when it panics, the broker has failed.
    pub(crate) fn watch(&self, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            let why = panicked::text(panic.as_ref());
            tracing::error!(why, "the broker's thread has ended; the broker stops");
            self.0.send_replace(Some(why.to_owned()));
        }
    }

    /// Why the broker has stopped.
    pub(crate) fn get(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Waits until it has; for ever if it never does.
    pub(crate) async fn wait(&self) -> String {
        let mut changes = self.0.subscribe();
        loop {
            if let Some(why) = changes.borrow_and_update().clone() {
                return why;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
