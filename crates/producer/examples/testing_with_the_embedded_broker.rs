//! Test code that sends, with a real broker in the same process: no mocks, no Docker, no ports to
//! agree on.
//!
//! In a project of your own: `posthaste-broker` under `[dev-dependencies]`, and the body of `main`
//! in a `#[tokio::test]`.

use std::error::Error;
use std::time::Duration;

use posthaste::{Message, Producer, SendError};
use posthaste_broker::Broker;

/// What is to be tested.
async fn place_order(producer: &Producer, id: &str) -> Result<(), SendError> {
    producer.send(Message::new("orders", "created").tag("new").key(id).order_by(id)).await?;
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // On free ports of the loopback interface; each test can have its own.
    let broker = Broker::builder().topic("orders", 4).start().await?;
    let producer = Producer::builder("orders", broker.name_server().to_string()).start().await?;

    place_order(&producer, "order-42").await?;

    // What landed? Everything that was there when the reader was opened, then `None`.
    let mut reader = producer.admin().reader("orders").until_now().open().await?;
    let message = reader.next().await?.ok_or("nothing landed")?;
    assert_eq!(message.body().as_ref(), b"created");
    assert_eq!(message.tag(), Some("new"));
    assert_eq!(message.keys().collect::<Vec<_>>(), ["order-42"]);
    assert!(reader.next().await?.is_none());
    println!("{} landed in {}", message.message_id(), message.queue());

    // And without a broker? The same code against a stopped broker.
    let hurried = producer.with_timeout(Duration::from_millis(300));
    broker.stop().await;
    let error = place_order(&hurried, "order-43").await.err().ok_or("stored without a broker")?;
    println!("{error}");
    Ok(())
}
