//! The data folder: its files by their names, and what has to be synced so that a power loss leaves
//! neither the folder nor a file of it unknown to its parent.

use std::fs;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::StoreError;

/// The first file; the others have a number in their names.
const FIRST: &str = "broker.redb";
const PREFIX: &str = "broker-";
const SUFFIX: &str = ".redb";
/// Behind the name of a file that is not complete yet.
const UNFINISHED: &str = ".new";
/// A file that is written and deleted to find out whether the disk has room.
const PROBE: &str = "room";
/// As much is written then: what a turn of the engine usually takes.
const PROBE_LENGTH: usize = 1024 * 1024;

/// Syncs a folder: its list of names.
pub(super) type Sync<'a> = &'a mut dyn FnMut(&Path) -> io::Result<()>;

/// A data folder.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`, created when it is missing. All that is new is synced into the first
    /// folder that was there before.
    pub(super) fn create(path: &Path, sync: Sync<'_>) -> io::Result<Self> {
        let mut parents = Vec::new();
        let mut missing = path;
        while !missing.exists() {
            // A name alone lies in the folder that the program runs in.
            let parent = missing.parent().unwrap_or(Path::new(""));
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            parents.push(parent.to_owned());
            missing = parent;
        }
        fs::create_dir_all(path)?;
        for parent in parents {
            sync(&parent)?;
        }
        Ok(Self(path.to_owned()))
    }

    /// The numbers of the complete files, oldest first. Files that were never completed are deleted.
    pub(super) fn files(&self) -> Result<Vec<u64>, StoreError> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(number) = number_of(name) {
                numbers.push(number);
            } else if name.strip_suffix(UNFINISHED).and_then(number_of).is_some() {
                fs::remove_file(self.0.join(name))?;
            }
        }
        numbers.sort_unstable();
        match numbers.windows(2).find(|pair| matches!(pair, [a, b] if a + 1 != *b)) {
            Some([before, _]) => {
                let missing = name_of(before + 1);
                Err(StoreError::Damaged(format!("{missing} is missing")))
            }
            _ => Ok(numbers),
        }
    }

    /// Where the file with this number is.
    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.0.join(name_of(number))
    }

    /// Makes the file with this number: `fill` writes it, elsewhere at first, so that no file is
    /// ever there that is not complete.
    pub(super) fn add(
        &self,
        number: u64,
        fill: impl FnOnce(&Path) -> Result<(), StoreError>,
        sync: Sync<'_>,
    ) -> Result<(), StoreError> {
        let unfinished = self.0.join(format!("{}{UNFINISHED}", name_of(number)));
        let filled = fill(&unfinished).and_then(|()| {
            fs::rename(&unfinished, self.path(number))?;
            Ok(sync(&self.0)?)
        });
        if filled.is_err() {
            // Under its own name it would be the newest at the next start.
            match fs::remove_file(self.path(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            // This one is deleted at the next start if not now.
            let _ = fs::remove_file(&unfinished);
        }
        filled
    }

    /// Deletes the file with this number.
    pub(super) fn delete(&self, number: u64, sync: Sync<'_>) -> io::Result<()> {
        fs::remove_file(self.path(number))?;
        sync(&self.0)
    }

    /// Whether the disk takes more.
    pub(super) fn has_room(&self) -> bool {
        let path = self.0.join(PROBE);
        let written = fs::File::create(&path).and_then(|mut file| {
            file.write_all(&vec![0; PROBE_LENGTH])?;
            file.sync_all()
        });
        fs::remove_file(path).and(written).is_ok()
    }
}

/// Syncs a folder.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Elsewhere folders cannot be synced, and need not be.
#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn name_of(number: u64) -> String {
    match number {
        1 => FIRST.to_owned(),
        _ => format!("{PREFIX}{number:08}{SUFFIX}"),
    }
}

fn number_of(name: &str) -> Option<u64> {
    let number = match name {
        FIRST => 1,
        _ => name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?,
    };
    (name_of(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_is_synced_up_to_the_first_that_was_there() {
        let there = tempfile::tempdir().expect("folder");
        let path = |names: &[&str]| names.iter().fold(there.path().to_owned(), |p, n| p.join(n));
        for (wanted, expected) in [
            (path(&["a", "b", "c"]), vec![path(&["a", "b"]), path(&["a"]), path(&[])]),
            (path(&["a", "b", "c"]), vec![]),
            (path(&["a", "d"]), vec![path(&["a"])]),
        ] {
            let mut synced = Vec::new();
            let mut sync = |folder: &Path| {
                assert!(wanted.is_dir(), "it is synced before it is there");
                synced.push(folder.to_owned());
                sync_folder(folder)
            };
            Folder::create(&wanted, &mut sync).expect("folder");
            assert_eq!(synced, expected, "{wanted:?}");
        }
    }

    #[test]
    fn a_new_file_is_complete_before_its_name_is_and_its_name_is_synced() {
        let there = tempfile::tempdir().expect("folder");
        let folder = Folder::create(there.path(), &mut sync_folder).expect("folder");
        let mut synced = 0;
        let fill = |path: &Path| {
            assert!(folder.files()?.is_empty());
            Ok(fs::write(path, "complete")?)
        };
        let mut sync = |path: &Path| {
            assert_eq!((path, fs::read(folder.path(1))?), (there.path(), b"complete".to_vec()));
            synced += 1;
            Ok(())
        };
        folder.add(1, fill, &mut sync).expect("a file");
        assert_eq!(synced, 1);
        folder.add(2, |_| Err(StoreError::NoRoom), &mut sync_folder).expect_err("no file");
        assert_eq!(folder.files().expect("files"), [1]);
    }

    #[test]
    fn files_are_known_by_their_names_and_one_that_is_missing_is_told() {
        let there = tempfile::tempdir().expect("folder");
        let folder = Folder::create(there.path(), &mut sync_folder).expect("folder");
        for name in ["broker-00000002.redb", "broker-3.redb", "notes", "broker-00000009.redb.new"] {
            fs::write(there.path().join(name), "").expect("file");
        }
        assert_eq!(folder.files().expect("files"), [2]);
        assert!(!there.path().join("broker-00000009.redb.new").exists());
        fs::write(folder.path(4), "").expect("file");
        let error = folder.files().expect_err("a gap").to_string();
        assert!(error.contains("broker-00000003.redb is missing"), "{error}");
    }

    #[test]
    fn a_folder_that_is_gone_has_no_room() {
        let there = tempfile::tempdir().expect("folder");
        let folder = Folder::create(there.path(), &mut sync_folder).expect("folder");
        assert!(folder.has_room());
        assert_eq!(fs::read_dir(there.path()).expect("read").count(), 0, "the probe is left");
        drop(there);
        assert!(!folder.has_room());
    }
}
