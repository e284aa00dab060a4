//! Checks of the house that no compiler makes.

mod file_map;
mod floors;
mod paths;
mod rust_version;

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

/// What `tidy` is asked to do.
#[derive(Args)]
pub(crate) struct Wish {
    /// Writes the file map of ARCHITECTURE.md anew.
    #[arg(long)]
    save: bool,
}

/// Checks everything; says what is wrong.
pub(crate) fn run(wish: &Wish) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let problems: Vec<String> =
        [file_map::check(&root, wish.save), floors::check(&root), rust_version::check(&root)]
            .into_iter()
            .filter_map(|check| check.err().map(|error| format!("{error:#}")))
            .collect();
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
