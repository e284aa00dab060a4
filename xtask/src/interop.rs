//! The interop suite: Posthaste against real servers and clients, all on loopback.
//!
//! What it needs from outside is fetched once into `target/interop`; what a run writes is under
//! `target/interop/run` and stays there when something failed.

mod agent;
mod artefacts;
mod broker;
mod cluster;
mod consumer;
mod conversation;
mod embedded;
mod envelope;
mod guard;
mod home;
mod jvm;
mod mqadmin;
mod name_server;
mod ports;
mod prerequisites;
mod proxy;
mod release;
mod report;
mod scenario;
mod suite;
mod tethered;
mod tool;
mod version;
mod workshop;

use std::process::ExitCode;

use self::report::Report;
use self::suite::Suite;

pub(crate) use self::suite::Selection;

const SKIP_VARIABLE: &str = "POSTHASTE_SKIP_INTEROP";

/// Runs what was selected. The last line on stdout says `interop: PASSED`, `SKIPPED` or `FAILED`.
pub(crate) fn run(selection: Selection) -> ExitCode {
    if std::env::var_os(SKIP_VARIABLE).is_some_and(|value| value == "1") {
        println!("interop: SKIPPED ({SKIP_VARIABLE}=1)");
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new();
    if let Err(error) = Suite::prepare(selection).and_then(|suite| suite.run(&mut report)) {
        report.failed("suite", &error);
    }
    report.conclude()
}
