//! What must hold between Posthaste and real servers and clients.

mod arrival;
mod burst;
mod choice;
mod command_line;
mod creation;
mod exchange;
mod killed;
mod load;
mod official;
mod ordered;
mod reverse;
mod two_masters;

use anyhow::Result;

use super::cluster::Cluster;
use super::embedded::Embedded;
use super::version::Version;

/// A scenario against real servers. Returns what the report shows behind its name.
pub(crate) type Check = Box<dyn Fn(&mut Cluster) -> Result<String>>;

/// A scenario of an official client against the embedded broker.
pub(crate) type ReverseCheck = fn(&Embedded) -> Result<String>;

pub(crate) use self::burst::Burst;
pub(crate) use self::reverse::TOPICS as TOPICS_BEFORE;

/// The scenarios against real servers of a version, in the order in which they run.
pub(crate) fn on_cluster(version: Version, burst: Burst) -> Vec<(&'static str, Check)> {
    let is_newest = version == Version::V5_5_0;
    let mut scenarios: Vec<(&'static str, Check)> = Vec::new();
    if is_newest {
        // The first of all: it wants a broker that has done nothing yet.
        scenarios.push(("burst", Box::new(move |cluster| burst.run(cluster))));
        scenarios.push(("official-go", Box::new(official::go)));
        scenarios.push(("command-line", Box::new(command_line::run)));
    }
    scenarios.push(("official-java", Box::new(official::java)));
    scenarios.push(("arrival", Box::new(arrival::run)));
    scenarios.push(("creation", Box::new(creation::run)));
    scenarios.push(("ordered", Box::new(ordered::run)));
    scenarios.push(("killed", Box::new(killed::run)));
    scenarios.push(("two-masters", Box::new(two_masters::run)));
    scenarios.push(("choice", Box::new(choice::run)));
    scenarios
}

/// The scenarios against the embedded broker, in the order in which they run.
pub(crate) fn on_embedded() -> [(&'static str, ReverseCheck); 6] {
    [
        ("exchanged", reverse::exchanged),
        ("created", reverse::created),
        ("shared", reverse::shared),
        ("retried", reverse::retried),
        ("retried-orderly", reverse::retried_orderly),
        ("resumed", reverse::resumed),
    ]
}
