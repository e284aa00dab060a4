//! Send without asking for an answer: for figures and logs, of which one may be missing.
//!
//! `send_oneway` returns when the message is written to the connection. It stays unknown whether
//! the broker stored it.

mod support;

use std::error::Error;
use std::time::Duration;

use posthaste::{Message, Producer};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    let producer = Producer::builder("oneway", cluster.name_servers.as_str()).start().await?;

    for n in 0..100 {
        producer.send_oneway(Message::new("oneway-topic", format!("cpu {n} %"))).await?;
    }
    let stats = producer.stats();
    println!("{} written", stats.oneway);

    // Closing reads to the end of the connection, so that nothing written is cut off.
    producer.close(Duration::from_secs(3)).await;
    if stats.oneway == 100 { Ok(()) } else { Err("not all were written".into()) }
}
