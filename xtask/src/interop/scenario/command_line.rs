//! A long ordered run through the command line.

use std::io::{BufWriter, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::ordered;
use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;
use crate::interop::release;

/// Has the command line.
pub(crate) const PACKAGE: &str = "posthaste-cli";

const TOPIC: &str = "command-line";
const KEYS: usize = 100;
const MESSAGES: usize = 100_000;
const LIMIT: Duration = Duration::from_secs(90);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    let program = release::build(PACKAGE)?;
    cluster.create_topic(TOPIC, 8)?;
    let mut command = Command::new(program);
    command.args(["--namesrv", &cluster.name_server(), "--quiet", "send", TOPIC]).args([
        "--key-delim",
        "\\t",
        "--ordered-by",
        "key",
    ]);
    feed(&mut command)?;
    let stored = cluster.count(TOPIC, MESSAGES)?;
    ensure!(stored == MESSAGES, "{stored} stored of {MESSAGES}");
    let consumer = cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC).orderly())?;
    let received = consumer.take(MESSAGES, LIMIT)?;
    ordered::check_order(received.iter().map(|delivery| delivery.message.text()))?;
    for delivery in &received {
        let message = &delivery.message;
        let key = message.keys.as_deref().unwrap_or_default();
        ensure!(message.text().starts_with(&format!("{key}:")), "{message:?}");
    }
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{MESSAGES} lines of {KEYS} keys"))
}

fn feed(command: &mut Command) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting posthaste")?;
    let input = child.stdin.take().context("no pipe to posthaste")?;
    let writing = thread::spawn(move || write_lines(input));
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "posthaste send ended with {}: {said}", output.status);
    writing.join().map_err(|_| anyhow!("writing the lines panicked"))?.context("writing the lines")
}

fn write_lines(input: ChildStdin) -> std::io::Result<()> {
    let mut input = BufWriter::new(input);
    for number in 0..MESSAGES {
        let key = number % KEYS;
        writeln!(input, "key-{key}\tkey-{key}:{number}")?;
    }
    input.flush()
}
