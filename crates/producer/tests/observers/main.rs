//! What those see who look on at sends: interceptors, message traces, spans, metrics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fake/mod.rs"]
mod fake;

mod acquaintance;
mod exported;
mod interceptors;
mod old_broker;
mod spans;
mod trace;
mod warnings;

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "opentelemetry")]
mod trace_context;

use posthaste::Producer;

use fake::{Broker, NameServer, producer};

/// A broker with one queue, its name server, and a producer.
async fn one() -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let producer = producer(&[&server]).start().await.unwrap();
    (broker, server, producer)
}
