//! Both stores against a model, and what a file on disk survives.

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
        // The newest block stays whatever its size.
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

/// A folder whose only file has 300 messages, as a broker leaves it that is stopped.
fn folder_of_300() -> (tempfile::TempDir, Model) {
    let folder = quick_folder();
    let mut model = Model::default();
    let mut store = DiskStore::open(folder.path(), AMPLE).expect("open");
    for n in 0..100 {
        model.commit(&mut store, &[(0, 100 + n), (1, 100), (2, 100)]);
    }
    (folder, model)
}

/// Starts with 512 bytes damaged, at `step` after `step` bytes: either everything is there, or the
/// error names the file, and that is as it was.
fn start_with_damage(step: usize) {
    let (folder, model) = folder_of_300();
    let file = folder.path().join("broker.redb");
    let bytes = std::fs::read(&file).expect("read");
    let mut refused = 0;
    for at in (0..bytes.len()).step_by(step) {
        for damage in [|byte: u8| byte ^ 0x55, |_| 0] {
            let mut damaged = bytes.clone();
            damaged[at..at + 512].iter_mut().for_each(|byte| *byte = damage(*byte));
            std::fs::write(&file, &damaged).expect("write");
            match DiskStore::open(folder.path(), AMPLE) {
                Ok(store) => assert_eq!(model.check(&store), 300, "at {at}"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("damaged (broker.redb: "), "at {at}: {text}");
                    assert!(std::fs::read(&file).expect("read") == damaged, "at {at}: changed");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 20, "only {refused} starts met the damage");
}

#[test]
fn a_damaged_page_is_an_error_of_the_start_that_names_the_file_and_never_a_message_less() {
    start_with_damage(4096);
}

/// Minutes of work: `cargo test -p posthaste-broker --lib -- --ignored`.
#[test]
#[ignore = "takes long"]
fn damage_anywhere_is_an_error_of_the_start_that_names_the_file() {
    start_with_damage(512);
}

/// What is damaged while the broker runs is met by a read. Each ends in the message, or in an error
/// that names the file.
#[test]
fn a_read_that_meets_damage_is_an_error_and_what_lies_behind_it_can_be_read() {
    let (mut file, mut model) = (Watched::default(), Model::default());
    let mut store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
    for n in 0..100 {
        model.commit(&mut store, &[(0, 100 + n), (1, 100), (2, 100)]);
    }
    drop(store);
    let (mut right, mut damaged) = (0, 0);
    for at in (0..).step_by(4096) {
        if at + 512 > file.length() {
            break;
        }
        file = file.copy();
        let mut store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
        store.forget_what_was_read();
        let before = file.damage(at, 512);
        for message in &model.appended {
            let offset = message.queue_offset as u64;
            match store.block(key(message.queue_id as u16), offset) {
                Ok(block) => {
                    let record = block.and_then(|block| block.records_from(offset).next());
                    let read = record.and_then(|record| record.message());
                    assert_eq!(read.as_ref(), Some(message), "at {at}");
                    right += 1;
                }
                Err(StoreError::Damaged(text)) => {
                    assert!(text.contains("memory: "), "{text}");
                    damaged += 1;
                }
                Err(error) => panic!("at {at}: {error}"),
            }
        }
        file.put_back(at, &before);
    }
    assert!(damaged > 0, "no read met the damage");
    assert!(right > damaged * 4, "{right} can be read, {damaged} cannot");
}

#[test]
fn an_empty_or_cut_file_is_damaged_and_no_new_store() {
    for length in [0, 1, 4096, 100_000] {
        let (folder, _) = folder_of_300();
        let file = folder.path().join("broker.redb");
        let writable = std::fs::OpenOptions::new().write(true).open(&file).expect("open");
        writable.set_len(length).expect("cut");
        let error = DiskStore::open(folder.path(), AMPLE).expect_err("damaged").to_string();
        assert!(error.contains("damaged (broker.redb: "), "{length}: {error}");
        assert_eq!(std::fs::metadata(&file).expect("there").len(), length, "it was changed");
    }
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

/// The bytes of all files of a folder.
fn length_of(folder: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("folder");
    files.map(|file| file.expect("file").metadata().expect("metadata").len()).sum()
}

/// Reads everything that a store has of some queues; says how many messages that are.
fn count_kept(store: &DiskStore, ends: &[u64], body: usize) -> u64 {
    let mut kept = 0;
    for (queue, end) in (0..).zip(ends) {
        let first = store.first_offset(key(queue));
        let mut next = first;
        while let Some(block) = store.block(key(queue), next).expect("readable") {
            for record in block.records_from(next) {
                let message = record.message().expect("a message");
                assert_eq!(message.queue_offset as u64, next);
                assert!(message.body.len() == body && message.body[body - 1] == next as u8);
                next += 1;
            }
        }
        assert_eq!(next, *end);
        kept += end - first;
    }
    kept
}

const LEAST: u64 = 16 << 20;

/// Fills a folder with bodies of a length, until `enough`; gives back where the queues end.
fn pour(store: &mut DiskStore, folder: &std::path::Path, body: usize, enough: u64) -> Vec<u64> {
    // As much as a busy turn takes, or a message alone.
    let count = (256 * 1024 / body).max(1);
    let mut ends = vec![0; 3];
    let mut poured = 0;
    while poured < enough && store.full().is_none() {
        let mut commit = Commit::default();
        for n in 0..count {
            let end = &mut ends[n % 3];
            commit.append(key((n % 3) as u16), &message((n % 3) as u16, *end, body));
            *end += 1;
        }
        store.commit(commit).expect("commit");
        poured += (count * body) as u64;
        let length = length_of(folder);
        assert!(length * 10 <= LEAST * 14, "{length} bytes with bodies of {body}");
    }
    ends
}

#[test]
fn a_folder_stays_within_its_limit_and_keeps_the_newest() {
    for body in [1 << 10, 64 << 10, 1 << 20] {
        let folder = quick_folder();
        let limit = Limit { bytes: LEAST, when_full: WhenFull::Drop };
        let mut store = DiskStore::open(folder.path(), limit).expect("open");
        let ends = pour(&mut store, folder.path(), body, 3 * LEAST);
        let kept = count_kept(&store, &ends, body);
        assert!(kept * body as u64 > LEAST / 2, "only {kept} of {body} bytes are kept");
        assert_eq!(store.dropped() + kept, ends.iter().sum::<u64>());
        assert!(store.first_offset(key(0)) > 0);
        drop(store);
        let store = DiskStore::open(folder.path(), limit).expect("open");
        assert_eq!(count_kept(&store, &ends, body), kept);
        assert!(length_of(folder.path()) * 10 <= LEAST * 14);
    }
}

#[test]
fn a_folder_that_drops_nothing_is_full_at_its_limit_and_has_everything() {
    let folder = quick_folder();
    let limit = Limit { bytes: LEAST, when_full: WhenFull::Refuse };
    let mut store = DiskStore::open(folder.path(), limit).expect("open");
    let ends = pour(&mut store, folder.path(), 64 << 10, 3 * LEAST);
    assert_eq!((store.full(), store.dropped()), (Some(Full::Limit), 0));
    let kept = count_kept(&store, &ends, 64 << 10);
    assert_eq!(kept, ends.iter().sum::<u64>());
    assert!(kept * (64 << 10) > LEAST / 2, "full with {kept} messages");
}

/// What was kept beside messages, and where queues end, is known whatever has been dropped.
#[test]
fn facts_and_ends_outlive_the_files_in_which_they_were_written() {
    let folder = quick_folder();
    let limit = Limit { bytes: LEAST, when_full: WhenFull::Drop };
    let mut store = DiskStore::open(folder.path(), limit).expect("open");
    let (timer, quiet) = (Fact::Timer { offset: 1, due: 7, id_hash: -1 }, key(9));
    let mut commit = Commit::default();
    commit.put(timer.clone());
    commit.append(quiet, &message(9, 0, 10));
    store.commit(commit).expect("commit");
    pour(&mut store, folder.path(), 1 << 20, 2 * LEAST);
    for _ in 0..2 {
        assert_eq!(store.facts().expect("facts"), std::slice::from_ref(&timer));
        assert_eq!(store.end_offset(quiet).expect("end"), 1);
        assert_eq!(store.first_offset(quiet), 1, "it was dropped");
        assert_eq!(store.block(quiet, 0).expect("readable"), None);
        assert!(store.blocks_before(quiet, 1, 1_000).expect("readable").is_empty());
        assert!(!folder.path().join("broker.redb").exists(), "the first file is still there");
        drop(store);
        store = DiskStore::open(folder.path(), limit).expect("open");
    }
    let mut commit = Commit::default();
    commit.append(quiet, &message(9, 1, 10));
    store.commit(commit).expect("commit");
    assert!(store.block(quiet, 1).expect("readable").is_some());
}

/// A new file that cannot be completed, or an old one that is missing, is nothing that goes unnoticed.
#[test]
fn a_file_that_is_missing_is_told_and_one_that_was_never_complete_is_not_read() {
    let folder = quick_folder();
    let limit = Limit { bytes: LEAST, when_full: WhenFull::Drop };
    let mut store = DiskStore::open(folder.path(), limit).expect("open");
    let ends = pour(&mut store, folder.path(), 64 << 10, LEAST / 2);
    drop(store);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("broker-00000099.redb.new"), "half of it").expect("write");
    let store = DiskStore::open(folder.path(), limit).expect("open");
    assert_eq!(count_kept(&store, &ends, 64 << 10), ends.iter().sum::<u64>());
    drop(store);
    std::fs::rename(path("broker-00000003.redb"), path("elsewhere")).expect("rename");
    let error = DiskStore::open(folder.path(), limit).expect_err("a gap").to_string();
    assert!(error.contains("broker-00000003.redb is missing"), "{error}");
}

/// After a crash the last commit may be incomplete; once it is confirmed, it is not taken for that.
#[test]
fn damage_after_a_crash_is_never_taken_for_a_commit_that_was_not_completed() {
    let lost = |is_confirmed: bool| {
        let (file, mut model) = (Watched::default(), Model::default());
        let mut store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
        for _ in 0..30 {
            model.commit(&mut store, &[(0, 100), (1, 100), (2, 100)]);
        }
        if is_confirmed {
            store.confirm().expect("confirm");
        }
        assert_eq!(store.is_confirmed(), is_confirmed);
        let pages = (0..file.length()).step_by(4096);
        let lost = pages.filter(|at| {
            let crashed = file.copy();
            crashed.damage(*at, 512);
            match DiskStore::with_backend(crashed, u64::MAX) {
                Err(_) => false,
                Ok(store) => store.end_offset(key(0)).expect("end") < 30,
            }
        });
        lost.count()
    };
    assert_eq!(lost(true), 0);
    assert!(lost(false) > 0, "the test would not notice it");
}

#[test]
fn a_file_that_is_no_store_is_reported_and_left_alone() {
    for garbage in [b"not a store".to_vec(), vec![0; 8192], vec![0xFF; 1 << 20]] {
        let folder = quick_folder();
        let file = folder.path().join("broker.redb");
        std::fs::write(&file, &garbage).expect("write");
        let error = DiskStore::open(folder.path(), AMPLE).expect_err("garbage");
        assert!(error.to_string().contains("damaged"), "{error:?}");
        assert_eq!(std::fs::read(&file).expect("read"), garbage, "it was changed");
    }
}

#[test]
fn a_truncated_file_is_reported() {
    let folder = quick_folder();
    let mut store = DiskStore::open(folder.path(), AMPLE).expect("open");
    let mut model = Model::default();
    for _ in 0..50 {
        model.commit(&mut store, &[(0, 30_000)]);
    }
    drop(store);
    let path = folder.path().join("broker.redb");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("open");
    let length = file.metadata().expect("metadata").len();
    file.set_len(length / 2).expect("truncate");
    let reported = match DiskStore::open(folder.path(), AMPLE) {
        Err(_) => true,
        Ok(store) => (0..50).any(|offset| store.block(key(0), offset).is_err()),
    };
    assert!(reported);
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

#[test]
fn a_store_that_drops_nothing_is_full_at_its_limit_also_after_a_restart() {
    let file = Watched::default();
    let mut store = DiskStore::with_backend(file.clone(), 2_000).expect("open");
    let mut model = Model::default();
    model.commit(&mut store, &[(0, 1_000)]);
    assert_eq!(store.full(), None);
    model.commit(&mut store, &[(0, 1_000)]);
    assert_eq!(store.full(), Some(Full::Limit));
    drop(store);
    let store = DiskStore::with_backend(file, 2_000).expect("open");
    assert_eq!(store.full(), Some(Full::Limit));
}
