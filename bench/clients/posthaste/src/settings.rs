//! From the command line to a producer.

use anyhow::Result;
use bench_session::Arguments;
use posthaste::Producer;

/// Starts the producer that the arguments ask for. Everything that they do not name has its default,
/// but that no client compresses.
pub(crate) async fn producer(arguments: &Arguments) -> Result<Producer> {
    let mut builder = Producer::builder("bench", arguments.name_server.clone());
    builder = builder.compress_from(usize::MAX);
    if arguments.value("oneway") == Some("unlimited") {
        builder = builder.oneway_unlimited();
    }
    if arguments.value("batching") == Some("off") {
        builder = builder.batching(false);
    }
    Ok(builder.start().await?)
}
