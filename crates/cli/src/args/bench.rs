//! The flags of `posthaste bench`.

mod condition;

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

pub(crate) use self::condition::{Comparison, Condition, Count, Figure};
use super::When;
use crate::value;

const EXIT_CODES: &str = "\
Exit codes:
  0    every message was stored, and no condition of --fail-if is true
  1    a condition of --fail-if is true, or the command failed
  2    usage
  3    unreachable: no name server, no route, no broker
  4    partial: it is unknown whether a message was stored, or some were stored
       and some were not
  5    refused: permission, signature, rules for topics
  130  interrupted; the summary covers what was measured until then

Before the clock starts, each producer sends one message. It opens the connections, and creates the \
topic where brokers create topics. Latency is measured for messages that were stored (with \
--oneway: handed over). With --rate it counts from the time at which the send was due, even if the \
send had to wait for room.

The summary goes to stderr; with -o json one object goes to stdout.";

/// `posthaste bench`
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Send as fast as the brokers take messages, or at a fixed rate, with many messages in flight
    #[command(after_help = EXIT_CODES)]
    Send(Send),
    /// Send one message at a time, or at a fixed rate, and measure how long each takes
    #[command(after_help = EXIT_CODES)]
    Latency(Latency),
}

impl Bench {
    /// The command's name, as JSON spells it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Send(_) => "bench send",
            Self::Latency(_) => "bench latency",
        }
    }

    /// What every benchmark takes.
    pub(crate) fn load(&self) -> &Load {
        match self {
            Self::Send(send) => &send.load,
            Self::Latency(latency) => &latency.load,
        }
    }
}

/// `posthaste bench send`
#[derive(Debug, clap::Args)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) load: Load,

    /// Messages in flight at a time, over all producers
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) in_flight: u32,

    /// Do not wait for answers: fast, but it stays unknown whether a message was stored
    #[arg(long, conflicts_with = "order_keys")]
    pub(crate) oneway: bool,

    /// Order messages by key, using this many keys in turn
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) order_keys: Option<u32>,
}

/// `posthaste bench latency`
#[derive(Debug, clap::Args)]
pub(crate) struct Latency {
    #[command(flatten)]
    pub(crate) load: Load,
}

/// What every benchmark takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// Topic to send to
    #[arg(long, value_name = "TOPIC", default_value = "Bench")]
    pub(crate) topic: String,

    /// Size of each body: 128, 1KiB, 1MiB
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = value::body_size)]
    pub(crate) size: usize,

    /// How long to send
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = value::duration, conflicts_with = "count")]
    pub(crate) duration: Duration,

    /// How many messages to send, in place of --duration
    #[arg(short = 'C', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Number of producers, each with its own connections
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) producers: u32,

    /// Start this many sends, evenly spaced, without waiting for earlier ones to finish: 500/s,
    /// 30/m
    #[arg(long, value_name = "RATE", value_parser = value::rate)]
    pub(crate) rate: Option<f64>,

    /// Tag of each message
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,

    /// Send each message in a separate request, even when several are waiting
    #[arg(long)]
    pub(crate) no_batching: bool,

    /// Exit 1 when this is true, as in 'p99>10ms', 'rate<50000/s', 'errors>0' (repeatable)
    ///
    /// A condition is a figure, one of < <= > >=, and a limit. The figures p50 p90 p95 p99 p99.9
    /// max mean take a duration; rate takes a rate; stored errors not_stored unknown retries busy
    /// overdue take a number.
    #[arg(long, value_name = "CONDITION")]
    pub(crate) fail_if: Vec<Condition>,

    /// Write the latencies to this file, as HdrHistogram's percentile distribution (ms)
    #[arg(long, value_name = "FILE")]
    pub(crate) hdr: Option<PathBuf>,

    /// Write a page with charts to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Print a line each second on stderr
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) progress: When,
}
