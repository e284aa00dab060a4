//! Both stores against a model, and what a store on disk survives.

mod damage;
mod limit;

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use posthaste_protocol::StoredMessage;
use proptest::collection::vec;
use proptest::prelude::*;

use super::watched::Watched;
use super::{
    Commit, DiskStore, Fact, Full, Limit, MemoryStore, Record, Store, StoreError, WhenFull,
};
use crate::location::QueueKey;

const QUEUES: u16 = 3;

/// A folder that takes no time to sync where there is one: that files are synced is tested elsewhere.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("folder")
}

/// More than any test stores.
const AMPLE: Limit = Limit { bytes: u64::MAX, when_full: WhenFull::Refuse };

fn key(queue: u16) -> QueueKey {
    QueueKey { topic: 1, queue }
}

fn message(queue: u16, offset: u64, length: usize) -> StoredMessage {
    let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 10911));
    StoredMessage {
        topic: "orders".into(),
        queue_id: i32::from(queue),
        queue_offset: offset as i64,
        physical_offset: key(queue).physical(offset) as i64,
        flag: 0,
        sys_flag: 0,
        born_at_ms: 1,
        born_host: host,
        stored_at_ms: 2,
        store_host: host,
        reconsume_times: 0,
        prepared_offset: 0,
        body: Bytes::from(vec![offset as u8; length]),
        properties: "TAGS\u{1}a\u{2}".into(),
    }
}

/// All messages that were ever appended, in their order.
#[derive(Default)]
struct Model {
    appended: Vec<StoredMessage>,
    ends: [u64; QUEUES as usize],
}

impl Model {
    /// Appends messages of these queues and lengths in one commit.
    fn commit(&mut self, store: &mut dyn Store, messages: &[(u16, usize)]) {
        let mut commit = Commit::default();
        for (queue, length) in messages {
            let end = &mut self.ends[usize::from(*queue)];
            let message = message(*queue, *end, *length);
            commit.append(key(*queue), &message);
            self.appended.push(message);
            *end += 1;
        }
        store.commit(commit).expect("commit");
    }

    /// A message is stored that was appended otherwise.
    fn took(&mut self, message: StoredMessage) {
        self.ends[usize::try_from(message.queue_id).expect("a queue")] += 1;
        self.appended.push(message);
    }

    /// Everything from the first offset on is there and right, and nothing else. Says how many
    /// messages that are.
    fn check(&self, store: &dyn Store) -> u64 {
        let mut kept = 0;
        for (queue, end) in (0..).zip(self.ends) {
            let first = store.first_offset(key(queue));
            assert!(first <= end);
            assert_eq!(store.end_offset(key(queue)).expect("end"), end);
            for offset in first..end {
                let record = read(store, queue, offset).expect("a record");
                let expected = self
                    .appended
                    .iter()
                    .find(|m| m.queue_id == i32::from(queue) && m.queue_offset == offset as i64);
                assert_eq!(record.message().as_ref(), expected);
                assert_eq!(record.tag(), Some("a"));
            }
            assert!(read(store, queue, end).is_none());
            check_backwards(store, queue, first..end);
            assert!(first == 0 || read(store, queue, first - 1).is_none());
            kept += end - first;
        }
        kept
    }
}

/// From any offset backwards, in pieces of any length, each message is met once.
fn check_backwards(store: &dyn Store, queue: u16, offsets: std::ops::Range<u64>) {
    for (from, room) in [(offsets.end, 0), (offsets.end, 5_000), (offsets.end, usize::MAX)] {
        let (mut before, mut met) = (from, Vec::new());
        loop {
            let blocks = store.blocks_before(key(queue), before, room).expect("readable");
            let Some(last) = blocks.last() else { break };
            let many = blocks.iter().rev().skip(1).map(|block| block.bytes.len()).sum::<usize>();
            assert!(many <= room, "{many} bytes and a block more where {room} are wanted");
            for block in &blocks {
                let records: Vec<Record> = block.records().collect();
                met.extend(records.iter().rev().map(Record::offset));
            }
            assert!(last.first < before, "it does not end");
            before = last.first;
        }
        met.reverse();
        assert_eq!(met, offsets.clone().collect::<Vec<_>>());
    }
}

