//! What must hold between Posthaste and real servers and clients.

mod arrival;
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
pub(crate) type Check = fn(&mut Cluster) -> Result<String>;

/// A scenario of an official client against the embedded broker.
pub(crate) type ReverseCheck = fn(&Embedded) -> Result<String>;

pub(crate) use self::reverse::TOPICS as TOPICS_BEFORE;

/// The scenarios against real servers of a version, in the order in which they run.
pub(crate) fn on_cluster(version: Version) -> Vec<(&'static str, Check)> {
    let mut scenarios: Vec<(&'static str, Check)> = vec![("official-java", official::java)];
    if version == Version::V5_5_0 {
        scenarios.push(("official-go", official::go));
    }
    scenarios.extend([
        ("arrival", arrival::run as Check),
        ("creation", creation::run),
        ("ordered", ordered::run),
        ("killed", killed::run),
        ("two-masters", two_masters::run),
    ]);
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
