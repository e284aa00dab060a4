//! One of two masters is killed under load and comes back at another address.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::load::{self, End, Ended, Load};
use crate::interop::cluster::Cluster;

const TOPIC: &str = "two-masters";
const SEND_TIMEOUT: Duration = Duration::from_secs(3);
const UP: Duration = Duration::from_secs(2);
const DOWN: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(10);
const ROUTE_LIMIT: Duration = Duration::from_secs(90);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.ensure_masters(2)?;
    cluster.create_topic(TOPIC, 4)?;
    // The other master may be cold, and the machine busy: no deadline makes a send fail.
    let producer = cluster.patient_producer(TOPIC)?;
    let runtime = cluster.runtime();
    let load = Load::unordered(&runtime, &producer, TOPIC, 32);
    let name = cluster.broker(1)?.name().to_owned();
    load.await_ack(Some(&name))?;
    thread::sleep(UP);
    let before = cluster.broker(1)?.address();
    cluster.broker(1)?.kill()?;
    let killed = Instant::now();
    thread::sleep(DOWN);
    cluster.broker(1)?.start_elsewhere()?;
    let shown = await_moved(cluster, &before)?;
    load.await_ack(Some(&name))?;
    thread::sleep(UP);
    let all = load.finish(&runtime)?;
    cluster.block_on(producer.close(SEND_TIMEOUT));

    ensure!(all.iter().any(|ended| is_by(ended, &name) && ended.at < killed), "none to {name}");
    if let Some(failed) = all.iter().find(|ended| !ended.is_acked()) {
        let count = all.iter().filter(|ended| !ended.is_acked()).count();
        anyhow::bail!(
            "{count} of {} failed, {:?} after the kill: {failed}",
            all.len(),
            failed.at.saturating_duration_since(killed)
        );
    }
    let resumed = first_by(&all, &name, killed)?;
    let delay = resumed.saturating_duration_since(shown);
    let balance = load::check(&all, &cluster.agent().stored(TOPIC)?)?;
    let slowest = all.iter().map(|ended| ended.took).max().unwrap_or_default();
    Ok(format!(
        "{balance}, resumed after {} ms, slowest send {} ms",
        delay.as_millis(),
        slowest.as_millis()
    ))
}

/// Waits until the route shows two brokers again, none of them at the old address; gives the time.
fn await_moved(cluster: &Cluster, before: &str) -> Result<Instant> {
    let deadline = Instant::now() + ROUTE_LIMIT;
    while Instant::now() < deadline {
        let route = cluster.agent().route(TOPIC)?;
        let seen = Instant::now();
        if route.len() == 2 && route.iter().all(|broker| broker.address != before) {
            return Ok(seen);
        }
        thread::sleep(POLL);
    }
    anyhow::bail!("the route never showed the new address")
}

fn is_by(ended: &Ended, broker: &str) -> bool {
    matches!(&ended.end, End::Acked { broker: by } if by == broker)
}

/// When the first message was stored by a broker after it had been killed.
fn first_by(all: &[Ended], broker: &str, killed: Instant) -> Result<Instant> {
    // Messages that were in flight when the broker died may have been answered just before.
    let since = killed + Duration::from_secs(1);
    all.iter()
        .filter(|ended| is_by(ended, broker) && ended.at > since)
        .map(|ended| ended.at)
        .min()
        .with_context(|| format!("nothing was delivered to {broker} any more"))
}
