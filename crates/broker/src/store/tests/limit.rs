//! A store with a limit: what is dropped for room, and what stays.

use super::*;

/// The bytes of all files of a folder.
fn length_of(folder: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("folder");
    files.map(|file| file.expect("file").metadata().expect("metadata").len()).sum()
}

/// Reads everything that a store has of some queues; says how many messages that are.
pub(super) fn count_kept(store: &DiskStore, ends: &[u64], body: usize) -> u64 {
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

pub(super) const LEAST: u64 = 16 << 20;

/// Fills a folder with bodies of a length, until `enough`; gives back where the queues end.
pub(super) fn pour(
    store: &mut DiskStore,
    folder: &std::path::Path,
    body: usize,
    enough: u64,
) -> Vec<u64> {
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

/// Facts and the ends of queues are known even after messages have been dropped.
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
