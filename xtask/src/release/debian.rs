//! A Debian package of the ordinary build.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::tree::{Tree, write};
use super::{Made, VERSION, call, is_here, works};

/// Builds it, installs it into an empty folder, and runs what was installed.
pub(super) fn package(folder: &Path, tree: &Tree) -> Result<Made> {
    if !is_here("dpkg-deb") {
        return Ok(Made::Nothing("dpkg-deb is not installed"));
    }
    let root = folder.join("debian");
    tree.copy_to_system(&root)?;
    write(&root.join("DEBIAN/control"), &control(size(&root)?))?;
    let path = folder.join(format!("posthaste_{VERSION}_amd64.deb"));
    call(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&root).arg(&path))?;
    std::fs::remove_dir_all(&root)?;
    try_it(folder, &path)?;
    println!("release: {} made, installed into an empty folder and run", path.display());
    Ok(Made::File(path))
}

fn try_it(folder: &Path, package: &Path) -> Result<()> {
    let root = folder.join("installed");
    for file in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
        write(&root.join(file), "")?;
    }
    let root = std::path::absolute(&root)?;
    // What it depends on is on this machine, not in the folder.
    call(
        Command::new("dpkg")
            .arg(format!("--root={}", root.display()))
            .args(["--force-depends", "--force-not-root", "--install"])
            .arg(package),
    )?;
    works(&root.join("usr/bin/posthaste"))?;
    for file in [
        "usr/share/man/man1/posthaste-send.1",
        "usr/share/bash-completion/completions/posthaste",
        "usr/lib/systemd/system/posthaste-dev.service",
    ] {
        ensure!(root.join(file).is_file(), "the package has no {file}");
    }
    let enabled = root.join("etc/systemd/system/multi-user.target.wants/posthaste-dev.service");
    ensure!(!enabled.exists(), "the unit is on before anybody has asked for it");
    std::fs::remove_dir_all(&root)?;
    Ok(())
}

fn control(kibibytes: u64) -> String {
    format!(
        "\
Package: posthaste
Version: {VERSION}
Architecture: amd64
Maintainer: The authors of Posthaste <packages@posthaste.invalid>
Installed-Size: {kibibytes}
Depends: libc6 (>= 2.34), ca-certificates
Section: net
Priority: optional
Homepage: https://github.com/posthaste-mq/posthaste
Description: producer for Apache RocketMQ, and a broker to develop against
 Sends messages to Apache RocketMQ 4.x and 5.x from the shell, and reads them
 back. Says of each message whether it was stored.
 .
 Contains a name server and broker in one process for development and tests
 (posthaste dev), with a systemd unit that is off until it is enabled.
"
    )
}

/// What it takes once installed, in KiB.
fn size(folder: &Path) -> Result<u64> {
    let said = call(Command::new("du").args(["--summarize", "--block-size=1K"]).arg(folder))?;
    Ok(said.split_whitespace().next().unwrap_or_default().parse()?)
}
