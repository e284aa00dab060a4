use anyhow::Result;
use clap::Args;

use super::cluster::Cluster;
use super::embedded::{Client, Embedded};
use super::prerequisites;
use super::report::Report;
use super::scenario::{self, Burst, Check, ReverseCheck};
use super::version::Version;
use super::workshop::Workshop;

/// Which scenarios to run; all of them unless told otherwise.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Only scenarios whose name, such as 5.5.0/official, contains this.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,

    /// Only scenarios of this version.
    #[arg(long)]
    version: Option<Version>,

    /// How many messages the burst into a freshly started broker has; a million is the full proof.
    #[arg(long, value_name = "MESSAGES", default_value_t = 200_000)]
    burst: u64,

    /// How many freshly started brokers get the burst.
    #[arg(long, value_name = "N", default_value_t = 1)]
    cold_starts: usize,
}

impl Selection {
    fn takes(&self, version: Version, name: &str) -> bool {
        self.version.is_none_or(|only| only == version)
            && self.only.as_deref().is_none_or(|part| name.contains(part))
    }

    fn burst(&self) -> Burst {
        Burst { messages: self.burst, cold_starts: self.cold_starts }
    }
}

/// The scenarios that were selected, and the folders they work in.
pub(crate) struct Suite {
    selection: Selection,
    workshop: Workshop,
}

impl Suite {
    pub(crate) fn prepare(selection: Selection) -> Result<Self> {
        prerequisites::check()?;
        Ok(Self { selection, workshop: Workshop::open()? })
    }

    pub(crate) fn run(&self, report: &mut Report) -> Result<()> {
        for version in Version::ALL {
            self.run_on_cluster(version, report);
        }
        for client in Client::ALL {
            self.run_on_embedded(client, report);
        }
        if report.has_failures() {
            println!("logs are in {}", self.workshop.run().display());
            return Ok(());
        }
        self.workshop.clear_run()
    }

    /// The scenarios against real servers of one version share one cluster, because starting one
    /// takes longer than most of them.
    fn run_on_cluster(&self, version: Version, report: &mut Report) {
        let chosen: Vec<(String, Check)> = scenario::on_cluster(version, self.selection.burst())
            .into_iter()
            .map(|(name, check)| (format!("{version}/{name}"), check))
            .filter(|(name, _)| self.selection.takes(version, name))
            .collect();
        if chosen.is_empty() {
            return;
        }
        let start = || Cluster::start(version, &self.workshop);
        let Some(mut cluster) = report.stage(&format!("{version}/start"), start) else { return };
        for (name, check) in chosen {
            report.scenario(&name, || {
                cluster.ensure_masters(1)?;
                check(&mut cluster)
            });
        }
    }

    fn run_on_embedded(&self, client: Client, report: &mut Report) {
        let label = format!("embedded/{}", client.name());
        let chosen: Vec<(String, ReverseCheck)> = scenario::on_embedded()
            .into_iter()
            .map(|(name, check)| (format!("{label}/{name}"), check))
            .filter(|(name, _)| self.selection.takes(client.version(), name))
            .collect();
        if chosen.is_empty() {
            return;
        }
        let start = || Embedded::start(client, &self.workshop);
        let Some(embedded) = report.stage(&format!("{label}/start"), start) else { return };
        for (name, check) in chosen {
            report.scenario(&name, || check(&embedded));
        }
    }
}
