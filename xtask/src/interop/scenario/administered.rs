//! A topic that a producer of ours creates is what its settings say.

use anyhow::{Result, ensure};
use posthaste::{AdminError, TopicSettings, TopicType};

use crate::interop::cluster::Cluster;
use crate::interop::version::Version;

const TOPIC: &str = "administered";

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    let producer = cluster.producer("administrators")?;
    let admin = producer.admin();
    let settings = TopicSettings::new(5).read_queues(6).topic_type(TopicType::Fifo).ordered(true);
    cluster.block_on(admin.create_topic_with(TOPIC, &settings))?;
    let queues = cluster.block_on(admin.publish_queues(TOPIC))?;
    ensure!(queues.len() == 5, "{queues:?}");
    let shown: i32 = cluster.agent().route(TOPIC)?.iter().map(|broker| broker.queues).sum();
    ensure!(shown == 5, "the official client sees {shown} queues that may be written");

    let closed = settings.clone().writable(false);
    cluster.block_on(admin.create_topic_with(TOPIC, &closed))?;
    let queues = cluster.block_on(admin.publish_queues(TOPIC))?;
    ensure!(queues.is_empty(), "{queues:?}");
    cluster.block_on(admin.create_topic_with(TOPIC, &settings))?;
    match cluster.version() {
        // Before 5.x there are none, and what is said of them is passed over.
        Version::V4_7_0 | Version::V4_9_7 => Ok("6 and 5 queues".to_owned()),
        Version::V5_5_0 => attributes(cluster, &admin, &settings),
    }
}

fn attributes(
    cluster: &mut Cluster,
    admin: &posthaste::Admin,
    settings: &TopicSettings,
) -> Result<String> {
    let address = cluster.broker(0)?.address();
    let known = cluster.agent().topic_attributes(TOPIC, &address)?;
    ensure!(known.get("message.type").map(String::as_str) == Some("FIFO"), "{known:?}");
    let other = settings.clone().topic_type(TopicType::Delay).attribute("reserve.time", "7");
    cluster.block_on(admin.create_topic_with(TOPIC, &other))?;
    let known = cluster.agent().topic_attributes(TOPIC, &address)?;
    ensure!(known.get("message.type").map(String::as_str) == Some("DELAY"), "{known:?}");
    ensure!(known.get("reserve.time").map(String::as_str) == Some("7"), "{known:?}");
    let plain = TopicSettings::new(5).without_attribute("message.type");
    cluster.block_on(admin.create_topic_with(TOPIC, &plain))?;
    let known = cluster.agent().topic_attributes(TOPIC, &address)?;
    ensure!(!known.contains_key("message.type"), "{known:?}");

    for wrong in [
        TopicSettings::new(5).attribute("colour", "blue"),
        TopicSettings::new(5).attribute("message.type", "BLUE"),
        TopicSettings::new(5).attribute("queue.type", "BatchCQ"),
        TopicSettings::new(5).without_attribute("message.type"),
    ] {
        let error = cluster.block_on(admin.create_topic_with(TOPIC, &wrong));
        let is_refused = matches!(error, Err(AdminError::Refused { .. }));
        ensure!(is_refused, "{wrong:?}: {error:?}");
    }
    Ok("6 and 5 queues, attributes".to_owned())
}
