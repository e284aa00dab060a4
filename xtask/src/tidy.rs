//! Checks of the house that no compiler makes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::Deserialize;

/// What `tidy` is asked to do.
#[derive(Args)]
pub(crate) struct Wish {
    /// Writes the file map of ARCHITECTURE.md anew.
    #[arg(long)]
    save: bool,
}

/// Crates whose files the map lists.
const CRATES: [&str; 4] = ["protocol", "producer", "broker", "cli"];
/// Where the lists begin.
const FIRST_OF_MAP: &str = "### crates/protocol/src";
/// Files that come first.
const ROOTS: [&str; 2] = ["src/lib.rs", "src/main.rs"];

/// Checks everything; says what is wrong.
pub(crate) fn run(wish: &Wish) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let problems: Vec<String> = [file_map(&root, wish.save), rust_version(&root)]
        .into_iter()
        .filter_map(|check| check.err().map(|error| format!("{error:#}")))
        .collect();
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The file map of `ARCHITECTURE.md` says of every source file what the file's head says. `save`
/// writes it anew.
fn file_map(root: &Path, save: bool) -> Result<()> {
    let path = root.join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(&path)?;
    let (before, _) = text.split_once(FIRST_OF_MAP).context("ARCHITECTURE.md has no file map")?;
    let mut written = before.to_owned();
    for (at, name) in CRATES.iter().enumerate() {
        let sources = root.join("crates").join(name).join("src");
        let mut files = Vec::new();
        collect(&sources, &mut files)?;
        if at > 0 {
            written.push('\n');
        }
        write!(written, "### crates/{name}/src\n\n| file | what it is |\n|---|---|\n")?;
        // The root first, and each module before its parts.
        let is_root = |file: &Path| ROOTS.iter().any(|root| file.ends_with(root));
        files.sort_by_key(|file| (!is_root(file), file.with_extension("")));
        for file in files {
            let path = file.strip_prefix(&sources)?.to_string_lossy().replace('\\', "/");
            writeln!(written, "| `{path}` | {} |", head(&file)?)?;
        }
    }
    if save {
        std::fs::write(&path, written)?;
    } else {
        ensure!(written == text, "the file map is not true: run `cargo xtask tidy --save`");
    }
    Ok(())
}

/// The first sentence of a file's documentation.
fn head(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file)?;
    let words: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .take_while(|line| !line.is_empty())
        .flat_map(str::split_whitespace)
        .collect();
    ensure!(!words.is_empty(), "{} does not say what it is", file.display());
    let paragraph = words.join(" ");
    let sentence = paragraph.split_once(". ").map_or(&*paragraph, |(sentence, _)| sentence);
    Ok(sentence.trim_end_matches(['.', ':']).replace('|', "\\|"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

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
fn rust_version(root: &Path) -> Result<()> {
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
