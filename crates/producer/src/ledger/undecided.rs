//! What is known here of the transactions that have begun here: which are undecided, and what the
//! latest of the others were decided to be.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Receipt, TransactionState};

/// At most this many undecided transactions are remembered, for the report of `close`; and as many
/// decisions, for brokers that ask nevertheless.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Transactions(Mutex<TransactionTable>);

#[derive(Debug, Default)]
struct TransactionTable {
    /// By message id.
    undecided: HashMap<Arc<str>, Receipt>,
    decided: HashMap<Arc<str>, TransactionState>,
    /// The ids of the decided ones, the latest last.
    latest: VecDeque<Arc<str>>,
}

impl Transactions {
    pub(crate) fn begin(&self, receipt: &Receipt) {
        let mut known = self.known();
        if known.undecided.len() < MOST {
            known.undecided.insert(receipt.message_id().into(), receipt.clone());
        }
    }

    /// The application has decided, and the broker has confirmed it.
    pub(crate) fn decide(&self, message_id: &str, state: TransactionState) {
        let mut known = self.known();
        let id = known.undecided.remove_entry(message_id);
        let id = id.map_or_else(|| message_id.into(), |(id, _)| id);
        if known.decided.insert(Arc::clone(&id), state).is_none() {
            known.latest.push_back(id);
        }
        if known.latest.len() > MOST
            && let Some(oldest) = known.latest.pop_front()
        {
            known.decided.remove(&oldest);
        }
    }

    /// What the application has decided, if it was here and not long ago.
    pub(crate) fn decision(&self, message_id: &str) -> Option<TransactionState> {
        self.known().decided.get(message_id).copied()
    }

    /// The checker has decided.
    pub(crate) fn checked(&self, message_id: &str) {
        self.known().undecided.remove(message_id);
    }

    /// Takes the undecided ones out, the oldest first.
    pub(crate) fn take(&self) -> Vec<Receipt> {
        let undecided = std::mem::take(&mut self.known().undecided);
        let mut undecided: Vec<_> = undecided.into_values().collect();
        // Ids count up.
        undecided.sort_by(|one, next| one.message_id().cmp(next.message_id()));
        undecided
    }

    fn known(&self) -> MutexGuard<'_, TransactionTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_decisions_are_forgotten_first() {
        let transactions = Transactions::default();
        let state = TransactionState::Commit;
        for number in 0..=MOST {
            transactions.decide(&number.to_string(), state);
        }
        assert_eq!(transactions.decision("0"), None);
        assert_eq!(transactions.decision("1"), Some(state));
        assert_eq!(transactions.decision(&MOST.to_string()), Some(state));
        let known = transactions.known();
        assert_eq!((known.decided.len(), known.latest.len()), (MOST, MOST));
    }
}
