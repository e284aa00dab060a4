use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// Set to 1, it lets a machine go without.
pub(crate) const SKIP_VARIABLE: &str = "POSTHASTE_SKIP_INTEROP";

/// A program, and an argument with which it does nothing.
type Tool = (&'static str, &'static str);

pub(crate) const JAVA: [Tool; 3] = [("java", "-version"), ("javac", "-version"), ("mvn", "-v")];
pub(crate) const CLIENTS: [Tool; 2] = [("go", "version"), ("python3", "--version")];

/// Whether the proof against others is not wanted.
pub(crate) fn are_waived() -> bool {
    std::env::var_os(SKIP_VARIABLE).is_some_and(|value| value == "1")
}

/// Checks that the tools which a suite calls can be run.
pub(crate) fn check(tools: &[Tool]) -> Result<()> {
    let missing: Vec<&str> =
        tools.iter().filter(|(tool, flag)| !runs(tool, flag)).map(|(tool, _)| *tool).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "cannot run {}: it takes a JDK (11 or newer), Maven, and for the interop suite Go and Python. \
         Install them, or set {SKIP_VARIABLE}=1 to go without this proof",
        missing.join(", ")
    )
}

fn runs(tool: &str, flag: &str) -> bool {
    Command::new(tool)
        .arg(flag)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
