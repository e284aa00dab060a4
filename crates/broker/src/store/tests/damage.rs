//! Files that are damaged, cut or missing: each is an error that names the file.

use super::limit::{LEAST, count_kept, pour};
use super::*;

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

/// After a crash the last commit may be incomplete; one that was completed is not taken for that.
#[test]
fn damage_after_a_crash_is_never_taken_for_a_commit_that_was_not_completed() {
    let (file, mut model) = (Watched::default(), Model::default());
    let mut store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
    for _ in 0..30 {
        model.commit(&mut store, &[(0, 100), (1, 100), (2, 100)]);
    }
    let (mut whole, mut refused) = (0, 0);
    for at in (0..file.length()).step_by(4096) {
        let crashed = file.copy();
        crashed.damage(at, 512);
        match DiskStore::with_backend(crashed, u64::MAX) {
            Err(_) => refused += 1,
            Ok(store) => {
                whole += 1;
                assert_eq!(store.end_offset(key(0)).expect("end"), 30, "damaged at {at}");
            }
        }
    }
    assert!(whole > 0 && refused > 0, "{whole} whole, {refused} refused");
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
