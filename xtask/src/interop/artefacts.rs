use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use super::tool;
use super::version::Version;
use super::workshop::{self, Workshop};

/// Where the sources of the agents are, and of what runs Apache's tests.
const AGENTS: &str = "src";
const TESTS: &str = "tests";

/// What one version needs to run: its jars, and the helper programs compiled against them.
pub(crate) struct Artefacts {
    version: Version,
    /// What names the jars.
    project: &'static str,
    /// Where the helper programs are.
    sources: PathBuf,
    jars: PathBuf,
    classes: PathBuf,
}

impl Artefacts {
    /// Fetches and compiles what is not there yet.
    pub(crate) fn of(version: Version, workshop: &Workshop) -> Result<Self> {
        Self::new(version, "pom.xml", AGENTS, &workshop.cache(version.as_str()))
    }

    /// As [`of`](Self::of), for a version's proxy, which needs other jars.
    pub(crate) fn of_proxy(version: Version, workshop: &Workshop) -> Result<Self> {
        Self::new(version, "proxy.xml", AGENTS, &workshop.cache(&format!("{version}-proxy")))
    }

    /// As [`of`](Self::of), for Apache's own integration tests of a version.
    pub(crate) fn of_tests(version: Version, workshop: &Workshop) -> Result<Self> {
        Self::new(version, "tests.xml", TESTS, &workshop.cache(&format!("{version}-tests")))
    }

    fn new(version: Version, project: &'static str, sources: &str, cache: &Path) -> Result<Self> {
        let (jars, classes) = (cache.join("jars"), cache.join("classes"));
        let sources = workshop::sources().join("java").join(sources);
        let artefacts = Self { version, project, sources, jars, classes };
        artefacts.fetch().with_context(|| format!("fetching Apache RocketMQ {version}"))?;
        artefacts.compile().with_context(|| format!("compiling against {version}"))?;
        Ok(artefacts)
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// One of the jars.
    pub(crate) fn jar(&self, name: &str) -> PathBuf {
        self.jars.join(name)
    }

    pub(crate) fn class_path(&self) -> Result<OsString> {
        Ok(std::env::join_paths([self.classes.clone(), self.jars.join("*")])?)
    }

    fn fetch(&self) -> Result<()> {
        complete(&self.jars, |folder| {
            println!("fetching Apache RocketMQ {} …", self.version);
            let mut maven = Command::new("mvn");
            maven
                .args(["--batch-mode", "--quiet", "--file"])
                .arg(workshop::sources().join("java").join(self.project))
                .arg(format!("-Drocketmq.version={}", self.version))
                .arg("-DincludeScope=runtime")
                .arg(format!("-DoutputDirectory={}", folder.display()))
                .arg("dependency:copy-dependencies");
            tool::run(&mut maven).map(drop)
        })
    }

    fn compile(&self) -> Result<()> {
        let sources = java_sources(&self.sources)?;
        if is_older(&self.classes, &sources)? {
            remove(&self.classes)?;
        }
        complete(&self.classes, |folder| {
            let mut javac = Command::new("javac");
            javac
                .args(["-encoding", "UTF-8", "-nowarn", "-d"])
                .arg(folder)
                .arg("-classpath")
                .arg(self.jars.join("*"))
                .args(&sources);
            tool::run(&mut javac).map(drop)
        })
    }
}

/// The Go client's helper program, built.
pub(crate) fn go_agent(workshop: &Workshop) -> Result<PathBuf> {
    let program = workshop.cache("go").join("agent");
    let mut go = Command::new("go");
    go.current_dir(workshop::sources().join("go")).args(["build", "-o"]).arg(&program).arg(".");
    tool::run(&mut go).context("building the Go agent")?;
    Ok(program)
}

/// The Python client in a separate environment, and its helper program: what to start.
pub(crate) fn python_agent(workshop: &Workshop) -> Result<Vec<PathBuf>> {
    let sources = workshop::sources().join("python");
    let environment = workshop.cache("python");
    complete(&environment, |folder| {
        println!("fetching the Python client …");
        let mut python = Command::new("python3");
        tool::run(python.args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin").join("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
        tool::run(pip.arg(sources.join("requirements.txt"))).map(drop)
    })
    .context("fetching the Python client")?;
    Ok(vec![environment.join("bin").join("python"), sources.join("agent.py")])
}

/// The helper program on `rocketmq-client-rust`, built.
pub(crate) fn rust_agent(workshop: &Workshop) -> Result<PathBuf> {
    let target = workshop.cache("rust");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--locked", "--manifest-path"]);
    build.arg(workshop::sources().join("rust").join("Cargo.toml"));
    tool::run(build.arg("--target-dir").arg(&target)).context("building the Rust agent")?;
    Ok(target.join("debug").join("interop-rust"))
}

/// Fills a folder unless it is there. It gets its name only when complete, so an interrupted run
/// leaves nothing that a later one would take for whole.
fn complete(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let partial = folder.with_extension("partial");
    remove(&partial)?;
    fs::create_dir_all(&partial)?;
    fill(&partial)?;
    fs::rename(&partial, folder).with_context(|| format!("creating {}", folder.display()))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    Ok(())
}

fn java_sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut sources = Vec::new();
    for entry in entries {
        let path = entry?.path();
        match path.is_dir() {
            true => sources.extend(java_sources(&path)?),
            false => sources.push(path),
        }
    }
    Ok(sources)
}

fn is_older(built: &Path, sources: &[PathBuf]) -> Result<bool> {
    if !built.exists() {
        return Ok(false);
    }
    let built = changed(built)?;
    for source in sources {
        if changed(source)? > built {
            return Ok(true);
        }
    }
    Ok(false)
}

fn changed(path: &Path) -> Result<SystemTime> {
    Ok(fs::metadata(path)?.modified()?)
}
