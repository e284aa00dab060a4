//! Messages and facts on disk, in one redb file. A commit is synced before it counts.

use std::fs;
use std::path::Path;

use posthaste_protocol::stored::body_crc;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Block, Change, Commit, Fact, Store, StoreError};
use crate::error::BrokerError;
use crate::location::{MAX_OFFSET, QueueKey};

/// Physical offset of a block's first message; the block's checksum and records.
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
/// A fact's key; the fact as JSON.
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
/// Figures about the rest.
const FIGURES: TableDefinition<'_, &str, u64> = TableDefinition::new("figures");

/// Figure: how the tables are laid out.
const FORMAT: &str = "format";
/// The layout that is written and read here.
const FORMAT_1: u64 = 1;
/// Figure: bytes of all blocks.
const BYTES: &str = "bytes";

/// Bytes of a block's checksum.
const CHECKSUM: usize = 4;

/// Left to itself, redb's cache grows past 1 GiB.
const CACHE: usize = 16 * 1024 * 1024;
const FILE_NAME: &str = "broker.redb";

/// Keeps everything in one file.
#[derive(Debug)]
pub(crate) struct DiskStore {
    database: Database,
    bytes: u64,
    limit: u64,
}

impl DiskStore {
    /// Opens or creates the store in `folder`. It is full once its messages have `limit` bytes.
    pub(crate) fn open(folder: &Path, limit: u64) -> Result<Self, BrokerError> {
        let unusable = |source| BrokerError::DataFolder { folder: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(unusable)?;
        let database = redb::Builder::new().set_cache_size(CACHE).create(folder.join(FILE_NAME));
        let store = database
            .map_err(|error| StoreError::from(redb::Error::from(error)))
            .and_then(|database| Self::prepare(database, limit));
        store.map_err(|error| error.into_broker_error(folder))
    }

    /// Opens or creates the store in `backend`.
    #[cfg(test)]
    pub(crate) fn with_backend(
        backend: impl redb::StorageBackend,
        limit: u64,
    ) -> Result<Self, StoreError> {
        let database = redb::Builder::new().set_cache_size(CACHE).create_with_backend(backend);
        Self::prepare(database.map_err(redb::Error::from)?, limit)
    }

    fn prepare(database: Database, limit: u64) -> Result<Self, StoreError> {
        let bytes = match read_figures(&database)? {
            Some((FORMAT_1, bytes)) => bytes,
            Some((other, _)) => {
                return Err(StoreError::Damaged(format!("its format {other} is not known here")));
            }
            None => {
                create_tables(&database)?;
                0
            }
        };
        Ok(Self { database, bytes, limit })
    }

    /// The last block that begins in a range of physical offsets.
    fn last_block(&self, from: u64, to: u64) -> Result<Option<Block>, redb::Error> {
        let blocks = self.database.begin_read()?.open_table(BLOCKS)?;
        let Some(entry) = blocks.range(from..=to)?.next_back() else { return Ok(None) };
        let (key, value) = entry?;
        let first = key.value() % MAX_OFFSET;
        Ok(Some(unseal(first, value.value())?))
    }

    fn write(&mut self, commit: Commit) -> Result<(), redb::Error> {
        let (blocks, changes) = commit.into_parts();
        let transaction = self.database.begin_write()?;
        let mut bytes = self.bytes;
        {
            let mut table = transaction.open_table(BLOCKS)?;
            for (queue, block) in blocks {
                let length = CHECKSUM + block.bytes.len();
                let mut place = table.insert_reserve(queue.physical(block.first), length)?;
                seal(&block, place.as_mut());
                bytes += length as u64;
            }
            let mut table = transaction.open_table(FACTS)?;
            for change in changes {
                match change {
                    Change::Put(fact) => {
                        // Plain data with text keys: writing it as JSON cannot fail.
                        let text = serde_json::to_vec(&fact).unwrap_or_default();
                        table.insert(fact.key().as_str(), text.as_slice())?;
                    }
                    Change::Forget(key) => {
                        table.remove(key.as_str())?;
                    }
                }
            }
            transaction.open_table(FIGURES)?.insert(BYTES, bytes)?;
        }
        transaction.commit()?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Store for DiskStore {
    fn facts(&self) -> Result<Vec<Fact>, StoreError> {
        let read = || -> Result<Vec<Fact>, redb::Error> {
            let facts = self.database.begin_read()?.open_table(FACTS)?;
            let read =
                |entry: Result<(redb::AccessGuard<'_, &str>, redb::AccessGuard<'_, &[u8]>), _>| {
                    let (key, text) = entry?;
                    let damaged = |e| redb::Error::Corrupted(format!("fact {}: {e}", key.value()));
                    serde_json::from_slice(text.value()).map_err(damaged)
                };
            facts.iter()?.map(read).collect()
        };
        read().map_err(StoreError::from)
    }

    fn first_offset(&self, _queue: QueueKey) -> u64 {
        0
    }

    fn end_offset(&self, queue: QueueKey) -> Result<u64, StoreError> {
        let last = self.last_block(queue.physical(0), queue.physical(MAX_OFFSET - 1))?;
        Ok(last.map_or(0, |block| block.end()))
    }

    fn block(&self, queue: QueueKey, offset: u64) -> Result<Option<Block>, StoreError> {
        let block = self.last_block(queue.physical(0), queue.physical(offset))?;
        Ok(block.filter(|block| offset < block.end()))
    }

    fn blocks_before(
        &self,
        queue: QueueKey,
        offset: u64,
        room: usize,
    ) -> Result<Vec<Block>, StoreError> {
        let read = || -> Result<Vec<Block>, redb::Error> {
            let blocks = self.database.begin_read()?.open_table(BLOCKS)?;
            let (mut room, mut read) = (room, Vec::new());
            for entry in blocks.range(queue.physical(0)..queue.physical(offset))?.rev() {
                let (key, value) = entry?;
                let block = unseal(key.value() % MAX_OFFSET, value.value())?;
                let was_last = block.bytes.len() >= room;
                room = room.saturating_sub(block.bytes.len());
                read.push(block);
                if was_last {
                    break;
                }
            }
            Ok(read)
        };
        read().map_err(StoreError::from)
    }

    fn requests_per_turn(&self) -> usize {
        4_096
    }

    fn is_full(&self) -> bool {
        self.bytes >= self.limit
    }

    fn commit(&mut self, commit: Commit) -> Result<(), StoreError> {
        self.write(commit).map_err(StoreError::from)
    }
}

/// The format, and the bytes of all blocks; `None` of a store that is new.
fn read_figures(database: &Database) -> Result<Option<(u64, u64)>, redb::Error> {
    let figures = match database.begin_read()?.open_table(FIGURES) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        figures => figures?,
    };
    let read = |name| Ok::<_, redb::Error>(figures.get(name)?.map_or(0, |figure| figure.value()));
    Ok(Some((read(FORMAT)?, read(BYTES)?)))
}

fn create_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(BLOCKS)?;
    transaction.open_table(FACTS)?;
    transaction.open_table(FIGURES)?.insert(FORMAT, FORMAT_1)?;
    transaction.commit()?;
    Ok(())
}

/// Writes a block to its place in the file: its checksum, and behind it the block.
fn seal(block: &Block, place: &mut [u8]) {
    if let Some((checksum, records)) = place.split_first_chunk_mut::<CHECKSUM>() {
        *checksum = body_crc(&block.bytes).to_be_bytes();
        records.copy_from_slice(&block.bytes);
    }
}

/// The block that was sealed.
fn unseal(first: u64, sealed: &[u8]) -> Result<Block, redb::Error> {
    match sealed.split_first_chunk::<CHECKSUM>() {
        Some((crc, bytes)) if u32::from_be_bytes(*crc) == body_crc(bytes) => {
            Ok(Block { first, bytes: bytes.to_vec().into() })
        }
        _ => Err(redb::Error::Corrupted(format!("the checksum of the block at {first} is wrong"))),
    }
}
