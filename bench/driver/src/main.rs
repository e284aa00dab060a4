//! The benchmark: builds clients and servers, runs them side by side, and writes down what came of it.

mod arguments;
mod build;
mod case;
mod chart;
mod client;
mod curve;
mod extra;
mod goal;
mod launch;
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

use arguments::Arguments;
use plan::Plan;
use record::Session;
use workshop::Workshop;

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
