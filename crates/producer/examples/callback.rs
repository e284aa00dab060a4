//! Be called when a message has ended, instead of waiting for it.
//!
//! Callbacks run one after another on a separate thread, each exactly once. Closing waits for the
//! messages; what their callbacks still do is theirs, so this one reports through a channel.

mod support;

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use posthaste::{Message, Producer};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    let producer = Producer::builder("callback", cluster.name_servers.as_str()).start().await?;

    let (results, ended) = mpsc::channel();
    for n in 0..10 {
        let delivery = producer.enqueue(Message::new("callback-topic", format!("{n}"))).await?;
        let results = results.clone();
        delivery.on_complete(move |result| {
            match &result {
                Ok(receipt) => println!("{n}: {} at {}", receipt.queue(), receipt.queue_offset()),
                Err(error) => eprintln!("{n}: {error}"),
            }
            // No callback runs any more if `main` has ended early.
            let _ = results.send(result.is_ok());
        });
    }
    drop(results);

    producer.close(Duration::from_secs(3)).await;
    let stored = tokio::task::spawn_blocking(move || ended.iter().filter(|ok| *ok).count()).await?;
    if stored == 10 { Ok(()) } else { Err(format!("{stored} of 10 stored").into()) }
}
