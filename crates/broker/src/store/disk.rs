//! Messages and facts on disk, in a few redb files. A commit is synced before it counts.
//!
//! Messages go into the newest file until that has its share of the data limit. Then a new one
//! begins, and what is too much is deleted with the oldest one.

use std::collections::VecDeque;
use std::path::Path;

use super::folder::{Folder, sync_folder};
use super::segment::{Ends, Medium, Opening, Segment};
use super::{Block, Commit, Fact, Full, Limit, MAX_COMMIT, Store, StoreError, WhenFull};
use crate::error::BrokerError;
use crate::location::QueueKey;

/// A file takes this part of the data limit: so much is deleted at once.
const SHARE: u64 = 16;

/// Keeps everything in the files of one folder.
#[derive(Debug)]
pub(crate) struct DiskStore {
    /// None in tests whose only file is in memory.
    folder: Option<Folder>,
    /// Files that are only read, oldest first. Their numbers come before that of the active one.
    sealed: VecDeque<Segment>,
    active: Segment,
    /// Number of the active file.
    number: u64,
    ends: Ends,
    limit: Limit,
    dropped: u64,
    /// The disk had no room when it was last looked at.
    starved: bool,
}

impl DiskStore {
    /// Opens or creates the store in `folder`.
    pub(crate) fn open(folder: &Path, limit: Limit) -> Result<Self, BrokerError> {
        Self::open_folder(folder, limit).map_err(|error| error.into_broker_error(folder))
    }

    fn open_folder(path: &Path, limit: Limit) -> Result<Self, StoreError> {
        let folder = Folder::create(path, &mut sync_folder)?;
        let mut numbers = folder.files()?;
        if numbers.is_empty() {
            let empty = |file: &Path| Segment::create(file, None, &Ends::default());
            folder.add(1, empty, &mut sync_folder)?;
            numbers.push(1);
        }
        let open = |number: u64| Segment::open(Medium::File(folder.path(number)), Opening::Checked);
        let number = numbers.pop().unwrap_or(1);
        // The newest first: it tells a second broker that the folder is in use.
        let active = open(number)?;
        let sealed = numbers.into_iter().map(open).collect::<Result<_, _>>()?;
        Self::with(Some(folder), sealed, active, number, limit)
    }

    /// Deletes the store in `folder`, which no broker may have open.
    pub(crate) fn delete(folder: &Path) -> Result<(), BrokerError> {
        let delete = || {
            let files = Folder::create(folder, &mut sync_folder)?;
            for number in files.files()? {
                files.delete(number, &mut sync_folder)?;
            }
            Ok(())
        };
        delete().map_err(|error: StoreError| error.into_broker_error(folder))
    }

    /// Opens or creates the store in a file in memory, which it keeps to itself.
    #[cfg(test)]
    pub(crate) fn with_backend(
        file: super::watched::Watched,
        bytes: u64,
    ) -> Result<Self, StoreError> {
        let limit = Limit { bytes, when_full: WhenFull::Refuse };
        Self::with(None, VecDeque::new(), Segment::in_memory(file)?, 1, limit)
    }

    /// Has every read come to the file.
    #[cfg(test)]
    pub(crate) fn forget_what_was_read(&mut self) {
        self.active.open_again(Opening::Uncached).expect("open again");
    }

    fn with(
        folder: Option<Folder>,
        sealed: VecDeque<Segment>,
        active: Segment,
        number: u64,
        limit: Limit,
    ) -> Result<Self, StoreError> {
        let ends = active.ends()?;
        Ok(Self { folder, sealed, active, number, ends, limit, dropped: 0, starved: false })
    }

    /// Bytes of all files.
    fn length(&self) -> u64 {
        self.active.length + self.sealed.iter().map(|segment| segment.length).sum::<u64>()
    }

    /// All files, newest first.
    fn newest_first(&self) -> impl Iterator<Item = &Segment> {
        std::iter::once(&self.active).chain(self.sealed.iter().rev())
    }

    fn oldest(&self) -> &Segment {
        self.sealed.front().unwrap_or(&self.active)
    }

    fn end(&self, queue: QueueKey) -> u64 {
        self.ends.get(&queue).copied().unwrap_or(0)
    }

