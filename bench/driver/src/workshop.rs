//! Folders, and what is built or fetched into them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::case::ServerKind;
use crate::client::Client;
use crate::plan::Plan;

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
        let folder = self.target.join("rocketmq-client-rust").join("release");
        folder.join("bench-rocketmq-client-rust")
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

    /// Builds and fetches what the plan needs.
    pub(crate) fn build(&self, plan: &Plan) -> Result<()> {
        if plan.needs(|case| case.client == Client::RocketmqClientRust) {
            self.build_rocketmq_client_rust()?;
        }
        if plan.needs(|case| case.client == Client::Go) {
            let folder = self.sources.join("clients").join("go");
            let mut go = Command::new("go");
            run(go.current_dir(folder).args(["build", "-o"]).arg(self.go_client()).arg("."))?;
        }
        let uses = |version: &str| {
            plan.needs(|case| {
                case.client.java_version() == Some(version)
                    || (version == "5.5.0" && case.server == ServerKind::Real)
            })
        };
        ["5.5.0", "4.7.0"].into_iter().filter(|version| uses(version)).try_for_each(|version| {
            self.build_java(version).with_context(|| format!("building against {version}"))
        })
    }

    /// What the real broker and the official client need.
    pub(crate) fn build_java(&self, version: &str) -> Result<()> {
        let jars = self.jars(version);
        if !jars.exists() {
            println!("fetching Apache RocketMQ {version} …");
            let partial = jars.with_extension("partial");
            let mut maven = Command::new("mvn");
            maven
                .args(["--batch-mode", "--quiet", "--file"])
                .arg(self.sources.join("clients/java/pom.xml"))
                .arg(format!("-Drocketmq.version={version}"))
                .arg("-DincludeScope=runtime")
                .arg(format!("-DoutputDirectory={}", partial.display()))
                .arg("dependency:copy-dependencies");
            run(&mut maven)?;
            fs::rename(&partial, &jars)?;
        }
        let sources = fs::read_dir(self.sources.join("clients/java/src/bench"))?;
        let sources = sources.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        let mut javac = Command::new("javac");
        javac.args(["-encoding", "UTF-8", "-nowarn", "-d"]).arg(self.classes(version));
        run(javac.arg("-classpath").arg(jars.join("*")).args(sources))
    }

    fn build_rocketmq_client_rust(&self) -> Result<()> {
        println!("building rocketmq-client-rust; the first time takes minutes …");
        let manifest = self.sources.join("clients/rocketmq-client-rust/Cargo.toml");
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(self.target.join("rocketmq-client-rust"));
        run(&mut cargo)
    }

    fn jars(&self, version: &str) -> PathBuf {
        self.target.join(format!("jars-{version}"))
    }

    fn classes(&self, version: &str) -> PathBuf {
        self.target.join(format!("classes-{version}"))
    }
}

/// Runs a tool to its end; when it fails, the error has what it said.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let program = OsStr::to_string_lossy(command.get_program()).into_owned();
    let output = output.with_context(|| format!("starting {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{program} failed ({}):\n{}", output.status, String::from_utf8_lossy(&said))
}
