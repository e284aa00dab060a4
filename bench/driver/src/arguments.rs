//! What a run is asked to do.

use clap::Parser;

/// Runs every client against every server, round by round, and compares them.
#[derive(Debug, Parser)]
#[command(name = "bench/run")]
pub(crate) struct Arguments {
    /// Rounds; each runs every case once.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Length of a measured interval, in seconds.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) seconds: f64,
    /// Runs only cases whose `server/shape/body/client` has this text; may be given several times.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    /// Leaves out cases that have this text; may be given several times.
    #[arg(long)]
    pub(crate) without: Vec<String>,
    /// The few cases that matter most, one round, less than two minutes.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Every client in every shape, with the slow ones.
    #[arg(long)]
    pub(crate) full: bool,
    /// Leaves the main table out: only what is named with --extra runs.
    #[arg(long)]
    pub(crate) no_table: bool,
    /// Also runs these: `trace`, `fairness`, `growth`, or `all`.
    #[arg(long)]
    pub(crate) extra: Vec<String>,
    /// Shows the cases and runs nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// Runs nothing; writes the tables of the last run into BENCHMARKS.md.
    #[arg(long)]
    pub(crate) report: bool,
}
