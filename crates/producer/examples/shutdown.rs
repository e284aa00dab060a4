//! Closing: nothing that was accepted is dropped in silence.

mod support;

use std::error::Error;
use std::time::Duration;

use posthaste::{ErrorKind, Message, Producer};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    let producer = Producer::builder("shutdown", cluster.name_servers.as_str()).start().await?;

    for n in 0..100 {
        // Nothing awaits these deliveries; they run to their ends nevertheless.
        drop(producer.enqueue(Message::new("shutdown-topic", format!("{n}"))).await?);
    }

    // Takes nothing new, drains for at most ten seconds, then leaves the producer group.
    let report = producer.close(Duration::from_secs(10)).await;
    println!("{} stored, {} not delivered", producer.stats().acked, report.undelivered.len());
    for one in &report.undelivered {
        // Here is the message, to put it somewhere safe.
        eprintln!("{:?}: {} {}", one.message, one.outcome, one.kind);
    }

    match producer.send(Message::new("shutdown-topic", "late")).await {
        Err(error) if error.kind() == ErrorKind::Closed => println!("late: {error}"),
        other => return Err(format!("expected a closed producer, got {other:?}").into()),
    }
    if report.is_clean() { Ok(()) } else { Err("not all were delivered".into()) }
}
