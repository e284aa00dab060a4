//! One of two masters stops in order, under load: for some seconds it sends away what comes
//! (`GO_AWAY`), and no send notices.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::load::{self, Load};
use crate::interop::cluster::Cluster;

const TOPIC: &str = "stopped";
const UP: Duration = Duration::from_secs(2);
const CLOSE: Duration = Duration::from_secs(10);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.ensure_masters(2)?;
    cluster.create_topic(TOPIC, 4)?;
    // The other master may be cold, and the machine busy: no deadline makes a send fail.
    let producer = cluster.patient_producer(TOPIC)?;
    let runtime = cluster.runtime();
    // Ordered messages of the broker that stops would have to wait for it.
    let load = Load::unordered(&runtime, &producer, TOPIC, 32);
    let name = cluster.broker(1)?.name().to_owned();
    load.await_ack(Some(&name))?;
    thread::sleep(UP);
    let stopping = Instant::now();
    cluster.broker(1)?.stop()?;
    let took = stopping.elapsed();
    thread::sleep(UP);
    let all = load.finish(&runtime)?;
    cluster.block_on(producer.close(CLOSE));
    if let Some(failed) = all.iter().find(|ended| !ended.is_acked()) {
        let count = all.iter().filter(|ended| !ended.is_acked()).count();
        anyhow::bail!("{count} of {} failed, the first: {failed}", all.len());
    }
    // Everything is there once the broker is back.
    cluster.broker(1)?.start()?;
    let addresses = [cluster.broker(0)?.address(), cluster.broker(1)?.address()];
    cluster.await_route(TOPIC, &addresses)?;
    let stored = cluster.agent().stored(TOPIC)?;
    let balance = load::check(&all, &stored)?;
    let stats = producer.stats();
    ensure!(stored.len() == all.len(), "{} stored of {}: {stats:?}", stored.len(), all.len());
    ensure!(stats.sent_away > 0, "the broker sent nothing away: {stats:?}");
    Ok(format!(
        "{balance}, {} requests sent away, {} retries, stopped within {} ms",
        stats.sent_away,
        stats.retries,
        took.as_millis()
    ))
}
