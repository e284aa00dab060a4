//! How a connection's task is told that enough messages wait, instead of each.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

const OFF: usize = usize::MAX;

/// While a task holds messages back for their batch to grow, one more is nothing that it has to know:
/// callers only look whether they are many by now. Waking it for each would cost more than sending.
///
/// Should the alarm not be heard, the task looks by itself a moment later, when holding back ends.
#[derive(Debug)]
pub(super) struct Alarm {
    /// The backlog at which it rings.
    at: AtomicUsize,
    rings: Notify,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { at: AtomicUsize::new(OFF), rings: Notify::new() }
    }

    /// Has it ring as soon as the backlog is so large. `false`: it is already.
    pub(super) fn set(&self, at: usize, backlog: &AtomicUsize) -> bool {
        // Either the caller sees the alarm, or this his message.
        self.at.store(at, Ordering::SeqCst);
        backlog.load(Ordering::SeqCst) < at
    }

    pub(super) fn unset(&self) {
        self.at.store(OFF, Ordering::Relaxed);
    }

    /// A message has been queued, which makes the backlog so large.
    #[inline]
    pub(super) fn queued(&self, backlog: usize, may_be_held: bool) {
        if !may_be_held || backlog >= self.at.load(Ordering::SeqCst) {
            self.ring();
        }
    }

    /// Something has been queued that cannot wait.
    pub(super) fn ring(&self) {
        let is_set = self.at.load(Ordering::SeqCst) != OFF;
        if is_set && self.at.swap(OFF, Ordering::SeqCst) != OFF {
            self.rings.notify_one();
        }
    }

    pub(super) async fn heard(&self) {
        self.rings.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it has rung since it was last asked.
    fn has_rung(alarm: &Alarm) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(alarm.heard()).poll(&mut context).is_ready()
    }

    #[test]
    fn it_rings_once_when_enough_wait() {
        let (alarm, backlog) = (Alarm::new(), AtomicUsize::new(3));
        assert!(!alarm.set(3, &backlog), "they are enough already");
        assert!(alarm.set(5, &backlog));
        alarm.queued(4, true);
        assert!(!has_rung(&alarm));
        alarm.queued(5, true);
        alarm.queued(6, true);
        assert!(has_rung(&alarm));
        assert!(!has_rung(&alarm));
    }

    #[test]
    fn what_cannot_wait_rings_it_while_it_is_set() {
        let (alarm, backlog) = (Alarm::new(), AtomicUsize::new(0));
        alarm.ring();
        alarm.queued(1000, false);
        assert!(!has_rung(&alarm), "nobody waits for it");
        for ring in [|alarm: &Alarm| alarm.queued(1, false), Alarm::ring] {
            assert!(alarm.set(1000, &backlog));
            ring(&alarm);
            assert!(has_rung(&alarm));
        }
        assert!(alarm.set(1000, &backlog));
        alarm.unset();
        alarm.ring();
        assert!(!has_rung(&alarm));
    }
}
