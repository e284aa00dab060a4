use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use super::SKIP_VARIABLE;

const TOOLS: [(&str, &str); 4] =
    [("java", "-version"), ("javac", "-version"), ("mvn", "-v"), ("go", "version")];

/// Checks that the tools which the suite calls can be run.
pub(crate) fn check() -> Result<()> {
    let missing: Vec<&str> =
        TOOLS.iter().filter(|(tool, flag)| !runs(tool, flag)).map(|(tool, _)| *tool).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "cannot run {}: the interop suite needs a JDK (11 or newer), Maven and Go. \
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