#[test]
fn facts_are_put_and_forgotten_in_their_order() {
    let file = Watched::default();
    let timer = |offset| Fact::Timer { offset, due: 7, id_hash: -1 };
    let mut store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
    let mut commit = Commit::default();
    commit.put(timer(1));
    commit.put(timer(2));
    commit.put(timer(3));
    commit.forget(Fact::timer_key(1));
    commit.forget(Fact::timer_key(2));
    commit.put(timer(2));
    store.commit(commit).expect("commit");
    let mut commit = Commit::default();
    commit.forget(Fact::timer_key(3));
    assert!(!commit.is_empty());
    store.commit(commit).expect("commit");
    drop(store);
    let store = DiskStore::with_backend(file, u64::MAX).expect("open");
    assert_eq!(store.facts().expect("facts"), [timer(2)]);
}

fn read(store: &dyn Store, queue: u16, offset: u64) -> Option<Record> {
    let block = store.block(key(queue), offset).expect("readable")?;
    block.records_from(offset).next()
}

fn commits() -> impl Strategy<Value = Vec<Vec<(u16, usize)>>> {
    vec(vec((0..QUEUES, prop_oneof![4 => 1..200usize, 1 => 1..40_000usize]), 1..20), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_without_bound_keeps_everything(commits in commits()) {
        let (mut store, mut model) = (MemoryStore::new(u64::MAX), Model::default());
        for messages in commits {
            model.commit(&mut store, &messages);
        }
        prop_assert_eq!(model.check(&store), model.appended.len() as u64);
    }

    #[test]
    fn bounded_memory_keeps_the_newest(commits in commits(), limit in 1_000..200_000u64) {
        let (mut store, mut model) = (MemoryStore::new(limit), Model::default());
        let mut firsts = [0; QUEUES as usize];
        for messages in commits {
            model.commit(&mut store, &messages);
            for queue in 0..QUEUES {
                let first = store.first_offset(key(queue));
                prop_assert!(first >= firsts[usize::from(queue)], "a least offset went back");
                firsts[usize::from(queue)] = first;
            }
        }
        let kept = model.check(&store);
        prop_assert!(kept > 0);
        let bytes: usize = kept_messages(&store, &model).map(StoredMessage::record_length).sum();
        // The newest block stays, even if it is larger.
        prop_assert!(bytes as u64 <= limit.max(40_200), "{bytes} bytes with a limit of {limit}");
    }

    #[test]
    fn disk_keeps_everything_over_a_restart(commits in commits()) {
        let (file, mut model) = (Watched::default(), Model::default());
        for messages in commits {
            let mut store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
            model.commit(&mut store, &messages);
        }
        let store = DiskStore::with_backend(file, u64::MAX).expect("open");
        prop_assert_eq!(model.check(&store), model.appended.len() as u64);
    }
}

fn kept_messages<'a>(
    store: &'a dyn Store,
    model: &'a Model,
) -> impl Iterator<Item = &'a StoredMessage> {
    model.appended.iter().filter(|message| {
        message.queue_offset as u64 >= store.first_offset(key(message.queue_id as u16))
    })
}

/// Whether every message that a commit had promised before the power went is in the image.
fn keeps_promises(image: Watched, promised: &[StoredMessage]) -> bool {
    let Ok(store) = DiskStore::with_backend(image, u64::MAX) else { return false };
    promised.iter().all(|message| {
        let block = store.block(key(message.queue_id as u16), message.queue_offset as u64);
        let record = block
            .ok()
            .flatten()
            .and_then(|block| block.records_from(message.queue_offset as u64).next());
        record.and_then(|record| record.message()).as_ref() == Some(message)
    })
}

