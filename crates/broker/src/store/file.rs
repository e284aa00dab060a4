//! The file that redb writes, by redb's own backend.
//!
//! A disk that is full refuses a write, and the file is as good as before. After a sync
//! that failed for any reason it is unknown what is on the disk: so a failed sync never looks like a
//! full disk here.

use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// A file on disk.
#[derive(Debug)]
pub(super) struct DataFile(FileBackend);

impl DataFile {
    /// Opens the file, or creates it if it may be new.
    pub(super) fn open(path: &Path, is_new: bool) -> Result<Self, redb::Error> {
        let file = OpenOptions::new().read(true).write(true).create_new(is_new).open(path)?;
        Ok(Self(FileBackend::new(file)?))
    }
}

impl StorageBackend for DataFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data().map_err(|error| io::Error::other(format!("a sync failed: {error}")))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }
}
