//! The benchmark: builds clients and servers, runs them side by side, and writes down what came of it.

mod case;
mod chart;
mod client;
mod curve;
mod extra;
mod goal;
mod loss;
mod machine;
mod plan;
mod process;
mod real;
mod record;
mod report;
mod round;
mod server;
mod table;
mod workshop;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use plan::Plan;
use record::Session;
use workshop::Workshop;

/// Runs every client against every server, round by round, and compares them.
#[derive(Debug, Parser)]
#[command(name = "bench/run")]
pub(crate) struct Arguments {
    /// Rounds; each runs every case once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Length of a measured interval, in seconds.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Runs only cases whose `server/shape/body/client` has this text; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Leaves out cases that have this text; may be given several times.
    #[arg(long)]
    without: Vec<String>,
    /// The few cases that matter most, one round, less than two minutes.
    #[arg(long)]
    quick: bool,
    /// Every client in every shape, with the slow ones.
    #[arg(long)]
    full: bool,
    /// Leaves the main table out: only what is named with --extra runs.
    #[arg(long)]
    no_table: bool,
    /// Also runs these: `trace`, `fairness`, `growth`, or `all`.
    #[arg(long)]
    extra: Vec<String>,
    /// Shows the cases and runs nothing.
    #[arg(long)]
    list: bool,
    /// Runs nothing; writes the tables of the last run into BENCHMARKS.md.
    #[arg(long)]
    report: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let workshop = Workshop::open()?;
    if arguments.report {
        return report::write(&workshop, &Session::load(&workshop)?);
    }
    let plan = Plan::of(&arguments);
    if arguments.list {
        plan.cases.iter().for_each(|case| println!("{case}"));
        return Ok(());
    }
    let mut session = Session::begin(&workshop, &arguments)?;
    if !arguments.no_table {
        workshop.build(&plan)?;
        let length = Duration::from_secs_f64(arguments.seconds);
        round::run_all(&workshop, &plan, length, &mut session)?;
    }
    extra::run(&workshop, &arguments.extra, &mut session)?;
    session.save(&workshop)?;
    print!("{}", table::markdown(&session));
    print!("{}", goal::markdown(&session));
    chart::write(&workshop, &session)
}
