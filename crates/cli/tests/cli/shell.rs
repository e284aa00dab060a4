//! Runs the binary and keeps what it says.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use posthaste_broker::Broker;
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncWriteExt, Lines};
use tokio::process::{Child, Command};

/// No test waits longer for anything. A bound on hanging, not a measure of speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Fails with everything that was said unless the exit code is this one.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// stdout as JSON, a value a line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }
}

#[track_caller]
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The binary, with an environment without contexts.
pub(crate) fn posthaste(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POSTHASTE_") {
            command.env_remove(name);
        }
    }
    command
        .args(args)
        .env_remove("NAMESRV_ADDR")
        .env("XDG_CONFIG_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/no-contexts"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The binary, with the name server's address. What it does has all the time it needs, unless the
/// arguments say how much.
pub(crate) fn posthaste_at(name_server: SocketAddr, args: &[&str]) -> Command {
    let time: &[&str] = if args.contains(&"--timeout") { &[] } else { &["--timeout", "1h"] };
    let mut command = posthaste(&[time, args].concat());
    command.env("NAMESRV_ADDR", name_server.to_string());
    command
}

/// Runs to the end with this on stdin.
pub(crate) async fn run(mut command: Command, stdin: impl AsRef<[u8]>) -> Run {
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.as_ref().to_vec();
    let writer = tokio::spawn(async move {
        // A program that ends before it has read everything closes the pipe.
        let _ = pipe.write_all(&stdin).await;
    });
    let run = finish(child).await;
    writer.abort();
    run
}

/// Waits for the end.
pub(crate) async fn finish(child: Child) -> Run {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("it does not end")
        .unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The next line that a running program writes; `None` when it writes no more.
pub(crate) async fn next_line(lines: &mut Lines<impl AsyncBufRead + Unpin>) -> Option<String> {
    tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it says nothing").unwrap()
}

/// Whether a hang-up ends what the tests start: `nohup`, which may have started them, has it ignored.
pub(crate) fn is_hangup_heard() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_none_or(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 0))
}

/// Sends a signal, as `Ctrl-C` and `kill` do.
pub(crate) async fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id().unwrap());
    let status = Command::new("sh").args(["-c", &kill]).status().await.unwrap();
    assert!(status.success());
}

/// An embedded broker.
pub(crate) async fn broker() -> Broker {
    Broker::builder().start().await.unwrap()
}

/// `send` with these flags and this on stdin.
pub(crate) async fn send(broker: &Broker, flags: &[&str], stdin: impl AsRef<[u8]>) -> Run {
    let args: Vec<&str> = ["send"].iter().chain(flags).copied().collect();
    run(posthaste_at(broker.name_server(), &args), stdin).await
}

/// Everything in a topic, as envelopes.
pub(crate) async fn landed(broker: &Broker, topic: &str) -> Vec<Value> {
    let args = ["tail", topic, "--until", "now", "-o", "json"];
    run(posthaste_at(broker.name_server(), &args), "").await.expect_code(0).json()
}

/// Bodies of everything in a topic, sorted.
pub(crate) async fn landed_bodies(broker: &Broker, topic: &str) -> Vec<String> {
    let mut bodies: Vec<String> = landed(broker, topic)
        .await
        .iter()
        .map(|line| line["body"].as_str().unwrap().to_owned())
        .collect();
    bodies.sort_unstable();
    bodies
}

/// Waits until this many messages are in a topic.
pub(crate) async fn until_landed(broker: &Broker, topic: &str, count: usize) {
    let args = ["tail", topic, "--until", "now"];
    let landed = async {
        // Until the first is there, there may be no such topic.
        while run(posthaste_at(broker.name_server(), &args), "").await.stdout.lines().count()
            < count
        {}
    };
    tokio::time::timeout(PATIENCE, landed).await.expect("the messages do not land");
}
