//! A topic gets fewer queues, and later is deleted and created with fewer still, while messages are sent to
//! it: all of them are stored, and keys that move to another queue stay in order.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use posthaste::Producer;

use super::load::{self, Ended, Load};
use crate::interop::cluster::Cluster;

const TOPIC: &str = "shrunk";
const PATIENCE: Duration = Duration::from_secs(30);
const UP: Duration = Duration::from_secs(3);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 8)?;
    let settings = Producer::builder(TOPIC, cluster.entrance()).send_timeout(PATIENCE);
    let producer = cluster.block_on(settings.start())?;
    let shrunk = during(cluster, &producer, |cluster| cluster.create_topic(TOPIC, 2))?;
    // In the queues that are left; what lies in the others cannot be read any more.
    load::check_order(&cluster.agent().stored(TOPIC)?)?;
    let retries = producer.stats().retries;
    ensure!(retries == 0, "{retries} retries for queues that are gone");
    let created_again = during(cluster, &producer, |cluster| {
        cluster.administer(&["deleteTopic", "-c", "DefaultCluster", "-t", TOPIC])?;
        cluster.create_topic(TOPIC, 1)
    })?;
    let report = cluster.block_on(producer.close(PATIENCE));
    ensure!(report.is_clean(), "{report:?}");
    let (shrunk, created_again) = (shrunk.len(), created_again.len());
    Ok(format!("{shrunk} sends to 8 queues and then 2, {created_again} to one created again"))
}

/// Does something to the topic under load; every send has to end well.
fn during(
    cluster: &Cluster,
    producer: &Producer,
    change: impl FnOnce(&Cluster) -> Result<()>,
) -> Result<Vec<Ended>> {
    let runtime = cluster.runtime();
    let load =
        Load::unordered(&runtime, producer, TOPIC, 4).with_ordered(&runtime, producer, TOPIC, 8);
    thread::sleep(UP);
    let changed = change(cluster);
    thread::sleep(UP);
    let all = load.finish(&runtime)?;
    changed?;
    let failed: Vec<String> =
        all.iter().filter(|ended| !ended.is_acked()).map(ToString::to_string).collect();
    ensure!(failed.is_empty(), "{} failed, the first: {:?}", failed.len(), failed.first());
    Ok(all)
}
