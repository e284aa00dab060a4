//! Brokers behind Docker or NAT advertise addresses that cannot be reached from here.
//!
//! A name server hands out what each broker says of itself (`brokerIP1`), such as
//! `172.17.0.3:10911`. The address map rewrites it before the producer connects. With a cluster of
//! your own: `NAMESRV_ADDR=localhost:9876`, and the broker's port published on this machine.

use std::error::Error;
use std::time::Duration;

use posthaste::{Message, Producer};
use posthaste_broker::Broker;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // Stands for a broker in a container: it advertises a name that means nothing here.
    let broker = Broker::builder().advertise("broker.container.invalid").start().await?;
    let name_servers =
        std::env::var("NAMESRV_ADDR").unwrap_or_else(|_| broker.name_server().to_string());

    let producer = Producer::builder("docker", name_servers)
        .address_map(|advertised| {
            // The container's port is published under the same number on this machine.
            let (_, port) = advertised.rsplit_once(':')?;
            let reachable = format!("127.0.0.1:{port}");
            println!("{advertised} -> {reachable}");
            Some(reachable)
        })
        .start()
        .await?;
    let receipt = producer.send(Message::new("docker-topic", "through the map")).await?;
    println!("stored in {} at {}", receipt.queue(), receipt.queue_offset());
    producer.close(Duration::from_secs(3)).await;
    Ok(())
}
