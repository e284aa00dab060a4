use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::artefacts::{self, Artefacts};
use super::cluster::Cluster;
use super::embedded::{Client, Embedded};
use super::prerequisites;
use super::release;
use super::report::Report;
use super::scenario::{self, Burst, ReverseCheck, Scenario};
use super::version::Version;
use super::workshop::Workshop;

/// Which scenarios to run. Default: all of them.
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
        prerequisites::check(&prerequisites::JAVA)?;
        prerequisites::check(&prerequisites::CLIENTS)?;
        Ok(Self { selection, workshop: Workshop::open()? })
    }

    pub(crate) fn run(&self, report: &mut Report) -> Result<()> {
        for version in Version::ALL {
            self.run_on_cluster(version, false, report);
            self.run_on_cluster(version, true, report);
        }
        for client in Client::ALL {
            self.run_on_embedded(client, false, report);
            self.run_on_embedded(client, true, report);
        }
        if report.has_failures() {
            println!("logs are in {}", self.workshop.run().display());
            return Ok(());
        }
        self.workshop.clear_run()
    }

    /// The scenarios against real servers of one version share one cluster, because starting one
    /// takes longer than most of them.
    fn run_on_cluster(&self, version: Version, guarded: bool, report: &mut Report) {
        let mut chosen = scenario::on_cluster(version, self.selection.burst());
        chosen.retain(|scenario| {
            scenario.guarded == guarded && self.selection.takes(version, &named(version, scenario))
        });
        if chosen.is_empty() {
            return;
        }
        let provide = || Ok((self.provide(version, &chosen)?, self.proxies(version, &chosen)?));
        let Some(((artefacts, go_program), proxies)) =
            report.provision(&format!("{version}"), provide)
        else {
            return;
        };
        let name = format!("{version}{}", if guarded { "-guarded" } else { "" });
        let folder = self.workshop.run().join(&name);
        let start = || Cluster::start(artefacts, go_program, &folder, guarded);
        let Some(mut cluster) = report.stage(&format!("{name}/start"), start) else { return };
        cluster.proxies().provide(proxies);
        for scenario in &chosen {
            report.scenario(&named(version, scenario), scenario.limit, || {
                cluster.ensure_masters(1)?;
                (scenario.check)(&mut cluster)
            });
        }
    }

    /// What the scenarios need: fetched and built, as long as that may take.
    fn provide(&self, version: Version, chosen: &[Scenario]) -> Result<(Artefacts, PathBuf)> {
        for package in chosen.iter().filter_map(|scenario| scenario.package) {
            release::build(package)?;
        }
        Ok((Artefacts::of(version, &self.workshop)?, artefacts::go_agent(&self.workshop)?))
    }

    /// What proxies need, if a scenario wants some.
    fn proxies(&self, version: Version, chosen: &[Scenario]) -> Result<Option<Artefacts>> {
        let wanted = chosen.iter().any(|scenario| scenario.proxies);
        wanted.then(|| Artefacts::of_proxy(version, &self.workshop)).transpose()
    }

    fn run_on_embedded(&self, client: Client, guarded: bool, report: &mut Report) {
        let label = format!("embedded/{}", client.name());
        let checks = match guarded {
            false => scenario::on_embedded(client),
            true => scenario::on_guarded_embedded(client),
        };
        let chosen: Vec<(String, ReverseCheck)> = checks
            .into_iter()
            .map(|(name, check)| (format!("{label}/{name}"), check))
            .filter(|(name, _)| self.selection.takes(client.version(), name))
            .collect();
        if chosen.is_empty() {
            return;
        }
        let provide = || client.provide(&self.workshop);
        let Some(program) = report.provision(&label, provide) else { return };
        let suffix = if guarded { "-guarded" } else { "" };
        let folder = self.workshop.run().join(format!("embedded-{}{suffix}", client.name()));
        let start = || Embedded::start(&program, &folder, &scenario::TOPICS_BEFORE, guarded);
        let Some(embedded) = report.stage(&format!("{label}/start"), start) else { return };
        for (name, check) in chosen {
            report.scenario(&name, scenario::LIMIT, || check(&embedded));
        }
    }
}

fn named(version: Version, scenario: &Scenario) -> String {
    format!("{version}/{}", scenario.name)
}
