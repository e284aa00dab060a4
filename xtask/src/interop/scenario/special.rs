//! Priorities, lite topics and light queues: what brokers that know them do, and that others leave
//! the messages as they are.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::{Message, Producer, TopicSettings, TopicType};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;
use crate::interop::envelope::Received;
use crate::interop::version::Version;

const TOPIC: &str = "special";
const BY_PRIORITY: &str = "special-priority";
const LITE: &str = "special-lite";
const QUEUES: u32 = 4;
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 2)?;
    let producer = cluster.patient_producer(TOPIC)?;
    cluster.block_on(send_all(&producer))?;
    let consumer = cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC))?;
    let mut received = BTreeMap::new();
    for delivery in consumer.take(3, LIMIT)? {
        received.insert(delivery.message.text(), delivery.message);
    }
    cluster.agent().stop(consumer.name())?;
    check(&received, cluster.version())?;
    let mut what = "3 messages".to_owned();
    if cluster.version() == Version::V5_5_0 {
        cluster.block_on(by_priority(&producer))?;
        cluster.block_on(into_lite_topics(&producer))?;
        what.push_str(", a queue for each priority, lite topics");
    }
    ensure!(cluster.block_on(producer.close(LIMIT)).is_clean(), "not all were stored");
    Ok(what)
}

async fn send_all(producer: &Producer) -> Result<()> {
    let message = |body: &'static str| Message::new(TOPIC, body);
    producer.send(message("priority").priority(7)).await?;
    producer.send(message("lite").lite_topic("room-1")).await?;
    producer.send(message("light").light_queue("first").light_queue("second")).await?;
    Ok(())
}

fn check(received: &BTreeMap<String, Received>, version: Version) -> Result<()> {
    let property = |body: &str, name: &str| {
        let message = received.get(body).with_context(|| format!("{body} did not come"))?;
        anyhow::Ok(message.properties.get(name).cloned())
    };
    for (body, name, value) in [
        ("priority", "_SYS_MSG_PRIORITY_", "7"),
        ("lite", "__LITE_TOPIC", "room-1"),
        ("light", "INNER_MULTI_DISPATCH", "%LMQ%first,%LMQ%second"),
    ] {
        let found = property(body, name)?;
        ensure!(found.as_deref() == Some(value), "{body}: {name} is {found:?}");
    }
    // The broker notes the places that it has given the message in the light queues.
    let places = property("light", "INNER_MULTI_QUEUE_OFFSET")?;
    match version {
        Version::V4_7_0 => ensure!(places.is_none(), "{places:?}"),
        Version::V4_9_7 | Version::V5_5_0 => {
            ensure!(places.as_deref() == Some("0,0"), "{places:?}");
        }
    }
    Ok(())
}

/// Brokers choose the queue by the priority, whichever the request names.
async fn by_priority(producer: &Producer) -> Result<()> {
    let settings = TopicSettings::new(QUEUES).topic_type(TopicType::Priority);
    producer.admin().create_topic_with(BY_PRIORITY, &settings).await?;
    for _ in 0..3 {
        for priority in 0..QUEUES as i32 {
            let message = Message::new(BY_PRIORITY, "x").priority(priority);
            let queue = producer.send(message).await?.queue().id();
            ensure!(queue == priority, "priority {priority} went to queue {queue}");
        }
    }
    Ok(())
}

/// Brokers make a light queue of each lite topic.
async fn into_lite_topics(producer: &Producer) -> Result<()> {
    let settings = TopicSettings::new(QUEUES).topic_type(TopicType::Lite);
    producer.admin().create_topic_with(LITE, &settings).await?;
    let receipt = producer.send(Message::new(LITE, "x").lite_topic("room-1")).await?;
    let stored = producer.admin().view(LITE, receipt.offset_message_id()).await?;
    let stored = stored.context("it cannot be viewed")?;
    let queue = stored.property("INNER_MULTI_DISPATCH");
    ensure!(queue == Some("%LMQ%$special-lite$room-1"), "{queue:?}");
    Ok(())
}
