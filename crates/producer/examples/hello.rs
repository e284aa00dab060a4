//! Send one message and see where it was stored.
//!
//! `cargo run -p posthaste --example hello`

mod support;

use std::error::Error;
use std::time::Duration;

use posthaste::{Message, Producer};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    let producer = Producer::builder("hello", cluster.name_servers.as_str()).start().await?;

    let message = Message::new("hello-topic", "Hello, world").tag("greeting").key("hello-1");
    let receipt = producer.send(message).await?;
    println!("{} in {} at {}", receipt.status(), receipt.queue(), receipt.queue_offset());
    println!("message id {}", receipt.message_id());

    producer.close(Duration::from_secs(3)).await;
    Ok(())
}
