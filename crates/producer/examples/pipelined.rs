//! Many messages on their way at once: accept them one after another, wait for the receipts later.
//!
//! `enqueue` waits only for room (10,000 messages or 32 MiB by default), so a loop of it runs as
//! fast as the brokers take messages and never piles up more.

mod support;

use std::error::Error;
use std::time::Duration;

use posthaste::{Message, Producer};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    let producer = Producer::builder("pipelined", cluster.name_servers.as_str()).start().await?;

    let mut deliveries = Vec::new();
    for n in 0..500 {
        let message = Message::new("pipelined-topic", format!("message {n}"));
        deliveries.push(producer.enqueue(message).await?);
    }
    let mut stored = 0;
    for delivery in deliveries {
        match delivery.await {
            Ok(_) => stored += 1,
            Err(error) => eprintln!("{error}"),
        }
    }
    println!("{stored} stored");

    producer.close(Duration::from_secs(3)).await;
    if stored == 500 { Ok(()) } else { Err("not all were stored".into()) }
}
