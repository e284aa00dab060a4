//! Runs beside the table.

use anyhow::Result;

use crate::record::Session;
use crate::workshop::Workshop;

pub(crate) fn run(_workshop: &Workshop, _wanted: &[String], _session: &mut Session) -> Result<()> {
    Ok(())
}
