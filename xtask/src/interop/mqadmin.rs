use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::artefacts::Artefacts;
use super::{home, jvm, tool};

const OPTIONS: [&str; 3] = ["-Xms64m", "-Xmx256m", "-XX:TieredStopAtLevel=1"];

/// Runs RocketMQ's own tool, with files under `folder`; gives what it printed.
pub(crate) fn run(
    artefacts: &Artefacts,
    folder: &Path,
    name_server: &str,
    arguments: &[&str],
) -> Result<String> {
    let home = folder.join("mqadmin");
    home::furnish(&home)?;
    let mut java = jvm::command(artefacts, &home, &OPTIONS)?;
    java.arg(format!("-Drocketmq.namesrv.addr={name_server}"))
        .arg("org.apache.rocketmq.tools.command.MQAdminStartup")
        .args(arguments);
    let output = java.stdin(Stdio::null()).output().context("starting mqadmin")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaints = String::from_utf8_lossy(&output.stderr);
        bail!("mqadmin failed ({}):\n{}", output.status, tool::last_lines(&(said + &complaints)));
    }
    Ok(said)
}
