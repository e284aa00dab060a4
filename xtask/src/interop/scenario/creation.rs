//! The first send to a topic that does not exist creates the topic.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::Message;

use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const TOPIC: &str = "creation";
const MESSAGES: usize = 10;
const LIMIT: Duration = Duration::from_secs(40);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    run_on(cluster, TOPIC)
}

pub(super) fn run_on(cluster: &Cluster, topic: &str) -> Result<String> {
    ensure!(cluster.agent().route(topic).is_err(), "the topic is there already");
    let producer = cluster.patient_producer(topic)?;
    let first = cluster
        .block_on(producer.send(Message::new(topic, "0")))
        .context("the send that should create the topic")?;
    for number in 1..MESSAGES {
        cluster.block_on(producer.send(Message::new(topic, number.to_string())))?;
    }
    let queues: i32 = cluster.agent().route(topic)?.iter().map(|broker| broker.queues).sum();
    ensure!(queues == 4, "the topic has {queues} queues");
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic))?;
    let received = consumer.take(MESSAGES, LIMIT)?;
    ensure!(received.iter().any(|delivery| delivery.message.msg_id == first.message_id()));
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{queues} queues"))
}
