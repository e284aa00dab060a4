//! The file map of ARCHITECTURE.md: a line for each source file, from the file's own head.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// Crates whose files the map lists.
const CRATES: [&str; 4] = ["protocol", "producer", "broker", "cli"];
/// Where the lists begin.
const FIRST_OF_MAP: &str = "### crates/protocol/src";
/// Files that come first.
const ROOTS: [&str; 2] = ["src/lib.rs", "src/main.rs"];

/// The file map says of every source file what the file's head says. `save` writes it anew.
pub(crate) fn check(root: &Path, save: bool) -> Result<()> {
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
