//! Processes that live no longer than the value that stands for them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bench_session::Meter;

const POLL: Duration = Duration::from_millis(30);
/// A process that uses less than this in three polls in a row has settled: an idle JVM is never
/// quite still.
const QUIET: Duration = Duration::from_millis(8);
const UNSETTLED: Duration = Duration::from_secs(3);

/// A child that is spoken with by lines.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    /// Starts it; what it says on standard error goes to a log.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let complaints = File::options().create(true).append(true).open(log)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        let output = child.stdout.take().context("a child without output")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        Ok(Self { child, input, lines })
    }

    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{line}")?;
        Ok(input.flush()?)
    }

    /// The next line that it says.
    pub(crate) fn hear(&self, within: Duration) -> Result<String> {
        self.lines.recv_timeout(within).map_err(|error| match error {
            RecvTimeoutError::Timeout => anyhow!("it said nothing more for {within:.0?}"),
            RecvTimeoutError::Disconnected => anyhow!("it ended; its log says why"),
        })
    }

    /// The first line that `wanted` takes; others are skipped.
    pub(crate) fn await_line<T>(
        &self,
        within: Duration,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + within;
        loop {
            let line = self.hear(deadline.saturating_duration_since(Instant::now()))?;
            if let Some(found) = wanted(&line) {
                return Ok(found);
            }
        }
    }

    /// Begins to measure its processor time.
    pub(crate) fn meter(&self) -> Result<Meter> {
        Meter::of_process(self.child.id())
    }

    /// Waits until it has done what it has to do, at most three seconds.
    pub(crate) fn settle(&self) -> Result<()> {
        let (began, mut quiet) = (Instant::now(), 0);
        while quiet < 3 && began.elapsed() < UNSETTLED {
            let meter = self.meter()?;
            std::thread::sleep(POLL);
            quiet = if meter.cpu()? < QUIET { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn peak_rss_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("no VmHWM")?.parse()?)
    }

    /// Lets it end by itself, for a while.
    pub(crate) fn release(mut self, within: Duration) {
        self.input = None;
        let deadline = Instant::now() + within;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and a dead child is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
