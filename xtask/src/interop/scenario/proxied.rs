//! What holds with brokers holds with proxies of 5.x before them.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use posthaste::Message;

use super::load::{self, Load};
use super::{arrival, batched, creation, ordered};
use crate::interop::cluster::Cluster;

type Check = fn(&mut Cluster) -> Result<String>;

pub(crate) const ALL: [(&str, Check); 6] = [
    ("proxy-arrival", |cluster| {
        cluster.behind_proxies(1, |cluster| arrival::run_on(cluster, "proxy-arrival"))
    }),
    ("proxy-batched", |cluster| {
        cluster.behind_proxies(1, |cluster| batched::run_on(cluster, "proxy-batched"))
    }),
    ("proxy-ordered", |cluster| {
        cluster.behind_proxies(1, |cluster| ordered::run_on(cluster, "proxy-ordered"))
    }),
    ("proxy-creation", |cluster| {
        cluster.behind_proxies(1, |cluster| creation::run_on(cluster, "proxy-creation"))
    }),
    ("proxy-offsets", |cluster| cluster.behind_proxies(1, offsets)),
    ("proxy-stopped", |cluster| cluster.behind_proxies(2, stopped)),
];

const LIMIT: Duration = Duration::from_secs(60);
const UP: Duration = Duration::from_secs(3);

/// Every request beside sends that a proxy serves.
fn offsets(cluster: &mut Cluster) -> Result<String> {
    const TOPIC: &str = "proxy-offsets";
    cluster.ensure_masters(2)?;
    cluster.create_topic(TOPIC, 2)?;
    let producer = cluster.patient_producer(TOPIC)?;
    let admin = producer.admin().with_timeout(LIMIT);
    cluster.block_on(async {
        let queues = admin.publish_queues(TOPIC).await?;
        ensure!(queues.len() == 4, "{queues:?}");
        for queue in &queues {
            let message = Message::new(TOPIC, queue.to_string()).queue(queue.clone());
            let receipt = producer.send(message).await?;
            ensure!(receipt.queue() == queue, "{receipt:?} for {queue}");
            ensure!(admin.max_offset(queue).await? == 1, "{queue}");
            ensure!(admin.min_offset(queue).await? == 0, "{queue}");
            let long_ago = std::time::SystemTime::UNIX_EPOCH;
            ensure!(admin.offset_at(queue, long_ago).await? == 0, "{queue}");
        }
        let mut reader = admin.reader(TOPIC).until_now().open().await?;
        let mut read = 0;
        while let Some(message) = reader.next().await? {
            ensure!(message.body() == &message.queue().to_string(), "{message:?}");
            read += 1;
        }
        ensure!(read == 4, "{read} read");
        ensure!(producer.close(LIMIT).await.is_clean(), "not clean");
        Ok("offsets and reading of 4 queues on two brokers".to_owned())
    })
}

/// One of two proxies stops under load and comes back; then the other one does.
fn stopped(cluster: &mut Cluster) -> Result<String> {
    const TOPIC: &str = "proxy-stopped";
    cluster.create_topic(TOPIC, 4)?;
    let producer = cluster.producer(TOPIC)?;
    let runtime = cluster.runtime();
    let load =
        Load::unordered(&runtime, &producer, TOPIC, 16).with_ordered(&runtime, &producer, TOPIC, 8);
    thread::sleep(UP);
    for index in 0..2 {
        cluster.proxies().stop(index)?;
        thread::sleep(UP);
        cluster.proxies().start(index)?;
        thread::sleep(UP);
    }
    let all = load.finish(&runtime)?;
    let stored = cluster.agent().stored(TOPIC)?;
    let balance = load::check(&all, &stored)?;
    load::check_order(&stored)?;
    let failed: Vec<String> =
        all.iter().filter(|ended| !ended.is_acked()).map(ToString::to_string).collect();
    ensure!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.first());
    cluster.block_on(producer.close(LIMIT));
    Ok(format!("{balance}, {} retries", producer.stats().retries))
}
