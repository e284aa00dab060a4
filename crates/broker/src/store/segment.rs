//! A segment: one redb file with the messages of a while, and with all facts as they were at its
//! last commit.
//!
//! Of the segments of a folder the newest alone is written, and its facts alone count. The oldest
//! messages go by deleting the oldest file: redb itself never makes a file much smaller.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use posthaste_protocol::stored::body_crc;
use redb::{AccessGuard, Database, ReadTransaction, ReadableDatabase, ReadableTable};
use redb::{ReadableTableMetadata, TableDefinition, WriteTransaction};
use rustc_hash::FxHashMap;

use super::file::DataFile;
use super::pieces::piece_lengths;
use super::{Block, Change, Commit, Fact, StoreError};
use crate::location::{MAX_OFFSET, QueueKey};

/// Physical offset of a block's first message; the block's checksum and records.
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
/// Physical offset of a block's first message, and a number; what its entry in `BLOCKS` leaves out.
const PIECES: TableDefinition<'_, (u64, u16), &[u8]> = TableDefinition::new("pieces");
/// A fact's key; the fact as JSON.
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
/// Physical offset of a queue's first message; where the queue ended before this segment.
const BASES: TableDefinition<'_, u64, u64> = TableDefinition::new("bases");
/// Figures about the rest.
const FIGURES: TableDefinition<'_, &str, u64> = TableDefinition::new("figures");

/// Figure: how the tables are laid out.
const FORMAT: &str = "format";
/// The layout that is written here.
const FORMAT_2: u64 = 2;
/// Figure: bytes of all blocks.
const BYTES: &str = "bytes";

/// Bytes of a block's checksum.
pub(super) const CHECKSUM: usize = 4;

/// Where a record has its physical offset.
const PLACE: usize = 28;

/// Left to itself, redb's cache grows past 1 GiB.
const CACHE: usize = 16 * 1024 * 1024;
/// Of a segment that is only read.
const SMALL_CACHE: usize = 1024 * 1024;

/// Where each queue ends.
pub(super) type Ends = FxHashMap<QueueKey, u64>;

/// Where a segment's bytes are.
#[derive(Debug, Clone)]
pub(super) enum Medium {
    File(PathBuf),
    #[cfg(test)]
    Memory(super::watched::Watched),
}

/// How a segment is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// For the first time since the start: everything that is in it is checked.
    Checked,
    /// Again.
    Again,
    /// Again, and it is only read from now on.
    AgainToRead,
    /// Again, and every read comes to the file.
    #[cfg(test)]
    Uncached,
}

/// One file.
#[derive(Debug)]
pub(super) struct Segment {
    medium: Medium,
    /// None only while it is opened again, or when that has failed.
    database: Option<Database>,
    /// Where queues ended before it.
    bases: Ends,
    /// Bytes of all blocks.
    pub(super) bytes: u64,
    /// Bytes of the file.
    pub(super) length: u64,
}

impl Medium {
    /// What people call it.
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.file_name().unwrap_or_default().display().to_string(),
            #[cfg(test)]
            Self::Memory(_) => "memory".to_owned(),
        }
    }

    /// How long the file is; in memory only its messages' `bytes` count.
    fn length(&self, bytes: u64) -> std::io::Result<u64> {
        match self {
            Self::File(path) => Ok(std::fs::metadata(path)?.len().max(bytes)),
            #[cfg(test)]
            Self::Memory(_) => Ok(bytes),
        }
    }

    fn is_empty(&self) -> std::io::Result<bool> {
        match self {
            Self::File(path) => Ok(std::fs::metadata(path)?.len() == 0),
            #[cfg(test)]
            Self::Memory(file) => Ok(file.length() == 0),
        }
    }

    fn open(&self, opening: Opening) -> Result<Database, redb::Error> {
        let cache = match opening {
            Opening::Checked | Opening::Again => CACHE,
            Opening::AgainToRead => SMALL_CACHE,
            #[cfg(test)]
            Opening::Uncached => 0,
        };
        let mut builder = Database::builder();
        builder.set_cache_size(cache).set_check_integrity_on_open(opening == Opening::Checked);
        if self.is_empty()? {
            return Err(redb::Error::Corrupted("it is empty".to_owned()));
        }
        match self {
            Self::File(path) => Ok(builder.create_with_backend(DataFile::open(path, false)?)?),
            #[cfg(test)]
            Self::Memory(file) => Ok(builder.create_with_backend(file.clone())?),
        }
    }
}