    /// Begins a new file once the newest has its share. If that fails, the files in the folder
    /// are as good as before.
    fn begin_file_if_due(&mut self) -> Result<(), StoreError> {
        if self.active.bytes < self.limit.bytes / SHARE {
            return Ok(());
        }
        let new = match self.new_file() {
            Ok(Some(new)) => new,
            Ok(None) => return Ok(()),
            Err(StoreError::NoRoom) => {
                tracing::warn!("the disk has no room for a new file; the newest takes more");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.number += 1;
        let mut full = std::mem::replace(&mut self.active, new);
        let closed = full.open_again(Opening::AgainToRead);
        self.sealed.push_back(full);
        closed
    }

    /// The file behind the newest.
    fn new_file(&self) -> Result<Option<Segment>, StoreError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let next = self.number + 1;
        let fill = |file: &Path| Segment::create(file, Some(&self.active), &self.ends);
        folder.add(next, fill, &mut sync_folder)?;
        match Segment::open(Medium::File(folder.path(next)), Opening::Again) {
            Ok(new) => Ok(Some(new)),
            Err(error) => {
                // The next start would take it for the newest.
                folder.delete(next, &mut sync_folder)?;
                Err(error)
            }
        }
    }

    /// Deletes the oldest files while all together are too long.
    fn drop_oldest(&mut self) {
        let Some(folder) = &self.folder else { return };
        while self.length() > self.limit.bytes
            && let Some(oldest) = self.sealed.pop_front()
        {
            self.dropped += oldest.messages_until(self.oldest());
            let number = self.number - 1 - self.sealed.len() as u64;
            oldest.close();
            if let Err(error) = folder.delete(number, &mut sync_folder) {
                let file = folder.path(number);
                tracing::error!(%error, file = %file.display(), "an old file cannot be deleted");
            }
        }
    }
}

impl Store for DiskStore {
    fn facts(&self) -> Result<Vec<Fact>, StoreError> {
        self.active.facts()
    }

    fn first_offset(&self, queue: QueueKey) -> u64 {
        self.oldest().base(queue)
    }

    fn end_offset(&self, queue: QueueKey) -> Result<u64, StoreError> {
        Ok(self.end(queue))
    }

    fn block(&self, queue: QueueKey, offset: u64) -> Result<Option<Block>, StoreError> {
        if offset >= self.end(queue) {
            return Ok(None);
        }
        let segment = self.newest_first().find(|segment| segment.base(queue) <= offset);
        segment.map(|segment| segment.block(queue, offset)).transpose()
    }

    fn blocks_before(
        &self,
        queue: QueueKey,
        offset: u64,
        mut room: usize,
    ) -> Result<Vec<Block>, StoreError> {
        let mut found = Vec::new();
        for segment in self.newest_first().filter(|segment| segment.base(queue) < offset) {
            if !segment.add_blocks_before(queue, offset, &mut room, &mut found)? {
                break;
            }
        }
        Ok(found)
    }

    fn requests_per_turn(&self) -> usize {
        4_096
    }

    /// A commit goes into one file. If it were longer than a file's share, files would be long, and
    /// much would be deleted with each.
    fn bytes_per_turn(&self) -> usize {
        usize::try_from(self.limit.bytes / SHARE).unwrap_or(usize::MAX).min(MAX_COMMIT)
    }

    fn full(&self) -> Option<Full> {
        if self.starved {
            return Some(Full::Disk);
        }
        let refuses = self.limit.when_full == WhenFull::Refuse;
        (refuses && self.length() >= self.limit.bytes).then_some(Full::Limit)
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }

    fn look_for_room(&mut self) {
        let has_room = match &self.folder {
            Some(folder) => folder.has_room(),
            None => self.active.has_room(),
        };
        self.starved = self.starved && !has_room;
    }

    fn open_again(&mut self) -> Result<(), StoreError> {
        self.starved = true;
        self.active.open_again(Opening::Again)?;
        for closed in self.sealed.iter_mut().filter(|segment| segment.is_closed()) {
            closed.open_again(Opening::AgainToRead)?;
        }
        self.ends = self.active.ends()?;
        Ok(())
    }

    fn commit(&mut self, commit: Commit) -> Result<(), StoreError> {
        let mut ends = std::mem::take(&mut self.ends);
        let written = self.active.write(commit, &mut ends);
        self.ends = ends;
        written?;
        if self.limit.when_full == WhenFull::Drop {
            self.drop_oldest();
        }
        self.begin_file_if_due()
    }
}
