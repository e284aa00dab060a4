//! `rocketmq-client-rust` 1.0 as a client of the benchmark.
//!
//! Settings of its own (`--with`): `autobatch` switches its batching on.

mod rival;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use bench_session::{
    Arguments, Caller, Latencies, Measurement, Meter, Outcome, Shape, Stage, Tally, drive,
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
    let (shape, batch) = (arguments.shape, arguments.batch);
    let calls = match shape {
        Shape::Callers | Shape::Oneway => arguments.messages,
        Shape::Batch => None,
        Shape::Burst => Some(arguments.in_flight as u64),
        Shape::Pipeline | Shape::Ordered => bail!("not measured with this client"),
    };
    let caller = Sender { rival, shape, batch };
    drive(&caller, arguments.in_flight, time, calls, latencies).await
}

/// What a caller sends, and how.
#[derive(Clone)]
struct Sender {
    rival: Arc<Rival>,
    shape: Shape,
    batch: usize,
}

impl Caller for Sender {
    async fn call(&self, _: usize) -> Outcome {
        match self.shape {
            Shape::Oneway => Outcome::of(1, self.rival.send_oneway().await),
            Shape::Batch => Outcome::of(self.batch as u64, self.rival.send_batch(self.batch).await),
            _ => Outcome::of(1, self.rival.send().await),
        }
    }
}