impl Segment {
    /// Writes a new file: no messages, and all facts of the segment before it.
    pub(super) fn create(
        path: &Path,
        before: Option<&Self>,
        ends: &Ends,
    ) -> Result<(), StoreError> {
        let medium = Medium::File(path.to_owned());
        guarded(&medium, || {
            let mut builder = Database::builder();
            let file = DataFile::open(path, true)?;
            let database = builder.set_cache_size(SMALL_CACHE).create_with_backend(file)?;
            fill(&database, before.map(Self::database).transpose()?, ends)?;
            Ok(database.close()?)
        })
    }

    pub(super) fn open(medium: Medium, opening: Opening) -> Result<Self, StoreError> {
        let (database, bases, bytes, length) = guarded(&medium, || {
            let database = medium.open(opening)?;
            let (bases, bytes) = read_figures(&database)?;
            Ok((Some(database), bases, bytes, medium.length(bytes)?))
        })?;
        // Opening it ends with a commit that is.
        Ok(Self { medium, database, bases, bytes, length })
    }

    /// Opens the segment in `file`, or creates it.
    #[cfg(test)]
    pub(super) fn in_memory(file: super::watched::Watched) -> Result<Self, StoreError> {
        let medium = Medium::Memory(file.clone());
        if medium.is_empty()? {
            guarded(&medium, || {
                let database = Database::builder().create_with_backend(file)?;
                fill(&database, None, &Ends::default())?;
                Ok(database.close()?)
            })?;
        }
        Self::open(medium, Opening::Checked)
    }

    /// Closes the file, which makes it as short as it can be, and opens it again.
    pub(super) fn open_again(&mut self, opening: Opening) -> Result<(), StoreError> {
        let closed = self.database.take();
        let (database, bytes) = guarded(&self.medium, || {
            drop(closed);
            let database = self.medium.open(opening)?;
            let (_, bytes) = read_figures(&database)?;
            Ok((database, bytes))
        })?;
        self.database = Some(database);
        self.bytes = bytes;
        self.length = self.medium.length(bytes)?;
        Ok(())
    }

    /// Whether a file in memory can be written; for one in a folder the folder is asked.
    pub(super) fn has_room(&self) -> bool {
        match &self.medium {
            Medium::File(_) => true,
            #[cfg(test)]
            Medium::Memory(file) => file.has_room(),
        }
    }

    /// Whether it could not be opened again.
    pub(super) fn is_closed(&self) -> bool {
        self.database.is_none()
    }

    /// Closes the file for good.
    pub(super) fn close(self) {
        let Self { medium, database, .. } = self;
        let closed = guarded(&medium, || database.map_or(Ok(()), |database| Ok(database.close()?)));
        if let Err(error) = closed {
            tracing::warn!(%error, "a file of the data folder does not close");
        }
    }

    /// Where a queue ended before this segment.
    pub(super) fn base(&self, queue: QueueKey) -> u64 {
        self.bases.get(&queue).copied().unwrap_or(0)
    }

    /// How many messages are in the segments from `self` to before `next`.
    pub(super) fn messages_until(&self, next: &Self) -> u64 {
        next.bases.iter().map(|(queue, end)| end.saturating_sub(self.base(*queue))).sum()
    }

    pub(super) fn facts(&self) -> Result<Vec<Fact>, StoreError> {
        self.read(|read| {
            let facts = read.open_table(FACTS)?;
            let fact = |entry: Result<(AccessGuard<'_, &str>, AccessGuard<'_, &[u8]>), _>| {
                let (key, text) = entry?;
                let damaged = |e| redb::Error::Corrupted(format!("fact {}: {e}", key.value()));
                serde_json::from_slice(text.value()).map_err(damaged)
            };
            facts.iter()?.map(fact).collect()
        })
    }

