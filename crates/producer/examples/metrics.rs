//! What a producer counts, and its metrics.
//!
//! `cargo run -p posthaste --example metrics --features metrics`; without the feature there are
//! only the counts.

#[path = "support/recorder.rs"]
mod recorder;
mod support;

use std::error::Error;
use std::time::Duration;

use posthaste::{Message, Producer};

use self::recorder::Memory;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // First of all: what a producer counts before there is a recorder is not recorded.
    let memory = Memory::default();
    metrics::set_global_recorder(memory.clone())?;

    let cluster = support::cluster().await?;
    let producer = Producer::builder("metrics", cluster.name_servers.as_str()).start().await?;
    let mut deliveries = Vec::new();
    for n in 0..500 {
        deliveries.push(producer.enqueue(Message::new("metrics-topic", format!("{n}"))).await?);
    }
    for delivery in deliveries {
        delivery.await?;
    }
    producer.close(Duration::from_secs(3)).await;

    println!("{:#?}", producer.stats());
    for line in memory.lines() {
        println!("{line}");
    }
    Ok(())
}
