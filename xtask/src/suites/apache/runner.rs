//! A Java process that runs Apache's tests, class by class.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::interop::artefacts::Artefacts;
use crate::interop::tethered::Tethered;
use crate::interop::{home, jvm};
use crate::suites::server::{BROKER, Server};

const OPTIONS: [&str; 3] = ["-Xms64m", "-Xmx512m", "-XX:TieredStopAtLevel=1"];
const JAR: &str = "rocketmq-test-5.5.0-tests.jar";
/// Some tests wait for minutes; one that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(420);

/// How one test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its class, without the package that all share, and its method.
    pub(crate) test: String,
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
}

/// The process.
pub(crate) struct Runner {
    commands: ChildStdin,
    said: Receiver<Line>,
    _process: Tethered,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    class: Option<String>,
    started: Option<String>,
    ended: Option<String>,
    failure: Option<String>,
    done: Option<String>,
}

impl Runner {
    /// Starts a process that tests a server.
    pub(crate) fn start(
        name: &str,
        artefacts: &Artefacts,
        server: &Server,
        folder: &Path,
    ) -> Result<Self> {
        let home = folder.join(name);
        home::furnish(&home)?;
        let mut java = jvm::command(artefacts, &home, &OPTIONS)?;
        java.arg(format!("-Dsuites.nameServer={}", server.name_server()))
            .arg(format!("-Dsuites.broker={BROKER}"))
            .arg(format!("-Dsuites.address={}", server.address()))
            .arg("interop.Tests")
            .arg(artefacts.jar(JAR));
        let log = folder.join(format!("{name}.log"));
        let mut process = Tethered::converse(name, &mut java, &log)?;
        let commands = process.child().stdin.take().context("no pipe to the tests")?;
        let said = process.child().stdout.take().context("no pipe from the tests")?;
        let (lines, received) = mpsc::channel();
        thread::spawn(move || read(said, &lines));
        Ok(Self { commands, said: received, _process: process })
    }

    /// The names of all classes with tests.
    pub(crate) fn classes(&mut self) -> Result<Vec<String>> {
        writeln!(self.commands, "list")?;
        let mut classes = Vec::new();
        loop {
            let line = self.said.recv_timeout(SILENCE).context("the list of tests")?;
            if line.done.is_some() {
                return Ok(classes);
            }
            classes.extend(line.class);
        }
    }

    /// Runs the tests of a class.
    ///
    /// # Errors
    /// The tests that have ended, when the process has ended or hangs. It cannot be used any more.
    pub(crate) fn run(&mut self, class: &str) -> Result<Vec<Ended>, Vec<Ended>> {
        let mut ended = Vec::new();
        let mut current = class.to_owned();
        // A process that takes no name says nothing either.
        let _ = writeln!(self.commands, "{class}");
        let why = loop {
            match self.said.recv_timeout(SILENCE) {
                Ok(Line { done: Some(_), .. }) => return Ok(ended),
                Ok(Line { started: Some(test), .. }) => current = test,
                Ok(Line { ended: Some(test), failure, .. }) => ended.push(Ended { test, failure }),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break format!("nothing for {SILENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => break "it ended its process".to_owned(),
            }
        };
        ended.push(Ended { test: current, failure: Some(why) });
        Err(ended)
    }
}

fn read(said: ChildStdout, lines: &Sender<Line>) {
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        // Lines that are not JSON come from libraries.
        if let Ok(line) = serde_json::from_str(&line) {
            // Without a receiver nothing waits for the tests any more.
            let _ = lines.send(line);
        }
    }
}

/// Refuses an empty list.
pub(crate) fn some(classes: Vec<String>) -> Result<Vec<String>> {
    if classes.is_empty() {
        bail!("no class with tests is selected");
    }
    Ok(classes)
}
