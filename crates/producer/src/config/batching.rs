//! How large batches are, and how long messages wait for theirs.

use std::time::Duration;

use super::Config;

/// Most bytes of a batch, as the broker stores it.
const MOST_BYTES: usize = 1024 * 1024;

/// For how long messages wait on purpose for more of their kind, and up to how many bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linger {
    pub(crate) time: Duration,
    pub(crate) max_bytes: usize,
}

impl Config {
    /// Most stored bytes of a batch: never over the broker's own limit, which is at least the largest
    /// message's. 0 when batching is off.
    pub(crate) fn batch_bytes(&self) -> usize {
        if self.batching { MOST_BYTES.min(self.max_message_size) } else { 0 }
    }
}