    /// Where each queue ends, as far as is known here.
    pub(super) fn ends(&self) -> Result<Ends, StoreError> {
        let mut ends = self.bases.clone();
        self.read(|read| {
            let blocks = read.open_table(BLOCKS)?;
            let mut from = 0;
            // From one queue to the next that has blocks.
            loop {
                let first = blocks.range(from..)?.next().transpose()?;
                let Some(queue) = first.and_then(|(key, _)| queue_of(key.value())) else {
                    return Ok(());
                };
                let last = queue.physical(MAX_OFFSET - 1);
                if let Some(block) = last_block(read, queue.physical(0), last)? {
                    ends.insert(queue, block.end());
                }
                from = last + 1;
            }
        })?;
        Ok(ends)
    }

    /// The block with the message at `offset`, which is in this segment.
    pub(super) fn block(&self, queue: QueueKey, offset: u64) -> Result<Block, StoreError> {
        let from = queue.physical(self.base(queue));
        let block = self.read(|read| last_block(read, from, queue.physical(offset)))?;
        block.filter(|block| offset < block.end()).ok_or_else(|| {
            let name = self.medium.name();
            StoreError::Damaged(format!("{name} has no message {offset} of a queue that had one"))
        })
    }

    /// Adds the blocks that begin before `offset`, newest first, until there is no `room`; says
    /// whether there was room for all.
    pub(super) fn add_blocks_before(
        &self,
        queue: QueueKey,
        offset: u64,
        room: &mut usize,
        found: &mut Vec<Block>,
    ) -> Result<bool, StoreError> {
        self.read(|read| {
            let blocks = read.open_table(BLOCKS)?;
            for entry in blocks.range(queue.physical(0)..queue.physical(offset))?.rev() {
                let (key, value) = entry?;
                let block = whole_block(read, key.value(), value.value())?;
                let was_last = block.bytes.len() >= *room;
                *room = room.saturating_sub(block.bytes.len());
                found.push(block);
                if was_last {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Takes everything in, or nothing.
    pub(super) fn write(&mut self, commit: Commit, ends: &mut Ends) -> Result<(), StoreError> {
        let mut bytes = self.bytes;
        guarded(&self.medium, || {
            let mut transaction = self.database()?.begin_write()?;
            // One sync more. A commit in one phase that is found damaged after a crash is taken for one
            // that was never completed, and what it stored would be gone without a word.
            transaction.set_two_phase_commit(true);
            put(&transaction, commit, ends, &mut bytes)?;
            transaction.commit()?;
            Ok(())
        })?;
        self.bytes = bytes;
        self.length = self.medium.length(bytes)?;
        Ok(())
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        guarded(&self.medium, || read(&self.database()?.begin_read()?))
    }

    fn database(&self) -> Result<&Database, redb::Error> {
        self.database.as_ref().ok_or(redb::Error::PreviousIo)
    }
}

/// Does something with a file. The error names the file; redb panics where it meets something that
/// it cannot have written, and that too ends here.
fn guarded<T>(
    medium: &Medium,
    work: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, StoreError> {
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(redb::Error::Corrupted(crate::panicked::text(panic.as_ref()).to_owned()))
    });
    done.map_err(|error| StoreError::of(&medium.name(), error))
}

/// Makes the tables of a new file: no messages, the facts of `before`, and where queues end.
fn fill(database: &Database, before: Option<&Database>, ends: &Ends) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(BLOCKS)?;
    transaction.open_table(PIECES)?;
    {
        let mut facts = transaction.open_table(FACTS)?;
        if let Some(before) = before {
            for fact in before.begin_read()?.open_table(FACTS)?.iter()? {
                let (key, text) = fact?;
                facts.insert(key.value(), text.value())?;
            }
        }
        let mut bases = transaction.open_table(BASES)?;
        for (queue, end) in ends {
            bases.insert(queue.physical(0), end)?;
        }
        transaction.open_table(FIGURES)?.insert(FORMAT, FORMAT_2)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Where queues ended before a file, and the bytes of its blocks.
fn read_figures(database: &Database) -> Result<(Ends, u64), redb::Error> {
    let read = database.begin_read()?;
    let figures = read.open_table(FIGURES)?;
    let figure = |name| Ok::<_, redb::Error>(figures.get(name)?.map_or(0, |figure| figure.value()));
    match figure(FORMAT)? {
        FORMAT_2 => {}
        other => {
            return Err(redb::Error::Corrupted(format!("its format {other} is not known here")));
        }
    }
    let table = read.open_table(BASES)?;
    let mut bases = Ends::default();
    bases.reserve(usize::try_from(table.len()?).unwrap_or(0));
    for base in table.iter()? {
        let (key, end) = base?;
        bases.extend(queue_of(key.value()).map(|queue| (queue, end.value())));
    }
    Ok((bases, figure(BYTES)?))
}

fn put(
    transaction: &WriteTransaction,
    commit: Commit,
    ends: &mut Ends,
    bytes: &mut u64,
) -> Result<(), redb::Error> {
    let (blocks, changes) = commit.into_parts();
    let mut table = transaction.open_table(BLOCKS)?;
    let mut pieces = transaction.open_table(PIECES)?;
    for (queue, block) in blocks {
        let key = queue.physical(block.first);
        let mut lengths = piece_lengths(CHECKSUM + block.bytes.len()).into_iter();
        let first = lengths.next().unwrap_or(CHECKSUM);
        seal(&block, table.insert_reserve(key, first)?.as_mut());
        let mut at = first - CHECKSUM;
        for (number, length) in (0..).zip(lengths) {
            pieces.insert((key, number), block.bytes.get(at..at + length).unwrap_or_default())?;
            at += length;
        }
        *bytes += block.bytes.len() as u64;
        ends.insert(queue, block.end());
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
    transaction.open_table(FIGURES)?.insert(BYTES, *bytes)?;
    Ok(())
}

/// The last block that begins in a range of physical offsets.
fn last_block(read: &ReadTransaction, from: u64, to: u64) -> Result<Option<Block>, redb::Error> {
    let blocks = read.open_table(BLOCKS)?;
    let Some(entry) = blocks.range(from..=to)?.next_back() else { return Ok(None) };
    let (key, value) = entry?;
    Ok(Some(whole_block(read, key.value(), value.value())?))
}

fn queue_of(physical: u64) -> Option<QueueKey> {
    let physical = i64::try_from(physical).ok()?;
    QueueKey::of_physical(physical).map(|(queue, _)| queue)
}

/// Writes what fits of a block to its place in the file: its checksum, and behind it the records.
fn seal(block: &Block, place: &mut [u8]) {
    if let Some((checksum, records)) = place.split_first_chunk_mut::<CHECKSUM>() {
        *checksum = body_crc(&block.bytes).to_be_bytes();
        let length = records.len();
        records.copy_from_slice(block.bytes.get(..length).unwrap_or_default());
    }
}

/// The block that was sealed, with what is left of it elsewhere.
fn whole_block(read: &ReadTransaction, key: u64, sealed: &[u8]) -> Result<Block, redb::Error> {
    let first = key % MAX_OFFSET;
    let damaged = || {
        redb::Error::Corrupted(format!("the messages from {first} on are not as they were written"))
    };
    let (crc, start) = sealed.split_first_chunk::<CHECKSUM>().ok_or_else(damaged)?;
    let mut bytes = start.to_vec();
    // A block in pieces has one record, which begins with its length.
    let length = start.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length));
    if length as usize > bytes.len() {
        for piece in read.open_table(PIECES)?.range((key, 0)..=(key, u16::MAX))? {
            bytes.extend_from_slice(piece?.1.value());
        }
    }
    // A record says where it lies: of another block, however sound, this is not the place.
    let place = bytes.get(PLACE..).and_then(|rest| rest.first_chunk::<8>());
    let is_here = place.is_some_and(|place| u64::from_be_bytes(*place) == key);
    match is_here && u32::from_be_bytes(*crc) == body_crc(&bytes) {
        true => Ok(Block { first, bytes: bytes.into() }),
        false => Err(damaged()),
    }
}
