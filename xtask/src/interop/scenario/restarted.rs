//! A member of a producer group that was started again and sends nothing is asked about the transactions
//! that others of its group have left, also where brokers create no topics and have no default topic.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::transactions::{self, KILLED};
use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const CLOSES_WITHIN: Duration = Duration::from_secs(20);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    asked(cluster, "restarted")?;
    cluster.broker(0)?.restart_without_topics(false)?;
    let without_default_topic = asked(cluster, "restarted-without-default-topic");
    cluster.broker(0)?.restart_without_topics(true)?;
    without_default_topic?;
    Ok("asked with and without the default topic".into())
}

/// A member begins a transaction and dies; another one, which sends nothing, is asked and commits it.
fn asked(cluster: &Cluster, topic: &'static str) -> Result<()> {
    cluster.create_topic(topic, 2)?;
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic))?;
    transactions::kill_a_member(&cluster.entrance(), topic)?;
    let asked = Arc::new(AtomicUsize::new(0));
    let starting = transactions::start(cluster.entrance(), topic, Arc::clone(&asked));
    let producer = cluster.block_on(starting)?;
    let mut awaited: BTreeSet<&str> = [KILLED].into();
    transactions::receive(&consumer, topic, &mut awaited)?;
    ensure!(asked.load(Ordering::Relaxed) > 0, "it was not the checker that committed it");
    ensure!(producer.stats().sent == 0, "{:?}", producer.stats());
    cluster.block_on(producer.close(CLOSES_WITHIN));
    cluster.agent().stop(consumer.name())
}
