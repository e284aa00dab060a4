//! Transactions: what becomes of a half message.

/// What is decided about a half message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionState {
    /// It becomes an ordinary message.
    Commit,
    /// It is dropped.
    Rollback,
    /// It is not known yet; the broker asks again.
    Unknown,
}
