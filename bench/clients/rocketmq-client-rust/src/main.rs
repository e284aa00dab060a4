//! `rocketmq-client-rust` 1.0 as a client of the benchmark.
//!
//! Settings of its own (`--with`): `autobatch` switches its batching on.

mod rival;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use bench_session::{
    Arguments, Latencies, Measurement, Meter, Outcome, Shape, Stage, Tally, drive,
};
use clap::Parser;

use rival::Rival;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> Result<()> {
    let arguments = CommandLine::parse().arguments;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let rival = Arc::new(runtime.block_on(Rival::start(&arguments))?);
    if arguments.warm_up_ms > 0 {
        runtime.block_on(run(rival.clone(), &arguments, arguments.warm_up()))?;
    }
    let stage = Stage;
    stage.ready()?;
    let meter = Meter::start()?;
    let tally = runtime.block_on(run(rival, &arguments, arguments.measure()))?;
    let (took, cpu) = (meter.took(), meter.cpu()?);
    stage.report(&Measurement { ..tally.measured(took, cpu) })?;
    // Its own shutdown may take seconds, and is not measured.
    std::process::exit(0)
}

async fn run(rival: Arc<Rival>, arguments: &Arguments, time: Duration) -> Result<Tally> {
    let latencies = Arc::new(Mutex::new(Latencies::new()?));
    let (callers, batch) = (arguments.in_flight, arguments.batch);
    match arguments.shape {
        Shape::Callers => {
            let send = move |_| {
                let rival = rival.clone();
                async move { Outcome::of(1, rival.send().await) }
            };
            drive(callers, time, arguments.messages, latencies, send).await
        }
        Shape::Oneway => {
            let send = move |_| {
                let rival = rival.clone();
                async move { Outcome::of(1, rival.send_oneway().await) }
            };
            drive(callers, time, arguments.messages, latencies, send).await
        }
        Shape::Batch => {
            let send = move |_| {
                let rival = rival.clone();
                async move { Outcome::of(batch as u64, rival.send_batch(batch).await) }
            };
            drive(callers, time, None, latencies, send).await
        }
        Shape::Burst => {
            let send = move |_| {
                let rival = rival.clone();
                async move { Outcome::of(1, rival.send().await) }
            };
            drive(callers, time, Some(callers as u64), latencies, send).await
        }
        Shape::Pipeline | Shape::Ordered => bail!("not measured with this client"),
    }
}
