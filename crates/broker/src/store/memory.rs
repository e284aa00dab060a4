//! Messages in memory, bounded by bytes; the oldest of all topics are dropped first.

use std::collections::VecDeque;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::commit::BLOCK_LENGTH;
use super::{Block, Commit, Fact, Full, Store, StoreError};
use crate::location::QueueKey;

/// What a block costs beside its bytes, roughly.
const BLOCK_OVERHEAD: u64 = 96;

/// Keeps the newest messages in memory. Facts are not kept: nothing outlives the process.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    queues: FxHashMap<QueueKey, MemoryQueue>,
    /// The queue of each block, oldest block first. A queue's blocks are in it in their order.
    ages: VecDeque<QueueKey>,
    bytes: u64,
    limit: u64,
    dropped: u64,
}

#[derive(Debug, Default)]
struct MemoryQueue {
    blocks: VecDeque<Block>,
    first: u64,
    end: u64,
}

impl MemoryStore {
    /// A store that keeps at most `limit` bytes, and the newest block even if it is larger.
    pub(crate) fn new(limit: u64) -> Self {
        Self { queues: FxHashMap::default(), ages: VecDeque::new(), bytes: 0, limit, dropped: 0 }
    }

    fn push(&mut self, key: QueueKey, block: Block) {
        let queue = self.queues.entry(key).or_default();
        queue.end = block.end();
        self.bytes += cost(&block);
        queue.blocks.push_back(block);
        self.ages.push_back(key);
        while self.bytes > self.limit && self.ages.len() > 1 {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(queue) = self.ages.pop_front().and_then(|key| self.queues.get_mut(&key)) else {
            return;
        };
        if let Some(block) = queue.blocks.pop_front() {
            self.bytes -= cost(&block);
            queue.first = queue.blocks.front().map_or(queue.end, |next| next.first);
            self.dropped += queue.first - block.first;
        }
    }
}

fn cost(block: &Block) -> u64 {
    block.bytes.len() as u64 + BLOCK_OVERHEAD
}

impl Store for MemoryStore {
    fn facts(&self) -> Result<Vec<Fact>, StoreError> {
        Ok(Vec::new())
    }

    fn first_offset(&self, queue: QueueKey) -> u64 {
        self.queues.get(&queue).map_or(0, |queue| queue.first)
    }

    fn end_offset(&self, queue: QueueKey) -> Result<u64, StoreError> {
        Ok(self.queues.get(&queue).map_or(0, |queue| queue.end))
    }

    fn block(&self, queue: QueueKey, offset: u64) -> Result<Option<Block>, StoreError> {
        let Some(queue) = self.queues.get(&queue).filter(|queue| offset < queue.end) else {
            return Ok(None);
        };
        let after = queue.blocks.partition_point(|block| block.first <= offset);
        Ok(after.checked_sub(1).and_then(|at| queue.blocks.get(at)).cloned())
    }

    fn blocks_before(
        &self,
        queue: QueueKey,
        offset: u64,
        room: usize,
    ) -> Result<Vec<Block>, StoreError> {
        let Some(queue) = self.queues.get(&queue) else { return Ok(Vec::new()) };
        let end = queue.blocks.partition_point(|block| block.first < offset);
        Ok(Block::that_fit(room, queue.blocks.range(..end).rev().cloned()).collect())
    }

    fn requests_per_turn(&self) -> usize {
        512
    }

    fn full(&self) -> Option<Full> {
        None
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }

    fn commit(&mut self, commit: Commit) -> Result<(), StoreError> {
        let (blocks, _) = commit.into_parts();
        for (key, mut block) in blocks {
            if block.bytes.len() < BLOCK_LENGTH {
                // A copy without the room for more, since blocks are kept for long; to cut that off
                // would leave memory in pieces too small to use.
                block.bytes = Bytes::copy_from_slice(&block.bytes);
            }
            self.push(key, block);
        }
        Ok(())
    }
}
