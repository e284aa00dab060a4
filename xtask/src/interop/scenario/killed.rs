//! The only broker is killed under load and comes back.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::load::{self, Ended, Load};
use crate::interop::cluster::Cluster;

const TOPIC: &str = "killed";
const SEND_TIMEOUT: Duration = Duration::from_secs(3);
/// The promise is 100 ms; the machine is shared with a broker that starts.
const LATENESS: Duration = Duration::from_millis(700);
const UP: Duration = Duration::from_secs(2);
const DOWN: Duration = Duration::from_secs(4);
const RECOVERY: Duration = Duration::from_secs(5);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 4)?;
    let producer = cluster.producer(TOPIC)?;
    let runtime = cluster.runtime();
    let load =
        Load::unordered(&runtime, &producer, TOPIC, 16).with_ordered(&runtime, &producer, TOPIC, 8);
    thread::sleep(UP);
    cluster.broker(0)?.kill()?;
    let killed = Instant::now();
    thread::sleep(DOWN);
    cluster.broker(0)?.start()?;
    let address = cluster.broker(0)?.address();
    cluster.await_route(TOPIC, &[address])?;
    let back = Instant::now();
    thread::sleep(RECOVERY + UP);
    let all = load.finish(&runtime)?;
    cluster.block_on(producer.close(SEND_TIMEOUT));

    let latest = all.iter().max_by_key(|ended| ended.took).context("nothing was sent")?;
    ensure!(latest.took <= SEND_TIMEOUT + LATENESS, "late: {latest}");
    ensure!(all.iter().any(|ended| ended.is_acked() && ended.at < killed), "none before");
    let failed = all.iter().filter(|ended| !ended.is_acked()).count();
    ensure!(failed > 0, "no send failed, although the only broker was dead");
    let resumed = first_acked_after(&all, back)?;
    ensure!(resumed <= RECOVERY, "sends went on {resumed:?} after the broker was back");
    let settled = back + RECOVERY + Duration::from_secs(1);
    if let Some(failed) = all.iter().find(|ended| !ended.is_acked() && ended.at > settled) {
        bail!("still failing: {failed}");
    }

    let stored = cluster.agent().stored(TOPIC)?;
    let balance = load::check(&all, &stored)?;
    load::check_order(&stored)?;
    Ok(format!("{balance}, back after {} ms", resumed.as_millis()))
}

fn first_acked_after(all: &[Ended], since: Instant) -> Result<Duration> {
    all.iter()
        .filter(|ended| ended.is_acked() && ended.at > since)
        .map(|ended| ended.at - since)
        .min()
        .context("no send succeeded after the broker was back")
}
