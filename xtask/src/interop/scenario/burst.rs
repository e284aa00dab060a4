//! A freshly started broker gets more than it can take, at once, and no send fails.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::flood::Outcome;
use crate::interop::cluster::Cluster;
use crate::interop::release;

/// Has the program that sends the burst.
pub(crate) const PACKAGE: &str = "xtask";

/// Of all requests, in tenths of a percent; the promise for every cold start.
const MOST_REFUSED_PER_MILLE: u64 = 1;

/// How much is sent, and to how many freshly started brokers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Burst {
    pub(crate) messages: u64,
    pub(crate) cold_starts: usize,
}

impl Burst {
    /// How long it takes on a slow machine.
    pub(crate) fn expected(self) -> Duration {
        const START: Duration = Duration::from_secs(60);
        const SLOW_PER_SECOND: u64 = 5_000;
        let flood = Duration::from_secs(self.messages / SLOW_PER_SECOND);
        (START + flood).saturating_mul(u32::try_from(self.cold_starts).unwrap_or(u32::MAX))
    }

    pub(crate) fn run(self, cluster: &mut Cluster) -> Result<String> {
        let program = release::build(PACKAGE)?;
        let mut outcomes = Vec::new();
        for start in 0..self.cold_starts {
            // The suite has started the first one just now.
            if start > 0 {
                cluster.broker(0)?.kill()?;
                cluster.broker(0)?.start()?;
            }
            let topic = format!("burst-{start}");
            cluster.create_topic(&topic, 8)?;
            let mut flood = Command::new(&program);
            flood.args(["flood", "--topic", &topic, "--name-server", &cluster.name_server()]);
            let outcome = run(flood.arg("--messages").arg(self.messages.to_string()))?;
            self.check(cluster, &topic, &outcome)?;
            outcomes.push(outcome);
        }
        self.conclude(outcomes)
    }

    fn check(self, cluster: &Cluster, topic: &str, outcome: &Outcome) -> Result<()> {
        ensure!(outcome.failed == 0, "{outcome:?}");
        let stored = cluster.count(topic, usize::try_from(outcome.acked)?)? as u64;
        ensure!(stored >= outcome.acked, "{} acked, {stored} stored", outcome.acked);
        ensure!(outcome.retries > 0 || stored == outcome.acked, "{stored} stored: {outcome:?}");
        let allowed = self.messages * MOST_REFUSED_PER_MILLE / 1_000;
        ensure!(outcome.refused <= allowed, "too many refusals: {outcome:?}");
        Ok(())
    }

    fn conclude(self, mut outcomes: Vec<Outcome>) -> Result<String> {
        outcomes.sort_by_key(|outcome| outcome.refused);
        let median = outcomes.get(outcomes.len() / 2).context("no cold start")?;
        ensure!(outcomes.len() < 3 || median.refused == 0, "refusals in the median: {outcomes:?}");
        let refused: Vec<u64> = outcomes.iter().map(|outcome| outcome.refused).collect();
        let rate = self.messages * 1_000 / median.millis.max(1);
        Ok(format!("{} messages at {rate}/s, refused {refused:?}", self.messages))
    }
}

fn run(flood: &mut Command) -> Result<Outcome> {
    let output = flood.output().context("starting the flood")?;
    if !output.status.success() {
        bail!("the flood failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("the flood's outcome")
}
