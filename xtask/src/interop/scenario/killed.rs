//! The only broker is killed under load and comes back.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::load::{self, Load};
use super::stall::Stall;
use crate::interop::cluster::Cluster;

const TOPIC: &str = "killed";
const SEND_TIMEOUT: Duration = Duration::from_secs(3);
/// The promise is 100 ms, beyond how late the machine itself is: it is shared with a broker that starts.
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
    let stall = Stall::watch(&runtime);
    load.await_ack(None)?;
    thread::sleep(UP);
    cluster.broker(0)?.kill()?;
    let killed = Instant::now();
    thread::sleep(DOWN);
    cluster.broker(0)?.start()?;
    let address = cluster.broker(0)?.address();
    cluster.await_route(TOPIC, &[address])?;
    let back = Instant::now();
    load.await_ack(None)?;
    let resumed = back.elapsed();
    thread::sleep(RECOVERY + UP);
    let all = load.finish(&runtime)?;
    let stalled = stall.longest();
    cluster.block_on(producer.close(SEND_TIMEOUT));

    let latest = all.iter().max_by_key(|ended| ended.took).context("nothing was sent")?;
    let most = SEND_TIMEOUT + LATENESS + 2 * stalled;
    ensure!(latest.took <= most, "late: {latest}; the machine stalled for {stalled:?}");
    ensure!(all.iter().any(|ended| ended.is_acked() && ended.at < killed), "none before");
    let failed = all.iter().filter(|ended| !ended.is_acked()).count();
    ensure!(failed > 0, "no send failed, although the only broker was dead");
    let settled = back + resumed + RECOVERY;
    if let Some(failed) = all.iter().find(|ended| !ended.is_acked() && ended.at > settled) {
        bail!("still failing: {failed}");
    }

    let stored = cluster.agent().stored(TOPIC)?;
    let balance = load::check(&all, &stored)?;
    load::check_order(&stored)?;
    Ok(format!("{balance}, back after {} ms", resumed.as_millis()))
}
