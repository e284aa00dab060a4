//! The bare loop: requests made beforehand, written and counted. What no client can beat.
//!
//! It makes no message, waits for no caller and knows no retry: it patches the number of a request,
//! writes as many as may be in flight, reads answers and writes as many again.
//!
//! Settings of its own (`--with`): `callers` (tasks that each await their answer, see `callers.rs`), and
//! of those `batching=off` and `workers=N` (threads of the runtime).

mod callers;
mod exchange;
mod payload;
mod request;
mod route;

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use bench_session::{Arguments, Measurement, Meter, Shape, Stage};
use clap::Parser;

use exchange::{Exchange, Limit};
use payload::{Prepared, Whole};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> Result<()> {
    let arguments = CommandLine::parse().arguments;
    let brokers = route::brokers_of(&arguments.name_server, &arguments.topic)?;
    if arguments.has("callers") {
        return match arguments.has("whole") {
            true => callers::run(&arguments, &brokers, Whole::new),
            false => callers::run(&arguments, &brokers, |arguments, broker| {
                Ok(Prepared::new(arguments, broker))
            }),
        };
    }
    let broker = brokers.first().context("a route without a broker")?;
    let stream = TcpStream::connect(&broker.address)?;
    stream.set_nodelay(true)?;
    // An answer that never comes must not hang the benchmark.
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let batch = (arguments.batch > 1).then_some(arguments.batch);
    let requests = request::for_each_queue(&arguments, broker, batch);
    let mut exchange = Exchange::new(stream, requests, &arguments)?;
    if arguments.warm_up_ms > 0 {
        exchange.run(Limit::Time(arguments.warm_up()))?;
    }
    let stage = Stage;
    stage.ready()?;
    let meter = Meter::start()?;
    let limit = match (arguments.shape, arguments.messages) {
        (Shape::Burst, _) => Limit::Requests(arguments.in_flight as u64),
        (_, Some(messages)) => Limit::Requests(messages / arguments.batch as u64),
        (_, None) => Limit::Time(arguments.measure()),
    };
    let ended = exchange.run(limit)?;
    let (took, cpu) = (meter.took(), meter.cpu()?);
    let (refused, requests) = (Some(ended.refused), Some(ended.requests));
    stage.report(&Measurement { refused, requests, ..ended.tally.measured(took, cpu) })
}
