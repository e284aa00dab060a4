//! A backend of redb for tests: it can be made to fail, and says what has been synced.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

type Result<T> = std::io::Result<T>;

/// A file in memory. Clones are the same file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched(Arc<State>);

#[derive(Default)]
struct State {
    file: InMemoryBackend,
    /// Every sync fails from now on.
    broken: AtomicBool,
    /// This many more writes go well, and later ones find the disk full.
    writes_left: Mutex<Option<usize>>,
    /// A full disk takes what lies where something was written before.
    may_overwrite: AtomicBool,
    /// Where the last byte was written, and one more.
    written: AtomicU64,
    /// Something was written since the last sync.
    dirty: AtomicBool,
    syncs: AtomicU64,
    /// What was done to the file, in its order.
    log: Mutex<Vec<Operation>>,
    on_sync: Mutex<Option<Box<dyn Fn() + Send>>>,
}

#[derive(Debug, Clone)]
enum Operation {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Sync,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

impl Watched {
    pub(crate) fn set_broken(&self, broken: bool) {
        self.0.broken.store(broken, Ordering::SeqCst);
    }

    /// The disk is full after this many more writes, or has room.
    pub(crate) fn set_full(&self, after: Option<usize>) {
        *self.0.writes_left.lock().expect("lock") = after;
    }

    /// A full disk takes what lies where something was written before; otherwise it takes nothing.
    pub(crate) fn set_may_overwrite(&self, may: bool) {
        self.0.may_overwrite.store(may, Ordering::SeqCst);
    }

    fn take_room(&self, end: u64) -> Result<()> {
        let is_new = end > self.0.written.load(Ordering::SeqCst);
        if !is_new && self.0.may_overwrite.load(Ordering::SeqCst) {
            return Ok(());
        }
        match &mut *self.0.writes_left.lock().expect("lock") {
            None => Ok(()),
            Some(0) => Err(std::io::ErrorKind::StorageFull.into()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.0.writes_left.lock().expect("lock").is_none()
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.0.file.len().expect("length")
    }

    /// Another file with the same content.
    pub(crate) fn copy(&self) -> Self {
        let mut bytes = vec![0; self.length() as usize];
        self.0.file.read(0, &mut bytes).expect("read");
        let copy = Self::default();
        copy.0.file.set_len(self.length()).expect("length");
        copy.0.file.write(0, &bytes).expect("write");
        copy
    }

    /// Changes bytes behind everybody's back; gives back what was there.
    pub(crate) fn damage(&self, at: u64, length: usize) -> Vec<u8> {
        let mut before = vec![0; length];
        self.0.file.read(at, &mut before).expect("read");
        let changed: Vec<u8> = before.iter().map(|byte| byte ^ 0x55).collect();
        self.put_back(at, &changed);
        before
    }

    /// Undoes [`damage`](Self::damage).
    pub(crate) fn put_back(&self, at: u64, bytes: &[u8]) {
        self.0.file.write(at, bytes).expect("write");
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.0.dirty.load(Ordering::SeqCst)
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.0.syncs.load(Ordering::SeqCst)
    }

    /// How many operations there have been.
    pub(crate) fn operations(&self) -> usize {
        self.log().len()
    }

    /// The file as a power loss after `cut` operations may leave it: what was synced is there;
    /// of what was written since, some is there, some is not, and some is there in part. With
    /// `lies` the syncs did nothing.
    pub(crate) fn image(&self, cut: usize, random: &mut fastrand::Rng, lies: bool) -> Self {
        let log = self.log();
        let done = &log[..cut];
        let is_sync = |operation: &Operation| matches!(operation, Operation::Sync);
        let synced = done.iter().rposition(is_sync).filter(|_| !lies).unwrap_or(0);
        let image = Self::default();
        for (at, operation) in done.iter().enumerate() {
            match operation {
                Operation::SetLength(length) => image.set_len(*length).expect("length"),
                Operation::Write(offset, data) => {
                    let whole = at < synced || random.bool();
                    let length = if whole { data.len() } else { random.usize(..=data.len()) };
                    image.write(*offset, &data[..length]).expect("write");
                }
                Operation::Sync => {}
            }
        }
        image
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Vec<Operation>> {
        self.0.log.lock().expect("lock")
    }

    /// Calls `look` whenever something is synced.
    pub(crate) fn on_sync(&self, look: impl Fn() + Send + 'static) {
        *self.0.on_sync.lock().expect("lock") = Some(Box::new(look));
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> Result<u64> {
        self.0.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.0.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.log().push(Operation::SetLength(len));
        self.0.file.set_len(len)
    }

    fn sync_data(&self) -> Result<()> {
        if self.0.broken.load(Ordering::SeqCst) {
            return Err(std::io::Error::other("the disk is gone"));
        }
        if let Some(look) = &*self.0.on_sync.lock().expect("lock") {
            look();
        }
        self.log().push(Operation::Sync);
        self.0.file.sync_data()?;
        self.0.dirty.store(false, Ordering::SeqCst);
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let end = offset + data.len() as u64;
        self.take_room(end)?;
        self.0.written.fetch_max(end, Ordering::SeqCst);
        self.0.dirty.store(true, Ordering::SeqCst);
        self.log().push(Operation::Write(offset, data.to_vec()));
        self.0.file.write(offset, data)
    }
}
