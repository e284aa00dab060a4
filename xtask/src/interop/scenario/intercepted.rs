//! What an interceptor adds to a message, the official consumer receives with it; what it vetoes never
//! arrives.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::{ErrorKind, Interceptor, Message, Outcome, Producer, SendAttempt};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const TOPIC: &str = "intercepted";
const VETOED: &str = "vetoed";
const LIMIT: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_millis(300);
const EACH: usize = 50;

struct Stamping;

impl Interceptor for Stamping {
    fn before_attempt(&self, attempt: &mut SendAttempt<'_>) -> Result<(), String> {
        if attempt.message().tag_text() == Some(VETOED) {
            return Err("on purpose".into());
        }
        let stamp = format!("{} at {} größer", attempt.message_id(), attempt.broker());
        attempt.set_property("stamp", stamp)?;
        attempt.set_property("own", "replaced")
    }
}

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 4)?;
    let count = cluster.block_on(send_all(&cluster.name_server()))?;
    let consumer = cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC))?;
    for delivery in consumer.take(count, LIMIT)? {
        let got = delivery.message;
        let property = |name: &str| got.properties.get(name).map(String::as_str);
        let stamp = format!("{} at broker-a größer", got.msg_id);
        ensure!(property("stamp") == Some(&stamp), "{got:?}");
        ensure!(property("own") == Some("replaced"), "{got:?}");
        ensure!(property("other") == Some("kept"), "{got:?}");
    }
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "{surplus:?}");
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{count} messages, singly and in batches"))
}

async fn send_all(name_server: &str) -> Result<usize> {
    let builder = Producer::builder(TOPIC, name_server).send_timeout(LIMIT);
    let producer = builder.interceptor(Stamping).start().await?;
    let message = |n: usize| {
        Message::new(TOPIC, format!("{n}")).property("own", "1").property("other", "kept")
    };
    producer.send(message(0)).await?;
    // At once, so that they share requests; and a batch.
    let mut deliveries = Vec::new();
    for n in 0..EACH {
        deliveries.push(producer.enqueue(message(n)).await?);
    }
    for delivery in deliveries {
        delivery.await?;
    }
    producer.send_batch((0..EACH).map(message).collect::<Vec<_>>()).await?;
    let error = producer.send(message(0).tag(VETOED)).await.err().context("it was sent")?;
    let vetoed = (ErrorKind::Vetoed, Outcome::NotStored);
    ensure!((error.kind(), error.outcome()) == vetoed, "{error}");
    producer.close(LIMIT).await;
    Ok(1 + 2 * EACH)
}
