//! The fuzz targets of `crates/protocol/tests/targets`, with a limit on the memory that reading a
//! peer's bytes may take.

mod memory;
#[path = "../../crates/protocol/tests/support/mod.rs"]
mod support;
#[path = "../../crates/protocol/tests/targets/mod.rs"]
mod targets;

use std::path::Path;
use std::{fs, io};

/// What reading may take beside a multiple of the input.
const SPARE: usize = 64 * 1024;

/// How many bytes of memory one byte of input may take. A list is twice as long as it needs to be
/// when it grows; its shortest item decides: an empty text in a document (3 bytes, 24 in memory),
/// a property (4 and about 120), an entry of a batch (22 and 64).
fn factor(target: &str) -> usize {
    match target {
        "properties" => 64,
        "route_document" => 32,
        _ => 8,
    }
}

/// Runs a target. Panics when it breaks a promise.
pub fn run(target: &str, data: &[u8]) {
    let taken = memory::peak(|| targets::read(target, data));
    let limit = factor(target) * data.len() + SPARE;
    assert!(taken <= limit, "{taken} bytes of memory for {} of input", data.len());
    for (name, check) in targets::ALL {
        if name == target {
            check(data);
        }
    }
}

/// Writes valid input for each target into `folder/<target>`.
pub fn write_seeds(folder: &Path) -> io::Result<()> {
    for (name, _) in targets::ALL {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in support::seeds(name).iter().enumerate() {
            fs::write(folder.join(format!("recorded-{number}")), seed)?;
        }
    }
    Ok(())
}
