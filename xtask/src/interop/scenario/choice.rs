//! For a key, Java and Posthaste choose the same queue, also when a topic is on several brokers.

use anyhow::{Context, Result, ensure};
use posthaste::Message;

use crate::interop::agent::Mode;
use crate::interop::cluster::Cluster;
use crate::interop::envelope::Envelope;

const TOPIC: &str = "choice";
const KEYS: usize = 50;

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.ensure_masters(2)?;
    cluster.create_topic(TOPIC, 5)?;
    let messages: Vec<Envelope> = (0..KEYS).map(keyed).collect();
    let agent = cluster.agent();
    agent.start_producer(TOPIC, TOPIC)?;
    let chosen = agent.send(TOPIC, Mode::Keyed, &messages)?;
    agent.stop(TOPIC)?;
    let producer = cluster.patient_producer("choice-of-ours")?;
    for (message, java) in messages.iter().zip(chosen) {
        let key = message.order_key.as_deref().unwrap_or_default();
        let ours = cluster
            .block_on(producer.send(Message::new(TOPIC, "ours").order_by(key)))
            .with_context(|| key.to_owned())?;
        let same = java.broker.as_deref() == Some(ours.queue().broker())
            && java.queue == Some(ours.queue().id());
        ensure!(same, "{key}: we sent to {}, Java: {java:?}", ours.queue());
    }
    Ok(format!("{KEYS} keys, 10 queues of two brokers"))
}

fn keyed(number: usize) -> Envelope {
    let mut message = Envelope::new(TOPIC, "Java's");
    message.order_key = Some(format!("клиент-{}", number * 104_729));
    message
}
