//! What the broker keeps: messages in blocks, and facts.

pub(crate) mod block;
pub(crate) mod commit;
pub(crate) mod disk;
pub(crate) mod fact;
pub(crate) mod memory;

pub(crate) use block::{Block, Record};
pub(crate) use commit::{Change, Commit};
pub(crate) use disk::DiskStore;
pub(crate) use fact::Fact;
pub(crate) use memory::MemoryStore;

use std::io;
use std::path::Path;

use crate::error::BrokerError;
use crate::location::QueueKey;

/// Keeps messages and facts. Owned by the engine, hence by one thread.
pub(crate) trait Store: Send {
    /// The facts of an earlier run.
    fn facts(&self) -> Result<Vec<Fact>, StoreError>;

    /// Offset of the oldest message that is still there; the end when there is none.
    fn first_offset(&self, queue: QueueKey) -> u64;

    /// Offset that the queue's next message gets.
    fn end_offset(&self, queue: QueueKey) -> Result<u64, StoreError>;

    /// The block with the message at `offset`; `None` when there is no such message.
    fn block(&self, queue: QueueKey, offset: u64) -> Result<Option<Block>, StoreError>;

    /// The blocks that begin before `offset`, newest first: about as many as have `room` bytes, and
    /// one if there is any.
    fn blocks_before(
        &self,
        queue: QueueKey,
        offset: u64,
        room: usize,
    ) -> Result<Vec<Block>, StoreError>;

    /// How many requests make a turn long enough. A commit that costs little more for many wants many of
    /// them; where it costs next to nothing, answers that leave sooner keep the clients at work meanwhile.
    fn requests_per_turn(&self) -> usize;

    /// Whether there is no room for more messages.
    fn is_full(&self) -> bool;

    /// Takes everything in, or nothing. After an error it is not known which, and the store must
    /// not be used for another commit.
    fn commit(&mut self, commit: Commit) -> Result<(), StoreError>;
}

/// A store could not read or write.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// What was read is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// Another process has the file open.
    #[error("another process has it open")]
    InUse,
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Io(error) => match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    Self::Damaged(error.to_string())
                }
                _ => Self::Io(error),
            },
            redb::Error::Corrupted(text) => Self::Damaged(text),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl StoreError {
    /// Why a broker with its data in `folder` does not start.
    pub(crate) fn into_broker_error(self, folder: &Path) -> BrokerError {
        let folder = folder.to_owned();
        match self {
            Self::Damaged(reason) => BrokerError::DataDamaged { folder, reason },
            Self::InUse => BrokerError::DataInUse(folder),
            Self::Io(source) => BrokerError::DataFolder { folder, source },
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod watched;
