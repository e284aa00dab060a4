//! From the command line to a producer.

use anyhow::Result;
use bench_session::Arguments;
use posthaste::{Producer, Stats};

/// Starts the producer that the arguments ask for. Everything that they do not name has its default.
pub(crate) async fn producer(arguments: &Arguments) -> Result<Producer> {
    let mut builder = Producer::builder("bench", arguments.name_server.clone());
    if arguments.value("oneway") == Some("unlimited") {
        builder = builder.oneway_unlimited();
    }
    if arguments.value("batching") == Some("off") {
        builder = without_batching(builder);
    }
    Ok(builder.start().await?)
}

/// Until the producer batches by itself, it is never on.
fn without_batching(builder: posthaste::ProducerBuilder) -> posthaste::ProducerBuilder {
    builder
}

/// Requests that carried the messages, once the producer counts them.
pub(crate) fn requests(_stats: &Stats) -> Option<u64> {
    None
}
