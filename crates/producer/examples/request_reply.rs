//! A message that its consumer answers.

mod support;

use std::error::Error;
use std::time::Duration;

use posthaste::{Message, Producer, Reader, RequestError};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    let producer =
        Producer::builder("request-reply", cluster.name_servers.as_str()).start().await?;
    producer.admin().create_topic("prices", 1).await?;

    // The side that replies. A consumer in any language does it; a reader stands for one here.
    let reader = producer.admin().reader("prices").open().await?;
    let replier = tokio::spawn(reply(reader, producer.clone()));

    let reply = producer.request(Message::new("prices", "EUR/USD")).await?;
    println!("EUR/USD is at {}", String::from_utf8_lossy(reply.body()));

    // Without a reply in time, the error says where the request is stored.
    let patient = producer.with_timeout(Duration::from_millis(500));
    match patient.request(Message::new("prices", "GBP/USD")).await {
        Err(error @ RequestError::NoReply { .. }) => println!("{error}\n  {}", error.help()),
        other => return Err(format!("no reply was expected, not {other:?}").into()),
    }
    replier.abort();
    producer.close(Duration::from_secs(3)).await;
    if reply.body() == "1.08" { Ok(()) } else { Err("another reply".into()) }
}

/// Replies to the one request that it knows an answer to.
async fn reply(mut reader: Reader, producer: Producer) {
    while let Ok(Some(request)) = reader.next().await {
        if request.body() == "EUR/USD"
            && let Some(reply) = request.reply("1.08")
            && let Err(error) = producer.send(reply).await
        {
            eprintln!("the reply was not sent: {error}");
        }
    }
}
