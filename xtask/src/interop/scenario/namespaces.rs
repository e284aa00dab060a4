//! The official consumer finds our messages in the namespace that they were sent in, and we find the
//! messages of the official producer there.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::{Admin, Message, Producer};

use super::arrival;
use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const TOPIC: &str = "namespaces";
const NAMESPACE: &str = "MQ_INST_interop";
const LIMIT: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_millis(300);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    let producer = cluster.block_on(
        Producer::builder(TOPIC, cluster.entrance())
            .namespace(NAMESPACE)
            // Servers that know nothing of it must not mind.
            .namespace_v2("interop")
            .send_timeout(LIMIT)
            .start(),
    )?;
    let admin = producer.admin().with_timeout(LIMIT);
    cluster.block_on(admin.create_topic(TOPIC, 4))?;
    let on_wire = format!("{NAMESPACE}%{TOPIC}");
    let sent = cluster.block_on(arrival::send_all(&producer, TOPIC))?;
    let stored = cluster.count(&on_wire, sent.len())?;
    ensure!(stored == sent.len(), "{stored} of {} are in {on_wire}", sent.len());
    let subscription = Subscription::new(TOPIC, TOPIC).in_namespace(NAMESPACE);
    let consumer = cluster.agent().start_consumer(&subscription)?;
    arrival::receive(&consumer, sent.clone(), LIMIT)?;
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "arrived twice: {surplus:?}");
    cluster.agent().stop(consumer.name())?;
    cluster.block_on(read_back(&producer, sent.len()))?;
    let report = cluster.block_on(producer.close(LIMIT));
    ensure!(report.is_clean(), "{report:?}");
    Ok(format!("{} messages in {NAMESPACE}", sent.len()))
}

/// Our own reader, and offsets, in the namespace.
async fn read_back(producer: &Producer, count: usize) -> Result<()> {
    let admin = producer.admin().with_timeout(LIMIT);
    let mut ends = 0;
    for queue in admin.publish_queues(TOPIC).await? {
        ensure!(queue.topic() == TOPIC, "{queue}");
        ends += admin.max_offset(&queue).await?;
    }
    ensure!(ends == count as i64, "{ends} by offsets, {count} sent");
    let read = bodies(&admin).await?;
    ensure!(read == count, "{read} read, {count} sent");
    let topics = admin.topics().await?;
    ensure!(topics.contains(&TOPIC.to_owned()), "{topics:?}");
    let receipt = producer.send(Message::new(TOPIC, "last")).await?;
    ensure!(receipt.queue().topic() == TOPIC, "{receipt:?}");
    Ok(())
}

async fn bodies(admin: &Admin) -> Result<usize> {
    let mut reader = admin.reader(TOPIC).until_now().open().await.context("reading back")?;
    let mut bodies = BTreeSet::new();
    while let Some(message) = reader.next().await? {
        ensure!(message.queue().topic() == TOPIC, "{}", message.queue());
        let instance = message.all_properties().find(|(name, _)| *name == "INSTANCE_ID");
        ensure!(instance == Some(("INSTANCE_ID", NAMESPACE)), "{instance:?}");
        bodies.insert(message.body().to_vec());
    }
    Ok(bodies.len())
}
