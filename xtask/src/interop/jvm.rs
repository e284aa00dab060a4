use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::artefacts::Artefacts;

// What versions from before modules reach into.
const OPENED: [&str; 6] = [
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
];

/// A Java process with a version's classes that keeps all of its files under `home`, which has to be there.
/// The caller adds the main class.
pub(crate) fn command(artefacts: &Artefacts, home: &Path, options: &[&str]) -> Result<Command> {
    let mut java = Command::new("java");
    java.current_dir(home)
        .args(options)
        .args(OPENED)
        .arg(format!("-Duser.home={}", home.display()))
        // A process that is killed leaves its native libraries there.
        .arg(format!("-Djava.io.tmpdir={}", home.display()))
        .arg(format!("-Drocketmq.home.dir={}", home.display()))
        .env("ROCKETMQ_HOME", home)
        .arg("-classpath")
        .arg(artefacts.class_path()?);
    Ok(java)
}
