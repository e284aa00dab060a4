//! Sends as much as a broker takes, as fast as a producer can.
//!
//! The interop suite runs this from an optimised build: a slow producer would spare the broker.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use posthaste::{Message, Producer};
use serde::{Deserialize, Serialize};

const BODY_LENGTH: usize = 128;
/// The producer holds 10,000 messages, which is more than a cold broker on a busy machine stores within
/// the default timeout. It looks for refusals, not for the machine's speed.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// What to send, and where.
#[derive(Debug, Args)]
pub(crate) struct Flood {
    #[arg(long)]
    name_server: String,
    #[arg(long)]
    topic: String,
    #[arg(long)]
    messages: u64,
}

/// What became of it, as a JSON object on stdout.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) acked: u64,
    pub(crate) failed: u64,
    /// Requests that the broker refused as busy.
    pub(crate) refused: u64,
    pub(crate) retries: u64,
    pub(crate) millis: u64,
    pub(crate) first_error: Option<String>,
}

/// Sends, and prints the outcome.
pub(crate) fn run(flood: &Flood) -> ExitCode {
    match send(flood).and_then(|outcome| Ok(serde_json::to_string(&outcome)?)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn send(flood: &Flood) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(send_all(flood))
}

async fn send_all(flood: &Flood) -> Result<Outcome> {
    let producer = Producer::builder("flood", flood.name_server.as_str())
        .send_timeout(SEND_TIMEOUT)
        .start()
        .await?;
    let failures = Arc::new(Failures::default());
    let started = Instant::now();
    for number in 0..flood.messages {
        let body = format!("{number:0>BODY_LENGTH$}");
        let failures = Arc::clone(&failures);
        // Waits for room alone, so the producer always has as many on their way as it may.
        match producer.enqueue(Message::new(flood.topic.as_str(), body)).await {
            Ok(delivery) => delivery.on_complete(move |result| failures.note(result.err())),
            Err(error) => failures.note(Some(error)),
        }
    }
    let report = producer.close(SEND_TIMEOUT).await;
    let millis = u64::try_from(started.elapsed().as_millis()).context("the time")?;
    let stats = producer.stats();
    let first_error =
        failures.first().or_else(|| (!report.is_clean()).then(|| format!("{report:?}")));
    Ok(Outcome {
        acked: stats.acked,
        failed: flood.messages.saturating_sub(stats.acked),
        refused: stats.busy,
        retries: stats.retries,
        millis,
        first_error,
    })
}

#[derive(Default)]
struct Failures {
    count: AtomicU64,
    first: std::sync::OnceLock<String>,
}

impl Failures {
    fn note(&self, error: Option<posthaste::SendError>) {
        if let Some(error) = error {
            self.count.fetch_add(1, Ordering::Relaxed);
            let _ = self.first.set(error.to_string());
        }
    }

    fn first(&self) -> Option<String> {
        let count = self.count.load(Ordering::Relaxed);
        self.first.get().map(|first| format!("{first} (and {} more)", count.saturating_sub(1)))
    }
}
