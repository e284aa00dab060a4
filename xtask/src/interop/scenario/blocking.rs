//! The blocking producer sends in all its ways.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use posthaste::blocking::Producer;
use posthaste::{Message, TransactionState};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const TOPIC: &str = "blocking";
const LIMIT: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_millis(300);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 2)?;
    let mut awaited = send_all(&cluster.name_server())?;
    let count = awaited.len();
    let consumer = cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC))?;
    for delivery in consumer.take(count, LIMIT)? {
        let text = delivery.message.text();
        ensure!(awaited.remove(text.as_str()), "came, and should not: {text}");
    }
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "arrived twice: {surplus:?}");
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{count} messages"))
}

/// Gives what should arrive.
fn send_all(name_server: &str) -> Result<BTreeSet<&'static str>> {
    let producer = Producer::builder(TOPIC, name_server)
        .send_timeout(LIMIT)
        .transaction_checker(|_| TransactionState::Rollback)
        .start()?;
    let message = |body: &'static str| Message::new(TOPIC, body);
    producer.send(message("sent"))?;
    producer.with_timeout(LIMIT).send(message("sent in time"))?;
    producer.enqueue(message("enqueued"))?.wait()?;
    producer.send_oneway(message("one-way"))?;
    producer.send(message("ordered").order_by("key"))?;
    let receipts = producer.send_batch([message("first of a batch"), message("second")])?;
    ensure!(receipts.len() == 2, "{receipts:?}");
    producer.begin(message("committed"))?.commit()?;
    producer.begin(message("rolled back"))?.rollback()?;
    producer.flush();
    let queues = producer.admin().publish_queues(TOPIC)?;
    ensure!(queues.len() == 2, "{queues:?}");
    let report = producer.close(LIMIT);
    ensure!(report.is_clean(), "{report:?}");
    let arriving = ["sent", "sent in time", "enqueued", "one-way", "ordered", "committed"];
    Ok(arriving.into_iter().chain(["first of a batch", "second"]).collect())
}
