//! The files of an installation, made once by the binary itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::call;

/// What goes beside the binary.
const DOCUMENTS: [&str; 3] = ["LICENSE", "README.md", "CHANGELOG.md"];
/// Shells, and where a system keeps the completions of each, by the program's name.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/posthaste"),
    ("zsh", "usr/share/zsh/vendor-completions/_posthaste"),
    ("fish", "usr/share/fish/vendor_completions.d/posthaste.fish"),
];

/// Binary, manual and completions, ready to be copied.
pub(super) struct Tree {
    binary: PathBuf,
    manual: PathBuf,
    /// Scripts, each with the shell and its place in a system.
    completions: Vec<(&'static str, &'static str, String)>,
}

impl Tree {
    pub(super) fn make(folder: &Path, binary: &Path) -> Result<Self> {
        let manual = folder.join("man1");
        call(Command::new(binary).arg("man").arg(&manual))?;
        let script = |(shell, place)| {
            Ok((shell, place, call(Command::new(binary).args(["completions", shell]))?))
        };
        let completions = COMPLETIONS.into_iter().map(script).collect::<Result<_>>()?;
        Ok(Self { binary: binary.to_owned(), manual, completions })
    }

    /// Everything in one folder, as an archive has it.
    pub(super) fn copy_flat(&self, to: &Path) -> Result<()> {
        put(&self.binary, &to.join("posthaste"))?;
        for name in DOCUMENTS {
            put(Path::new(name), &to.join(name))?;
        }
        for (shell, _, script) in &self.completions {
            write(&to.join("completions").join(shell), script)?;
        }
        self.copy_manual(&to.join("man1"))
    }

    /// Everything where a system has it.
    pub(super) fn copy_to_system(&self, root: &Path) -> Result<()> {
        put(&self.binary, &root.join("usr/bin/posthaste"))?;
        let documents = root.join("usr/share/doc/posthaste");
        for (name, to) in DOCUMENTS.into_iter().zip(["copyright", "README.md", "changelog.md"]) {
            put(Path::new(name), &documents.join(to))?;
        }
        for (_, place, script) in &self.completions {
            write(&root.join(place), script)?;
        }
        let unit = "posthaste-dev.service";
        put(&Path::new("packaging").join(unit), &root.join("usr/lib/systemd/system").join(unit))?;
        self.copy_manual(&root.join("usr/share/man/man1"))
    }

    fn copy_manual(&self, to: &Path) -> Result<()> {
        for page in std::fs::read_dir(&self.manual)? {
            let page = page?;
            put(&page.path(), &to.join(page.file_name()))?;
        }
        Ok(())
    }
}

/// Copies a file, with its permissions, into folders that need not be there.
pub(super) fn put(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    let copied = std::fs::copy(from, to);
    copied.with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))?;
    Ok(())
}

pub(super) fn write(to: &Path, text: &str) -> Result<()> {
    make_parent(to)?;
    std::fs::write(to, text).with_context(|| format!("{} cannot be written", to.display()))
}

fn make_parent(of: &Path) -> Result<()> {
    let parent = of.parent().context("a file without a folder")?;
    std::fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))
}
