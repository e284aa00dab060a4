//! The second port of real brokers serves all that a producer wants, its heartbeats among it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::Producer;

use super::{arrival, transactions};
use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const TOPIC: &str = "vip";
const CREATED: &str = "vip-created";
const TRANSACTED: &str = "vip-transactions";
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 4)?;
    let builder = Producer::builder(TOPIC, cluster.name_server()).vip_channel(true);
    let producer = cluster.block_on(builder.start())?.with_timeout(LIMIT);
    let sent = cluster.block_on(arrival::send_all(&producer, TOPIC))?;
    let brokers = producer.stats().brokers;
    let (advertised, used) = (cluster.broker(0)?.address(), brokers.first().context("no broker")?);
    ensure!(used.address != advertised, "the advertised port was used");
    let members = cluster.agent().members(TOPIC, TOPIC)?;
    ensure!(members.len() == 1, "the heartbeat was not taken: {members:?}");
    cluster.block_on(ask(&producer, sent.len()))?;
    let report = cluster.block_on(producer.close(LIMIT));
    ensure!(report.is_clean(), "{report:?}");
    let members = cluster.agent().members(TOPIC, TOPIC)?;
    ensure!(members.is_empty(), "the goodbye was not taken: {members:?}");
    let builder = Producer::builder(TRANSACTED, cluster.name_server()).vip_channel(true);
    transactions::two_of_three(cluster, TRANSACTED, builder).context("transactions")?;
    let consumer = cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC))?;
    arrival::receive(&consumer, sent.clone(), LIMIT)?;
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{} messages to {}", sent.len(), used.address))
}

/// Topics and offsets go that way too; a reader does not.
async fn ask(producer: &Producer, sent: usize) -> Result<()> {
    let admin = producer.admin();
    admin.create_topic(CREATED, 2).await.context("create_topic")?;
    let mut ends = 0;
    for queue in admin.publish_queues(TOPIC).await? {
        ends += admin.max_offset(&queue).await.context("max_offset")?;
    }
    ensure!(ends as usize <= sent, "{ends} of {sent}");
    let mut reader = admin.reader(TOPIC).until_now().open().await.context("reader")?;
    let mut read = 0;
    while reader.next().await.context("reading")?.is_some() {
        read += 1;
    }
    ensure!(read >= ends, "read {read} of {ends}");
    Ok(())
}
