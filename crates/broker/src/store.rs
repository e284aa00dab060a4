//! What the broker keeps: messages in blocks, and facts.

pub(crate) mod block;
pub(crate) mod commit;
pub(crate) mod disk;
pub(crate) mod fact;
mod file;
mod folder;
pub(crate) mod memory;
mod pieces;
mod segment;
mod topic_config;

pub(crate) use block::{Block, Record};
pub(crate) use commit::{Change, Commit};
pub(crate) use disk::DiskStore;
pub(crate) use fact::Fact;
pub(crate) use memory::MemoryStore;
pub(crate) use topic_config::{Attributes, TopicConfig};

use std::io;
use std::path::Path;

use crate::error::BrokerError;
use crate::location::QueueKey;

/// Bytes of the messages of one commit; the request that reaches them is its last one.
const MAX_COMMIT: usize = 4 * 1024 * 1024;

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

    /// A turn takes no further requests once its messages have this many bytes.
    fn bytes_per_turn(&self) -> usize {
        MAX_COMMIT
    }

    /// Why there is no room for more messages, if there is none.
    fn full(&self) -> Option<Full>;

    /// How many messages have been dropped since the start to make room for others.
    fn dropped(&self) -> u64;

    /// Finds out whether a full disk has room again.
    fn look_for_room(&mut self) {}

    /// Goes on after a commit that [found no room](StoreError::NoRoom), as a restart would; the store
    /// is full until there is room.
    ///
    /// # Errors
    /// When that cannot be. Unless it is for want of room, the store must not be used for another commit.
    fn open_again(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Takes everything in, or nothing. After an error it is not known which, and the store must
    /// not be used for another commit.
    fn commit(&mut self, commit: Commit) -> Result<(), StoreError>;
}

/// How much is kept, and what happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Bytes of all files.
    pub(crate) bytes: u64,
    /// What happens when there are that many.
    pub(crate) when_full: WhenFull,
}

/// What becomes of a new message when the data limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// It is stored, and the oldest messages of all topics are dropped.
    #[default]
    Drop,
    /// It is refused, with code 14.
    Refuse,
}

/// Why no more messages are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The data limit is reached, and nothing is to be dropped.
    Limit,
    /// The disk is full.
    Disk,
}

/// A store could not read or write.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The disk is full. Nothing was written, or all was.
    #[error("there is no room on the disk")]
    NoRoom,
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

impl StoreError {
    /// What is wrong with the file of this name.
    fn of(file: &str, error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Io(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom,
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    Self::Damaged(format!("{file}: {error}"))
                }
                kind => Self::Io(io::Error::new(kind, format!("{file}: {error}"))),
            },
            redb::Error::Corrupted(text) => Self::Damaged(format!("{file}: {text}")),
            error @ (redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::UpgradeRequired(_)) => Self::Damaged(format!("{file}: {error}")),
            other => Self::Io(io::Error::other(format!("{file}: {other}"))),
        }
    }

    /// Why a broker with its data in `folder` does not start.
    pub(crate) fn into_broker_error(self, folder: &Path) -> BrokerError {
        let folder = folder.to_owned();
        match self {
            Self::Damaged(reason) => BrokerError::DataDamaged { folder, reason },
            Self::InUse => BrokerError::DataInUse(folder),
            Self::NoRoom => {
                BrokerError::DataFolder { folder, source: io::ErrorKind::StorageFull.into() }
            }
            Self::Io(source) => BrokerError::DataFolder { folder, source },
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod watched;
