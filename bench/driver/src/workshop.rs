//! Folders, and where in them everything is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

// What versions from before modules reach into.
const OPENED: [&str; 6] = [
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
];

/// The folders of the benchmark.
pub(crate) struct Workshop {
    sources: PathBuf,
    /// Where cargo puts what it builds, and what else is built or fetched.
    target: PathBuf,
}

impl Workshop {
    pub(crate) fn open() -> Result<Self> {
        let driver = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sources = driver.parent().context("no parent folder")?.to_path_buf();
        // This program is TARGET/release/bench-driver.
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(2).context("no target folder")?.to_path_buf();
        let workshop = Self { sources, target };
        fs::create_dir_all(workshop.target.join("run"))?;
        fs::create_dir_all(workshop.results())?;
        Ok(workshop)
    }

    /// A Rust program of this workspace.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    pub(crate) fn rocketmq_client_rust(&self) -> PathBuf {
        let folder = self.rocketmq_client_rust_target().join("release");
        folder.join("bench-rocketmq-client-rust")
    }

    /// Where cargo puts the client that is built apart.
    pub(crate) fn rocketmq_client_rust_target(&self) -> PathBuf {
        self.target.join("rocketmq-client-rust")
    }

    pub(crate) fn go_client(&self) -> PathBuf {
        self.target.join("go-client")
    }

    /// A folder for a server to write into.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.target.join("run").join(name)
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.target.join("run").join(format!("{name}.log"))
    }

    /// Where the sources of the benchmark are.
    pub(crate) fn sources(&self) -> &Path {
        &self.sources
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.sources.join("results")
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.sources.parent().unwrap_or(&self.sources).to_path_buf()
    }

    /// A JVM with the jars of this version that keeps all its files in a folder of this name.
    pub(crate) fn java(&self, version: &str, home: &str, options: &[&str], main: &str) -> Command {
        let home = self.scratch(home);
        let temporary = self.target.join("run").join("tmp");
        let _ = fs::create_dir_all(&temporary);
        let jars = self.jars(version).join("*");
        let classes = self.classes(version);
        let mut java = Command::new("java");
        java.args(options)
            .args(OPENED)
            .arg(format!("-Djava.io.tmpdir={}", temporary.display()))
            .arg(format!("-Duser.home={}", home.display()))
            .arg(format!("-Drocketmq.home.dir={}", home.display()))
            .env("ROCKETMQ_HOME", &home)
            .arg("-classpath")
            .arg(format!("{}:{}", classes.display(), jars.display()))
            .arg(main);
        java
    }

    pub(crate) fn jars(&self, version: &str) -> PathBuf {
        self.target.join(format!("jars-{version}"))
    }

    pub(crate) fn classes(&self, version: &str) -> PathBuf {
        self.target.join(format!("classes-{version}"))
    }
}
