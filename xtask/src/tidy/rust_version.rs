//! The compiler version: no crate that ships needs a newer one than the workspace says.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    rust_version: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// No crate that ships needs a newer compiler than the workspace says. (That our own code does not
/// is clippy's `incompatible_msrv`.)
pub(crate) fn check(root: &Path) -> Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root)
        .output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let shipped = shipped(&metadata);
    let version = |package: &Package| package.rust_version.as_deref().map(parse);
    let ours = metadata
        .packages
        .iter()
        .filter(|package| metadata.workspace_members.contains(&package.id))
        .filter_map(version)
        .min()
        .context("the workspace has no rust-version")?;
    let newer: Vec<&str> = metadata
        .packages
        .iter()
        .filter(|package| shipped.contains(package.id.as_str()) && version(package) > Some(ours))
        .map(|package| package.name.as_str())
        .collect();
    ensure!(newer.is_empty(), "need a newer compiler than rust-version: {}", newer.join(", "));
    Ok(())
}

/// The crates that the workspace's members need to build, tests left out.
fn shipped(metadata: &Metadata) -> BTreeSet<&str> {
    let mut shipped = BTreeSet::new();
    let mut open: Vec<&str> = metadata.workspace_members.iter().map(String::as_str).collect();
    while let Some(id) = open.pop() {
        if !shipped.insert(id) {
            continue;
        }
        let node = metadata.resolve.nodes.iter().find(|node| node.id == id);
        for dependency in node.iter().flat_map(|node| &node.deps) {
            if dependency.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev")) {
                open.push(&dependency.pkg);
            }
        }
    }
    shipped
}

fn parse(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or_default());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}
