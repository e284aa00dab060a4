//! An image with the static binary and nothing else.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::tree::put;
use super::{Made, VERSION, call};

/// Where systems keep the certificate authorities that they trust.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Builds it, starts it, waits until it is healthy, and saves it as one file.
pub(super) fn build(folder: &Path, binary: &Path) -> Result<Made> {
    let Some(builder) = ["podman", "docker"].into_iter().find(|program| answers(program)) else {
        return Ok(Made::Nothing("neither podman nor docker can be reached"));
    };
    let context = folder.join("image");
    put(binary, &context.join("posthaste"))?;
    put(Path::new(AUTHORITIES), &context.join("ca-certificates.crt"))?;
    put(Path::new("packaging/Containerfile"), &context.join("Containerfile"))?;
    let name = format!("posthaste:{VERSION}");
    let containerfile = context.join("Containerfile");
    call(
        Command::new(builder)
            .args(["build", "--tag", &name, "--file"])
            .arg(&containerfile)
            .arg(&context),
    )?;
    std::fs::remove_dir_all(&context)?;
    let container = call(Command::new(builder).args(["run", "--detach", "--rm", &name]))?;
    let check = ["exec", container.trim(), "/posthaste", "dev", "--healthy", "--timeout", "30s"];
    let healthy = call(Command::new(builder).args(check));
    call(Command::new(builder).args(["stop", container.trim()]))?;
    healthy?;
    let path = folder.join(format!("posthaste-{VERSION}-image.tar"));
    call(Command::new(builder).arg("save").arg("--output").arg(&path).arg(&name))?;
    println!("release: {} built and healthy", path.display());
    Ok(Made::File(path))
}

/// A client without its daemon builds nothing.
fn answers(program: &str) -> bool {
    Command::new(program).arg("info").output().is_ok_and(|output| output.status.success())
}
