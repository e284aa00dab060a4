//! Who else on this machine may read or write a file, and whose it is.

use std::path::Path;

/// The file's mode, if others can read it.
#[cfg(unix)]
pub(crate) fn others_can_read(path: &Path) -> Option<u32> {
    mode(path).filter(|mode| mode & 0o044 != 0)
}

/// The file's mode, if others can write it.
#[cfg(unix)]
pub(crate) fn others_can_write(path: &Path) -> Option<u32> {
    mode(path).filter(|mode| mode & 0o022 != 0)
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o777)
}

/// Whether the file belongs to the user of this process, and is no link of somebody else's.
#[cfg(unix)]
pub(crate) fn is_ours(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let us = rustix::process::geteuid().as_raw();
    [std::fs::symlink_metadata(path), std::fs::metadata(path)]
        .iter()
        .all(|found| found.as_ref().is_ok_and(|found| found.uid() == us))
}

/// What tells file systems apart.
#[cfg(unix)]
pub(crate) fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(std::fs::metadata(path).ok()?.dev())
}

#[cfg(not(unix))]
pub(crate) fn others_can_read(_: &Path) -> Option<u32> {
    None
}

#[cfg(not(unix))]
pub(crate) fn others_can_write(_: &Path) -> Option<u32> {
    None
}

#[cfg(not(unix))]
pub(crate) fn is_ours(path: &Path) -> bool {
    path.exists()
}

#[cfg(not(unix))]
pub(crate) fn device(_: &Path) -> Option<u64> {
    None
}
