use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::tool;

const POLL: Duration = Duration::from_millis(20);

/// A child process that lives no longer than this value, and no longer than this program either: it
/// ends by itself when the pipe to its standard input closes.
pub(crate) struct Tethered {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Tethered {
    /// Starts a server. What it prints goes to a log.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::piped())
            .stderr(out.try_clone()?)
            .stdout(out)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_path_buf() })
    }

    /// Starts a program that is spoken with over standard input and output; only its complaints go to
    /// the log.
    pub(crate) fn converse(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let complaints = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_path_buf() })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until the log, from byte `from` on, has `sign`.
    pub(crate) fn await_log(&mut self, sign: &str, from: u64, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.said_since(from).contains(sign) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}) before it was ready:\n{}", self.name, self.last_words());
            }
            thread::sleep(POLL);
        }
        bail!("{} was not ready after {limit:?}:\n{}", self.name, self.last_words())
    }

    /// Asks the process to end in order, and waits until it has.
    pub(crate) fn stop(mut self, limit: Duration) -> Result<()> {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + limit;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("{} did not end within {limit:?}", self.name);
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Ends the process at once, as `kill -9` does.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("killing {}", self.name))?;
        self.child.wait()?;
        Ok(())
    }

    fn said_since(&self, from: u64) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let start = usize::try_from(from).unwrap_or(usize::MAX).min(text.len());
        String::from_utf8_lossy(text.get(start..).unwrap_or_default()).into_owned()
    }

    fn last_words(&self) -> String {
        tool::last_lines(&fs::read_to_string(&self.log).unwrap_or_default())
    }
}

impl Drop for Tethered {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and a dead child is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a log is now; zero when there is none yet.
pub(crate) fn log_length(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |metadata| metadata.len())
}
