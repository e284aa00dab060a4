//! Suites of others, run whole against the embedded broker.
//!
//! What they need from outside is fetched once into `target/interop`; what a run writes is under
//! `target/interop/run` and stays there when something failed.

mod apache;
mod mqadmin;
mod server;
mod table;
mod tally;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::apache::Subject;
use self::tally::Tally;
use crate::interop::prerequisites;
use crate::interop::workshop::Workshop;

/// What to run. Default: everything.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Only this suite.
    #[arg(value_enum)]
    suite: Option<Suite>,

    /// Only calls or tests whose line or name contains this.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,

    /// Only what fits into three minutes.
    #[arg(long)]
    quick: bool,

    /// What Apache's tests are run against.
    #[arg(long, value_enum, default_value_t = Subject::Embedded)]
    server: Subject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// RocketMQ's command line tool, compared with what it says of a real 5.5.0 broker.
    Mqadmin,
    /// The integration tests that Apache RocketMQ 5.5.0 comes with.
    Apache,
}

impl Selection {
    fn takes(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|part| name.contains(part))
    }

    fn wants(&self, suite: Suite) -> bool {
        self.suite.is_none_or(|only| only == suite)
    }
}

/// Runs what was selected. The last line on stdout says `suites: PASSED`, `SKIPPED` or `FAILED`.
pub(crate) fn run(selection: &Selection) -> ExitCode {
    if prerequisites::are_waived() {
        println!("suites: SKIPPED ({}=1)", prerequisites::SKIP_VARIABLE);
        return ExitCode::SUCCESS;
    }
    match run_all(selection) {
        Ok(tallies) => conclude(&tallies),
        Err(error) => {
            println!("suites: FAILED ({error:#})");
            ExitCode::FAILURE
        }
    }
}

fn run_all(selection: &Selection) -> Result<Vec<Tally>> {
    prerequisites::check(&prerequisites::JAVA)?;
    let workshop = Workshop::open()?;
    let mut tallies = Vec::new();
    if selection.wants(Suite::Mqadmin) {
        tallies.push(mqadmin::run(selection, &workshop)?);
    }
    if selection.wants(Suite::Apache) {
        tallies.push(apache::run(selection, &workshop)?);
    }
    match tallies.iter().all(Tally::is_good) {
        true => workshop.clear_run()?,
        false => println!("what was printed is in {}", workshop.run().display()),
    }
    Ok(tallies)
}

fn conclude(tallies: &[Tally]) -> ExitCode {
    let summary = tallies.iter().map(Tally::summary).collect::<Vec<_>>().join("; ");
    if tallies.iter().all(Tally::is_good) {
        println!("suites: PASSED ({summary})");
        return ExitCode::SUCCESS;
    }
    println!("suites: FAILED ({summary})");
    ExitCode::FAILURE
}
