//! Messages that consumers get later.

mod support;

use std::error::Error;
use std::time::{Duration, SystemTime};

use posthaste::{Message, Producer, ReadFrom};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    let producer = Producer::builder("delayed", cluster.name_servers.as_str()).start().await?;
    producer.admin().create_topic("delayed-topic", 1).await?;
    let mut reader = producer.admin().reader("delayed-topic").from(ReadFrom::End).open().await?;
    let began = SystemTime::now();
    let message = |body: &'static str| Message::new("delayed-topic", body);

    // The first of the levels that every version knows: 1 s.
    producer.send(message("level 1").delay_level(1)).await?;
    // Any time; brokers know it from 5.0 on, and older ones deliver at once.
    producer.send(message("after 2 s").deliver_after(Duration::from_secs(2))).await?;
    producer.send(message("at 3 s").deliver_at(began + Duration::from_secs(3))).await?;

    for (body, earliest) in [("level 1", 1.0), ("after 2 s", 2.0), ("at 3 s", 3.0)] {
        let Some(message) = reader.next().await? else { return Err("it ended".into()) };
        let after = SystemTime::now().duration_since(began)?.as_secs_f64();
        println!("{} arrived after {after:.1} s", String::from_utf8_lossy(message.body()));
        // Brokers keep the time to about a second.
        if message.body() != body || after < earliest - 1.0 {
            return Err(format!("{body} was expected, not before {earliest} s").into());
        }
    }
    producer.close(Duration::from_secs(3)).await;
    Ok(())
}