/// Stores messages commit by commit, and loses power at random moments; how often a promise was
/// broken.
fn broken_promises(lies: bool) -> usize {
    let (file, mut model) = (Watched::default(), Model::default());
    let mut store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
    let begin = file.operations();
    let mut promises = Vec::new();
    for n in 0..40 {
        model.commit(&mut store, &[(n % QUEUES, 300), ((n + 1) % QUEUES, 2_000)]);
        promises.push((file.operations(), model.appended.len()));
    }
    let mut random = fastrand::Rng::with_seed(11);
    let broken = (0..200).filter(|_| {
        let cut = random.usize(begin..=file.operations());
        let promised = promises.iter().rfind(|(at, _)| *at <= cut).map_or(0, |(_, count)| *count);
        let image = file.image(cut, &mut random, lies);
        !keeps_promises(image, &model.appended[..promised])
    });
    broken.count()
}

#[test]
fn what_was_promised_outlives_a_power_loss() {
    assert_eq!(broken_promises(false), 0);
    assert!(broken_promises(true) > 50, "the test would not notice a sync that does nothing");
}

#[test]
fn the_oldest_go_first_whatever_their_queue() {
    let (mut store, mut model) = (MemoryStore::new(3_200), Model::default());
    model.commit(&mut store, &[(0, 500)]);
    model.commit(&mut store, &[(1, 500)]);
    model.commit(&mut store, &[(0, 500)]);
    model.commit(&mut store, &[(2, 1_500)]);
    let firsts: Vec<u64> = (0..QUEUES).map(|queue| store.first_offset(key(queue))).collect();
    assert_eq!(firsts, [1, 0, 0], "the first message of queue 0 goes, and no other");
    model.check(&store);
}

#[test]
fn a_folder_is_used_by_one_at_a_time() {
    let folder = tempfile::tempdir().expect("folder");
    let first = DiskStore::open(folder.path(), AMPLE).expect("open");
    let second = DiskStore::open(folder.path(), AMPLE).expect_err("already open");
    assert!(second.to_string().contains("in use by another broker"), "{second}");
    drop(first);
    DiskStore::open(folder.path(), AMPLE).expect("free again");
}

#[test]
fn after_a_full_disk_everything_that_was_promised_is_there_and_more_is_taken() {
    let (file, mut model) = (Watched::default(), Model::default());
    let mut store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
    model.commit(&mut store, &[(0, 10), (1, 10_000)]);
    for after in 0..12 {
        file.set_full(Some(after));
        // It fits until the disk takes no more writes.
        let lost = loop {
            let mut commit = Commit::default();
            let next = message(0, model.ends[0], 30_000);
            commit.append(key(0), &next);
            match store.commit(commit) {
                Ok(()) => model.took(next),
                Err(StoreError::NoRoom) => break next,
                Err(error) => panic!("{error}"),
            }
        };
        match store.open_again() {
            Ok(()) => {}
            // Even that may take some room.
            Err(StoreError::NoRoom) => {
                assert_eq!(store.full(), Some(Full::Disk));
                file.set_full(None);
                store.open_again().expect("what was there is there");
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(store.full(), Some(Full::Disk));
        if store.end_offset(key(0)).expect("end") > model.ends[0] {
            model.took(lost);
        }
        file.set_full(None);
        store.look_for_room();
        assert_eq!(store.full(), None);
        model.check(&store);
        model.commit(&mut store, &[(0, 10)]);
    }
    drop(store);
    model.check(&DiskStore::with_backend(file, u64::MAX).expect("open"));
}

#[test]
fn a_sync_that_fails_is_no_full_disk() {
    let file = Watched::default();
    let mut store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
    file.set_broken(true);
    let mut commit = Commit::default();
    commit.append(key(0), &message(0, 0, 10));
    assert!(matches!(store.commit(commit), Err(StoreError::Io(_))));
}

#[test]
fn after_a_failed_sync_nothing_unsynced_counts() {
    let file = Watched::default();
    let mut model = Model::default();
    let mut store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
    model.commit(&mut store, &[(0, 10), (1, 10)]);
    file.set_broken(true);
    let mut commit = Commit::default();
    commit.append(key(0), &message(0, 1, 10));
    assert!(store.commit(commit).is_err());
    file.set_broken(false);
    let mut commit = Commit::default();
    commit.append(key(0), &message(0, 1, 10));
    assert!(store.commit(commit).is_err(), "redb itself refuses too");
}
