//! What an error says, and how to decide whether to send again.
//!
//! The producer has retried already, within the deadline. One question is left to the application:
//! may the message have been stored nevertheless?

mod support;

use std::error::Error;
use std::time::Duration;

use posthaste::{ErrorKind, Message, Outcome, Producer, Receipt, SendError};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    let producer = Producer::builder("errors", cluster.name_servers.as_str())
        .send_timeout(Duration::from_secs(3))
        .retries(2)
        .start()
        .await?;

    // Refused before anything is sent: sending it again will not help.
    match producer.send(Message::new("a/b", "x")).await {
        Err(error) if error.kind() == ErrorKind::Invalid => println!("{error}\n  {}", error.help()),
        other => return Err(format!("expected an invalid message, got {other:?}").into()),
    }

    // Nothing listens on port 1. The error has every attempt, and the message.
    let lost = Producer::builder("errors", "127.0.0.1:1")
        .send_timeout(Duration::from_millis(300))
        .start()
        .await?;
    let Err(error) = lost.send(Message::new("errors-topic", "precious")).await else {
        return Err("sent to nobody".into());
    };
    println!("{error}\n  {}", error.help());
    let receipt = send_again(&producer, error).await?;
    println!("stored after all, in {} at {}", receipt.queue(), receipt.queue_offset());

    lost.close(Duration::ZERO).await;
    producer.close(Duration::from_secs(3)).await;
    Ok(())
}

/// Sends a failed message again, if that cannot make a duplicate.
async fn send_again(producer: &Producer, error: SendError) -> Result<Receipt, SendError> {
    match error.outcome() {
        // No attempt stored it.
        Outcome::NotStored => producer.send(error.into_message()).await,
        // One may have. Sent again, consumers may see it twice: only for those that can take it.
        Outcome::Unknown => Err(error),
    }
}
