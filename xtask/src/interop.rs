//! The interop suite: Posthaste against real servers and clients, all on loopback.
//!
//! What it needs from outside is fetched once into `target/interop`; what a run writes is under
//! `target/interop/run` and stays there when something failed.

pub(crate) mod agent;
pub(crate) mod artefacts;
pub(crate) mod broker;
mod cluster;
pub(crate) mod consumer;
mod conversation;
mod embedded;
pub(crate) mod envelope;
pub(crate) mod guard;
pub(crate) mod home;
pub(crate) mod jvm;
mod mqadmin;
pub(crate) mod name_server;
mod ports;
pub(crate) mod prerequisites;
mod proxy;
mod release;
mod report;
mod scenario;
mod suite;
pub(crate) mod tethered;
mod tool;
pub(crate) mod version;
pub(crate) mod workshop;

use std::process::ExitCode;

use self::report::Report;
use self::suite::Suite;

pub(crate) use self::suite::Selection;

/// Runs what was selected. The last line on stdout says `interop: PASSED`, `SKIPPED` or `FAILED`.
pub(crate) fn run(selection: Selection) -> ExitCode {
    if prerequisites::are_waived() {
        println!("interop: SKIPPED ({}=1)", prerequisites::SKIP_VARIABLE);
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new();
    if let Err(error) = Suite::prepare(selection).and_then(|suite| suite.run(&mut report)) {
        report.failed("suite", &error);
    }
    report.conclude()
}
