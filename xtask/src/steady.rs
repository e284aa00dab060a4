//! Finds tests that mind a busy machine: the workspace's tests again and again, while other processes
//! keep every core busy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, stdin};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

/// Busy processes for each core.
const BUSY_PER_CORE: usize = 4;
/// Where the output of a run that failed is kept.
const LOGS: &str = "target/steady";

/// How often and how long to run the tests.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// How many times the tests run.
    #[arg(default_value_t = 10)]
    runs: u32,
    /// Starts no further run after this many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Only the tests of these packages; all of them by default.
    #[arg(long, short, value_name = "PACKAGE")]
    package: Vec<String>,
    /// Only tests with this in their names.
    #[arg(long)]
    filter: Option<String>,
}

/// Runs the tests, and says which of them failed how often.
pub(crate) fn run(selection: &Selection) -> ExitCode {
    match run_all(selection) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("steady: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Keeps a core busy until the standard input ends, so that it never outlives the command that started it.
pub(crate) fn keep_busy() -> ExitCode {
    std::thread::spawn(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    // However the input ends, the work is over.
    let _ = stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

fn run_all(selection: &Selection) -> Result<bool> {
    ensure!(selection.runs > 0, "0 runs show nothing; ask for at least one");
    // Compiling under load would only take time.
    let compiled = tests(selection).arg("--no-run").status().context("cargo cannot be started")?;
    ensure!(compiled.success(), "the tests do not compile");
    std::fs::create_dir_all(LOGS).with_context(|| format!("{LOGS} cannot be made"))?;
    let load = Load::begin()?;
    println!("{} busy processes beside the tests", load.0.len());
    let until = selection
        .minutes
        .map(|minutes| {
            Duration::try_from_secs_f64(minutes * 60.0).map(|left| Instant::now() + left)
        })
        .transpose()
        .context("--minutes is no length of time")?;
    let mut failures = BTreeMap::<String, u32>::new();
    let (mut done, mut green) = (0, 0);
    while done < selection.runs && until.is_none_or(|until| Instant::now() < until) {
        done += 1;
        let begun = Instant::now();
        let failed = one_run(selection, done)?;
        println!(
            "run {done}: {} ({} s)",
            if failed.is_empty() {
                "green".to_owned()
            } else {
                format!("failed: {}", failed.join(", "))
            },
            begun.elapsed().as_secs()
        );
        green += u32::from(failed.is_empty());
        for name in failed {
            *failures.entry(name).or_default() += 1;
        }
    }
    println!("{}", summary(done, green, &failures));
    Ok(green == done)
}

/// Names what failed; of a run that fails, the output is kept.
fn one_run(selection: &Selection, number: u32) -> Result<Vec<String>> {
    let output = tests(selection).output().context("cargo cannot be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut failed = failed_tests(&text);
    if !output.status.success() && failed.is_empty() {
        failed.push("(no test named: see the log)".to_owned());
    }
    if !failed.is_empty() {
        let log = Path::new(LOGS).join(format!("run-{number}.log"));
        std::fs::write(&log, format!("{text}\n{errors}"))
            .with_context(|| format!("{} cannot be written", log.display()))?;
    }
    Ok(failed)
}

fn tests(selection: &Selection) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--no-fail-fast"]);
    match &*selection.package {
        [] => command.arg("--workspace"),
        packages => command.args(packages.iter().flat_map(|package| ["-p", package])),
    };
    if let Some(filter) = &selection.filter {
        command.arg(filter);
    }
    command
}

/// The tests that the harness names in its list of failures, each once.
fn failed_tests(output: &str) -> Vec<String> {
    let mut failed: Vec<String> = output
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
        .map(str::to_owned)
        .collect();
    failed.sort();
    failed.dedup();
    failed
}

fn summary(runs: u32, green: u32, failures: &BTreeMap<String, u32>) -> String {
    let mut text = String::new();
    for (name, count) in failures {
        // Writing into a text never fails.
        let _ = writeln!(text, "{name}: failed {count} of {runs}");
    }
    if green < runs {
        let _ = writeln!(text, "the output of each run that failed is in {LOGS}");
    }
    let _ = write!(text, "steady: {green} of {runs} runs green");
    text
}

/// The busy processes; they end with it.
struct Load(Vec<Child>);

impl Load {
    fn begin() -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let this = std::env::current_exe().context("the path of this program is not known")?;
        let mut load = Self(Vec::new());
        for _ in 0..cores * BUSY_PER_CORE {
            let busy = Command::new(&this).arg("busy").stdin(Stdio::piped()).spawn();
            load.0.push(busy.context("a busy process cannot be started")?);
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for busy in &mut self.0 {
            // One that has ended by itself needs no end.
            let _ = busy.kill();
            let _ = busy.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_named_once() {
        let output = "running 3 tests\ntest a::b ... ok\ntest a::c ... FAILED\ntest d ... ignored\n\
                      \nfailures:\n    a::c\ntest a::c ... FAILED\n";
        assert_eq!(failed_tests(output), ["a::c"]);
    }

    #[test]
    fn the_summary_says_how_often_each_failed() {
        let failures = BTreeMap::from([("a::c".to_owned(), 2)]);
        let text = summary(10, 8, &failures);
        assert!(text.starts_with("a::c: failed 2 of 10\n"), "{text}");
        assert!(text.ends_with("steady: 8 of 10 runs green"), "{text}");
        assert_eq!(summary(3, 3, &BTreeMap::new()), "steady: 3 of 3 runs green");
    }
}
