//! Queues that may not be written get nothing. Real brokers store a message for such a queue nevertheless,
//! so only the producer can keep the promise of the permission.

use anyhow::{Context, Result, ensure};
use posthaste::{ErrorKind, Message, MessageQueue};

use crate::interop::agent::Permission;
use crate::interop::cluster::Cluster;

const TOPIC: &str = "write-protected";
const MESSAGES: usize = 20;

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.ensure_masters(2)?;
    cluster.create_topic(TOPIC, 4)?;
    let protected = cluster.broker(1)?;
    let (name, address) = (protected.name().to_owned(), protected.address());
    cluster.agent().create_topic(TOPIC, 4, Permission::Read, &[address])?;
    cluster.await_write_queues(TOPIC, 4)?;
    let producer = cluster.patient_producer(TOPIC)?;
    for number in 0..MESSAGES {
        let receipt = cluster.block_on(producer.send(Message::new(TOPIC, number.to_string())))?;
        ensure!(receipt.queue().broker() != name, "{number} went to {}", receipt.queue());
    }
    let given = Message::new(TOPIC, "given").queue(MessageQueue::new(TOPIC, name.as_str(), 0));
    let refused = cluster.block_on(producer.send(given));
    let error = refused.err().context("a protected queue took a message")?;
    ensure!(error.kind() == ErrorKind::NoWritableQueue, "{error}");
    Ok(format!("{MESSAGES} messages past {name}"))
}
