//! What those see who look on at sends: interceptors, message traces, spans, metrics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fake/mod.rs"]
mod fake;

mod interceptors;
mod spans;
mod trace;

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "opentelemetry")]
mod trace_context;
