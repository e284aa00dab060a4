//! The runtime that a client's callers are tasks of.

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};

use crate::Arguments;

/// As an application would have it by default, unless the arguments say `workers=N`.
///
/// # Errors
/// When that is no number, or the system has no threads.
pub fn runtime(arguments: &Arguments) -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = arguments.value("workers") {
        builder.worker_threads(workers.parse()?);
    }
    Ok(builder.enable_all().build()?)
}
