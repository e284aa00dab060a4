//! Posthaste as a client of the benchmark.
//!
//! Settings of its own (`--with`): `batching=off`, `oneway=unlimited`, `topics=N` (callers take
//! turns on so many topics), `workers=N` (threads of the runtime), `trace` (samples the producer every 50 ms from its cold start).

mod burst;
mod settings;
mod traced;
mod workload;

use anyhow::Result;
use bench_session::{Arguments, Measurement, Meter, Shape, Stage};
use clap::Parser;

use workload::Workload;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> Result<()> {
    let arguments = CommandLine::parse().arguments;
    let runtime = bench_session::runtime(&arguments)?;
    let workload = runtime.block_on(Workload::start(&arguments))?;
    if arguments.warm_up_ms > 0 {
        runtime.block_on(workload.run(arguments.warm_up(), None))?;
    }
    let stage = Stage;
    stage.ready()?;
    let meter = Meter::start()?;
    let measurement = runtime.block_on(async {
        let before = workload.counts();
        let (tally, trace) = match (arguments.shape, arguments.has("trace")) {
            (Shape::Burst, _) => (burst::run(&workload, arguments.in_flight).await?, Vec::new()),
            (_, true) => traced::run(&workload, arguments.measure()).await?,
            _ => (workload.run(arguments.measure(), arguments.messages).await?, Vec::new()),
        };
        let (took, cpu) = (meter.took(), meter.cpu()?);
        let counts = workload.counts();
        anyhow::Ok(Measurement {
            refused: Some(counts.refused - before.refused),
            requests: Some(counts.requests - before.requests),
            trace,
            ..tally.measured(took, cpu)
        })
    })?;
    stage.report(&measurement)
}
