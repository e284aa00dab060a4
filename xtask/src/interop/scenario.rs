//! What must hold between Posthaste and real servers and clients.

mod exchange;
mod official;

use anyhow::Result;

use super::cluster::Cluster;
use super::version::Version;

/// A scenario against real servers. Returns what the report shows behind its name.
pub(crate) type Check = fn(&mut Cluster) -> Result<String>;

/// The scenarios against real servers of a version, in the order in which they run.
pub(crate) fn on_cluster(version: Version) -> Vec<(&'static str, Check)> {
    let mut scenarios: Vec<(&'static str, Check)> =
        vec![("official-java", official::java), ("official-restart", official::restart)];
    if version == Version::V5_5_0 {
        scenarios.push(("official-go", official::go));
    }
    scenarios
}
