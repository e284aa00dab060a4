//! How late the machine itself is, to judge by it whether a send ends late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// How long the timer sleeps whose lateness is measured.
const TIMER: Duration = Duration::from_millis(10);

/// A timer that sleeps again and again beside the producer; it ends with this.
pub(crate) struct Stall {
    /// In microseconds.
    longest: Arc<AtomicU64>,
    timer: AbortHandle,
}

impl Stall {
    pub(crate) fn watch(runtime: &Handle) -> Self {
        let longest = Arc::<AtomicU64>::default();
        let measured = Arc::clone(&longest);
        let timer = runtime.spawn(async move {
            loop {
                let begun = Instant::now();
                tokio::time::sleep(TIMER).await;
                let late = begun.elapsed().saturating_sub(TIMER);
                let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
                measured.fetch_max(late, Ordering::Relaxed);
            }
        });
        Self { longest, timer: timer.abort_handle() }
    }

    /// The longest time by which the timer was late.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Ordering::Relaxed))
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.timer.abort();
    }
}
