use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a tool to its end, and gives what it said; when it fails, the error has what it said last.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("starting {program}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    bail!("{program} failed ({}):\n{}", output.status, last_lines(&said))
}

/// The end of a text, short enough for an error message.
pub(crate) fn last_lines(text: &str) -> String {
    const SHOWN: usize = 15;
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(SHOWN)).copied().collect::<Vec<_>>().join("\n")
}
