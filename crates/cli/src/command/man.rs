//! `posthaste man`: a manual page for each command, made from its help.

use std::path::Path;

use clap::CommandFactory as _;

use crate::args::Args;
use crate::exit::{Exit, Failure};
use crate::output::Stdout;

/// Writes the pages into `folder`, which is made if it is not there.
pub(crate) fn run(folder: &Path) -> Result<Exit, Failure> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Args::command(), folder))
        .map_err(|error| {
            let why = format!("the manual cannot be written to {}: {error}", folder.display());
            Failure::new(Exit::Failed, "system", why)
        })?;
    let mut stdout = Stdout::new();
    stdout.line(format_args!("man -l {}", folder.join("posthaste.1").display()));
    stdout.finish()?;
    Ok(Exit::Done)
}
