//! What holds with brokers holds with proxies of 5.x before them.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use posthaste::{Message, Producer};

use super::load::{self, Load};
use super::{arrival, batched, delayed, ordered, packed, recalled, transactions};
use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

type Check = fn(&mut Cluster) -> Result<String>;

pub(crate) const ALL: [(&str, Check); 10] = [
    ("proxy-arrival", |cluster| {
        cluster.behind_proxies(1, MIXED, |cluster| arrival::run_on(cluster, "proxy-arrival"))
    }),
    ("proxy-batched", |cluster| {
        cluster.behind_proxies(1, NORMAL, |cluster| batched::run_on(cluster, "proxy-batched"))
    }),
    ("proxy-ordered", |cluster| {
        cluster.behind_proxies(1, FIFO, |cluster| ordered::run_on(cluster, "proxy-ordered"))
    }),
    ("proxy-packed", |cluster| {
        cluster.behind_proxies(1, NORMAL, |cluster| packed::run_on(cluster, "proxy-packed"))
    }),
    ("proxy-delayed", |cluster| {
        cluster.behind_proxies(1, MIXED, |cluster| delayed::run_on(cluster, "proxy-delayed"))
    }),
    ("proxy-recalled", |cluster| {
        cluster.behind_proxies(1, MIXED, |cluster| recalled::run_on(cluster, "proxy-recalled"))
    }),
    ("proxy-transactions", |cluster| {
        let check = |cluster: &mut Cluster| transactions::run_on(cluster, "proxy-transactions");
        cluster.behind_proxies(1, MIXED, check)
    }),
    ("proxy-namespaces", |cluster| cluster.behind_proxies(1, MIXED, namespaces)),
    ("proxy-offsets", |cluster| cluster.behind_proxies(1, NORMAL, offsets)),
    ("proxy-stopped", |cluster| cluster.behind_proxies(2, MIXED, stopped)),
];

/// Kinds of messages that a topic may be for.
const NORMAL: &str = "NORMAL";
const FIFO: &str = "FIFO";
const MIXED: &str = "MIXED";

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
        let known = producer.stats().brokers.iter().all(|broker| broker.version.is_some());
        ensure!(known, "a heartbeat was not answered: {:?}", producer.stats());
        ensure!(producer.close(LIMIT).await.is_clean(), "not clean");
        Ok("offsets and reading of 4 queues on two brokers".to_owned())
    })
}

/// Names are wrapped before a proxy sees them. It creates no topics.
fn namespaces(cluster: &mut Cluster) -> Result<String> {
    const TOPIC: &str = "proxy-namespaces";
    cluster.create_topic("space%proxy-namespaces", 2)?;
    let builder = Producer::builder(TOPIC, cluster.entrance()).namespace("space");
    let producer = cluster.block_on(builder.start())?.with_timeout(LIMIT);
    let consumer =
        cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC).in_namespace("space"))?;
    for number in 0..10 {
        let message = Message::new(TOPIC, format!("key:{number}")).order_by("key");
        let receipt = cluster.block_on(producer.send(message))?;
        ensure!(receipt.queue().topic() == TOPIC, "{receipt:?}");
    }
    let received = consumer.take(10, LIMIT)?;
    ensure!(received.iter().all(|one| one.message.topic == TOPIC), "{received:?}");
    cluster.agent().stop(consumer.name())?;
    Ok("10 messages".to_owned())
}

/// One of two proxies stops under load and comes back; then the other one stops.
fn stopped(cluster: &mut Cluster) -> Result<String> {
    const TOPIC: &str = "proxy-stopped";
    cluster.create_topic(TOPIC, 4)?;
    let producer = cluster.producer(TOPIC)?;
    let runtime = cluster.runtime();
    let load =
        Load::unordered(&runtime, &producer, TOPIC, 4).with_ordered(&runtime, &producer, TOPIC, 2);
    thread::sleep(UP);
    cluster.proxies().stop(0)?;
    thread::sleep(UP);
    cluster.proxies().start(0)?;
    thread::sleep(UP);
    cluster.proxies().stop(1)?;
    thread::sleep(UP);
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
