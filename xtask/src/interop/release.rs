use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::workshop;

/// Builds a program of this repository optimised, and gives its path.
pub(crate) fn build(package: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workshop::repository())
        .args(["build", "--release", "--quiet", "--message-format=json", "--package", package])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    if !output.status.success() {
        bail!("cargo cannot build {package}");
    }
    let said = String::from_utf8(output.stdout).context("cargo's messages")?;
    said.lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .find_map(|artifact| artifact.executable)
        .with_context(|| format!("{package} has no program"))
}

/// The part that is wanted of what cargo says of a built target.
#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}
