use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow};

/// Servers limit the time of their starts; this is longer than all of these limits together.
const START_LIMIT: Duration = Duration::from_secs(300);

/// What became of the scenarios, one line each.
pub(crate) struct Report {
    passed: usize,
    failed: Vec<String>,
    started: Instant,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { passed: 0, failed: Vec::new(), started: Instant::now() }
    }

    /// Runs one scenario and says how it went. What it returns is shown behind its name.
    pub(crate) fn scenario(
        &mut self,
        name: &str,
        limit: Duration,
        run: impl FnOnce() -> Result<String>,
    ) {
        let started = Instant::now();
        match guarded(name, limit, run) {
            Ok(detail) => {
                self.passed += 1;
                println!("ok      {name:<36} {:>6.1} s  {detail}", started.elapsed().as_secs_f64());
            }
            Err(error) => self.failed(name, &error),
        }
    }

    /// Fetches or builds what scenarios need, which may take long and says so itself.
    pub(crate) fn provision<T>(
        &mut self,
        name: &str,
        run: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        run().map_err(|error| self.failed(name, &error)).ok()
    }

    /// Starts what scenarios need. Says nothing when it works.
    pub(crate) fn stage<T>(&mut self, name: &str, run: impl FnOnce() -> Result<T>) -> Option<T> {
        guarded(name, START_LIMIT, run).map_err(|error| self.failed(name, &error)).ok()
    }

    pub(crate) fn failed(&mut self, name: &str, error: &Error) {
        println!("FAILED  {name}: {error:#}");
        self.failed.push(name.to_owned());
    }

    pub(crate) fn has_failures(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Prints the last line.
    pub(crate) fn conclude(self) -> ExitCode {
        println!("took {:.0} s", self.started.elapsed().as_secs_f64());
        if self.has_failures() {
            println!("interop: FAILED ({})", self.failed.join(", "));
            return ExitCode::FAILURE;
        }
        if self.passed == 0 {
            println!("interop: FAILED (the selection fits no scenario)");
            return ExitCode::FAILURE;
        }
        println!("interop: PASSED ({} scenarios)", self.passed);
        ExitCode::SUCCESS
    }
}

/// Turns a panic into an error, and a hang into the end of the program.
fn guarded<T>(name: &str, limit: Duration, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let _watch = watch(name.to_owned(), limit);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(anyhow!("panicked, see above")))
}

/// Watches until the returned value is dropped.
fn watch(name: String, limit: Duration) -> Sender<()> {
    let (watched, end) = mpsc::channel();
    thread::spawn(move || {
        if end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            println!("FAILED  {name}: no end after {limit:?}");
            println!("interop: FAILED ({name} hangs)");
            // The children's pipes close with this process, and that ends them.
            std::process::exit(1);
        }
    });
    watched
}
