//! A store that can be made to fail when it is read, as a disk may for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::location::QueueKey;
use crate::store::{Block, Commit, Fact, Full, Store, StoreError};

/// What the test holds of the store that the engine has.
#[derive(Default)]
pub(super) struct Brittle {
    broken: AtomicBool,
    no_ends: AtomicBool,
    failures: AtomicUsize,
}

struct BrittleStore(Arc<Brittle>, Box<dyn Store>);

impl Brittle {
    pub(super) fn over(self: &Arc<Self>, store: impl Store + 'static) -> Box<dyn Store> {
        Box::new(BrittleStore(Arc::clone(self), Box::new(store)))
    }

    /// Every read fails from now on, or none does.
    pub(super) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// As [`set_broken`](Self::set_broken), but only where it is asked where a queue ends.
    pub(super) fn set_no_ends(&self, no_ends: bool) {
        self.no_ends.store(no_ends, Ordering::SeqCst);
    }

    /// How many reads have failed.
    pub(super) fn failures(&self) -> usize {
        self.failures.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), StoreError> {
        self.fail_if(&self.broken)
    }

    fn fail_if(&self, broken: &AtomicBool) -> Result<(), StoreError> {
        if !broken.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.failures.fetch_add(1, Ordering::SeqCst);
        Err(StoreError::Io(std::io::Error::other("the disk does not answer")))
    }
}

impl Store for BrittleStore {
    fn facts(&self) -> Result<Vec<Fact>, StoreError> {
        self.1.facts()
    }

    fn first_offset(&self, queue: QueueKey) -> u64 {
        self.1.first_offset(queue)
    }

    fn end_offset(&self, queue: QueueKey) -> Result<u64, StoreError> {
        self.0.check()?;
        self.0.fail_if(&self.0.no_ends)?;
        self.1.end_offset(queue)
    }

    fn block(&self, queue: QueueKey, offset: u64) -> Result<Option<Block>, StoreError> {
        self.0.check()?;
        self.1.block(queue, offset)
    }

    fn blocks_before(
        &self,
        queue: QueueKey,
        offset: u64,
        room: usize,
    ) -> Result<Vec<Block>, StoreError> {
        self.0.check()?;
        self.1.blocks_before(queue, offset, room)
    }

    fn requests_per_turn(&self) -> usize {
        self.1.requests_per_turn()
    }

    fn full(&self) -> Option<Full> {
        self.1.full()
    }

    fn dropped(&self) -> u64 {
        self.1.dropped()
    }

    fn commit(&mut self, commit: Commit) -> Result<(), StoreError> {
        self.1.commit(commit)
    }
}
