//! Building and fetching what a plan needs.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::case::ServerKind;
use crate::client::Kind;
use crate::plan::Plan;
use crate::workshop::Workshop;

impl Workshop {
    /// Builds and fetches what the plan needs.
    pub(crate) fn build(&self, plan: &Plan) -> Result<()> {
        if plan.needs(|case| case.client.kind == Kind::RocketmqClientRust) {
            self.build_rocketmq_client_rust()?;
        }
        if plan.needs(|case| case.client.kind == Kind::Go) {
            let folder = self.sources().join("clients").join("go");
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
                .arg(self.sources().join("clients/java/pom.xml"))
                .arg(format!("-Drocketmq.version={version}"))
                .arg("-DincludeScope=runtime")
                .arg(format!("-DoutputDirectory={}", partial.display()))
                .arg("dependency:copy-dependencies");
            run(&mut maven)?;
            fs::rename(&partial, &jars)?;
        }
        let sources = fs::read_dir(self.sources().join("clients/java/src/bench"))?;
        let sources = sources.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        let mut javac = Command::new("javac");
        javac.args(["-encoding", "UTF-8", "-nowarn", "-d"]).arg(self.classes(version));
        run(javac.arg("-classpath").arg(jars.join("*")).args(sources))
    }

    fn build_rocketmq_client_rust(&self) -> Result<()> {
        println!("building rocketmq-client-rust; the first time takes minutes …");
        let manifest = self.sources().join("clients/rocketmq-client-rust/Cargo.toml");
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(self.rocketmq_client_rust_target());
        run(&mut cargo)
    }
}

/// Runs a tool to its end; when it fails, the error has what it said.
fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let program = OsStr::to_string_lossy(command.get_program()).into_owned();
    let output = output.with_context(|| format!("starting {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{program} failed ({}):\n{}", output.status, String::from_utf8_lossy(&said))
}
