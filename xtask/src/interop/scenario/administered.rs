//! A topic that a producer of ours creates is what its settings say.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use posthaste::{
    AdminError, Message, MessageQueue, Producer, TopicSettings, TopicType, TopicUpdate,
};

use crate::interop::cluster::Cluster;
use crate::interop::version::Version;

const TOPIC: &str = "administered";
const DELETED: &str = "deleted";
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    let producer = cluster.producer("administrators")?;
    let admin = producer.admin();
    let settings = TopicSettings::new(5).read_queues(6).topic_type(TopicType::Fifo).ordered(true);
    cluster.block_on(admin.create_topic_with(TOPIC, &settings))?;
    let queues = cluster.block_on(admin.publish_queues(TOPIC))?;
    ensure!(queues.len() == 5, "{queues:?}");
    let shown: i32 = cluster.agent().route(TOPIC)?.iter().map(|broker| broker.queues).sum();
    ensure!(shown == 5, "the official client sees {shown} queues that may be written");

    let again = cluster.block_on(admin.create_topic(TOPIC, 1));
    ensure!(matches!(again, Err(AdminError::Exists { .. })), "created again: {again:?}");
    cluster.block_on(admin.update_topic(TOPIC, &TopicUpdate::new().writable(false)))?;
    let queues = cluster.block_on(admin.publish_queues(TOPIC))?;
    ensure!(queues.is_empty(), "{queues:?}");
    cluster.block_on(admin.update_topic(TOPIC, &TopicUpdate::new().writable(true)))?;
    shrinks_only_when_that_is_meant(cluster, &producer)?;
    is_gone_when_deleted(cluster, &producer)?;
    match cluster.version() {
        // Before 5.x there are none, and what is said of them is passed over.
        Version::V4_7_0 | Version::V4_9_7 => Ok("6 and 5 queues".to_owned()),
        Version::V5_5_0 => attributes(cluster, &admin),
    }
}

/// A queue with a message in it is not taken away, unless the caller allows it.
fn shrinks_only_when_that_is_meant(cluster: &mut Cluster, producer: &Producer) -> Result<()> {
    let admin = producer.admin();
    let queues = cluster.block_on(admin.publish_queues(TOPIC))?;
    let last: &MessageQueue = queues.last().context("it has no queues")?;
    cluster.block_on(producer.send(Message::new(TOPIC, "x").queue(last.clone())))?;
    // Brokers count a message a moment after they have stored it.
    let until = Instant::now() + LIMIT;
    while cluster.block_on(admin.max_offset(last))? == 0 {
        ensure!(Instant::now() < until, "{last} stays empty");
        std::thread::sleep(Duration::from_millis(50));
    }
    let fewer = TopicUpdate::new().queues(2);
    let refused = cluster.block_on(admin.update_topic(TOPIC, &fewer));
    let counted = matches!(refused, Err(AdminError::OutOfReach { messages: 1, .. }));
    ensure!(counted, "one message would get out of reach: {refused:?}");
    cluster.block_on(admin.update_topic(TOPIC, &fewer.abandon_messages(true)))?;
    let there = cluster.block_on(admin.describe_topic(TOPIC))?;
    ensure!(there.iter().all(|on| (on.read_queues, on.write_queues) == (2, 2)), "{there:?}");
    let restored = TopicUpdate::new().read_queues(6).write_queues(5);
    cluster.block_on(admin.update_topic(TOPIC, &restored))?;
    Ok(())
}

/// Another topic, which broker and name server forget.
fn is_gone_when_deleted(cluster: &mut Cluster, producer: &Producer) -> Result<()> {
    let admin = producer.admin();
    cluster.block_on(admin.create_topic(DELETED, 3))?;
    cluster.block_on(producer.send(Message::new(DELETED, "x")))?;
    cluster.block_on(admin.delete_topic(DELETED))?;
    let topics = cluster.block_on(admin.topics())?;
    ensure!(!topics.iter().any(|topic| topic == DELETED), "still listed: {topics:?}");
    let again = cluster.block_on(admin.delete_topic(DELETED));
    ensure!(matches!(again, Err(AdminError::NoTopic { .. })), "deleted again: {again:?}");
    Ok(())
}

fn attributes(cluster: &mut Cluster, admin: &posthaste::Admin) -> Result<String> {
    let address = cluster.broker(0)?.address();
    let known = cluster.agent().topic_attributes(TOPIC, &address)?;
    ensure!(known.get("message.type").map(String::as_str) == Some("FIFO"), "{known:?}");
    let other = TopicUpdate::new().topic_type(TopicType::Delay).attribute("reserve.time", "7");
    cluster.block_on(admin.update_topic(TOPIC, &other))?;
    let known = cluster.agent().topic_attributes(TOPIC, &address)?;
    ensure!(known.get("message.type").map(String::as_str) == Some("DELAY"), "{known:?}");
    ensure!(known.get("reserve.time").map(String::as_str) == Some("7"), "{known:?}");
    let plain = TopicUpdate::new().without_attribute("message.type");
    cluster.block_on(admin.update_topic(TOPIC, &plain))?;
    let known = cluster.agent().topic_attributes(TOPIC, &address)?;
    ensure!(!known.contains_key("message.type"), "{known:?}");

    for wrong in [
        TopicUpdate::new().attribute("colour", "blue"),
        TopicUpdate::new().attribute("message.type", "BLUE"),
        TopicUpdate::new().attribute("queue.type", "BatchCQ"),
        TopicUpdate::new().without_attribute("message.type"),
    ] {
        let error = cluster.block_on(admin.update_topic(TOPIC, &wrong));
        let is_refused = matches!(error, Err(AdminError::Refused { .. }));
        ensure!(is_refused, "{wrong:?}: {error:?}");
    }
    Ok("6 and 5 queues, attributes".to_owned())
}
