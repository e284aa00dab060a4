//! How many retries a producer may make in all.

use std::sync::atomic::{AtomicI64, Ordering};

/// Bounds the retries of a producer: when everything fails, retries must not multiply the load.
///
/// Every accepted message adds a fifth of a retry; what is not used is kept up to `MAX`, enough
/// for what is in flight when a broker dies.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Fifths of a retry.
    fifths: AtomicI64,
}

impl Budget {
    const COST: i64 = 5;
    const MAX: i64 = 4_000 * Self::COST;

    pub(crate) fn new() -> Self {
        Self { fifths: AtomicI64::new(Self::MAX) }
    }

    /// This many messages were accepted.
    pub(crate) fn earn(&self, messages: usize) {
        if self.fifths.load(Ordering::Relaxed) < Self::MAX {
            self.fifths.fetch_add(messages as i64, Ordering::Relaxed);
        }
    }

    /// Takes a retry, if one is left.
    pub(crate) fn take(&self) -> bool {
        self.fifths
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |fifths| {
                (fifths >= Self::COST).then_some(fifths - Self::COST)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_allows_a_retry_for_five_messages() {
        let budget = Budget::new();
        let mut burst = 0;
        while budget.take() {
            burst += 1;
        }
        assert_eq!(burst, 4_000);
        budget.earn(9);
        assert!(budget.take());
        assert!(!budget.take());
    }
}
