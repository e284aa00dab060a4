//! What must hold between Posthaste and real servers and clients.

mod administered;
mod arrival;
mod batched;
mod blocking;
mod burst;
mod choice;
mod command_line;
mod creation;
mod delayed;
mod discovered;
mod encrypted;
mod exchange;
mod found;
mod intercepted;
mod killed;
mod large;
mod lingering;
mod load;
mod namespaces;
mod official;
mod ordered;
mod packed;
mod proxied;
mod queued;
mod recalled;
mod requests;
mod restarted;
mod reverse;
mod shrunk;
mod signed;
mod special;
mod stall;
mod static_topic;
mod stopped;
mod traced;
mod transactions;
mod two_masters;
mod vip;
mod write_protected;

use std::time::Duration;

use anyhow::Result;

use super::cluster::Cluster;
use super::embedded::{Client, Embedded};
use super::version::Version;

/// None takes nearly as long.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// A scenario against real servers.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The package whose program it runs, optimised.
    pub(crate) package: Option<&'static str>,
    /// Whether it wants proxies.
    pub(crate) proxies: bool,
    /// Whether it wants servers with access control, and TLS where the version has it.
    pub(crate) guarded: bool,
    /// One that takes longer hangs.
    pub(crate) limit: Duration,
    pub(crate) check: Check,
}

/// Returns what the report shows behind the scenario's name.
type Check = Box<dyn Fn(&mut Cluster) -> Result<String>>;

impl Scenario {
    fn new(name: &'static str, check: impl Fn(&mut Cluster) -> Result<String> + 'static) -> Self {
        Self {
            name,
            package: None,
            proxies: false,
            guarded: false,
            limit: LIMIT,
            check: Box::new(check),
        }
    }

    fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn with_proxies(mut self) -> Self {
        self.proxies = true;
        self
    }

    fn guarded(mut self) -> Self {
        self.guarded = true;
        self
    }

    fn running(mut self, package: &'static str) -> Self {
        self.package = Some(package);
        self
    }
}

/// A scenario of an official client against the embedded broker.
pub(crate) type ReverseCheck = fn(&Embedded) -> Result<String>;

pub(crate) use self::burst::Burst;
pub(crate) use self::reverse::TOPICS as TOPICS_BEFORE;

/// The scenarios against real servers of a version, in the order in which they run.
pub(crate) fn on_cluster(version: Version, burst: Burst) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    if version == Version::V5_5_0 {
        // The first of all: it wants a broker that has done nothing yet.
        let scenario = Scenario::new("burst", move |cluster| burst.run(cluster));
        scenarios.push(scenario.running(burst::PACKAGE).within(LIMIT + burst.expected()));
        let command_line = Scenario::new("command-line", command_line::run);
        scenarios.push(command_line.running(command_line::PACKAGE));
        scenarios.push(Scenario::new("official-go", official::go));
    }
    scenarios.extend([
        Scenario::new("official-java", official::java),
        Scenario::new("arrival", arrival::run),
        Scenario::new("batched", batched::run),
        Scenario::new("creation", creation::run),
        Scenario::new("ordered", ordered::run),
        Scenario::new("queued", queued::run),
        Scenario::new("lingering", lingering::run),
        Scenario::new("blocking", blocking::run),
        Scenario::new("discovered", discovered::run),
        Scenario::new("packed", packed::run),
        Scenario::new("large", large::run),
        Scenario::new("delayed", delayed::run),
        Scenario::new("transactions", transactions::run),
        Scenario::new("restarted", restarted::run),
        Scenario::new("shrunk", shrunk::run),
        Scenario::new("found", found::run),
        Scenario::new("administered", administered::run),
        Scenario::new("recalled", recalled::run),
        Scenario::new("requests", requests::run),
        Scenario::new("intercepted", intercepted::run),
        Scenario::new("traced", traced::run),
        Scenario::new("special", special::run),
        Scenario::new("killed", killed::run),
        Scenario::new("two-masters", two_masters::run),
        Scenario::new("choice", choice::run),
        Scenario::new("write-protected", write_protected::run),
        Scenario::new("namespaces", namespaces::run),
        Scenario::new("vip", vip::run),
        Scenario::new("signed", signed::run).guarded(),
    ]);
    if version == Version::V5_5_0 {
        scenarios.push(Scenario::new("stopped", stopped::run));
        scenarios.push(Scenario::new("static-topic", static_topic::run));
        scenarios
            .extend(proxied::ALL.map(|(name, check)| Scenario::new(name, check).with_proxies()));
    }
    if version != Version::V4_7_0 {
        // That one does not get TLS up on a Java of today.
        scenarios.push(Scenario::new("self-signed", encrypted::self_signed));
        scenarios.push(Scenario::new("encrypted", encrypted::mutual).guarded());
    }
    scenarios
}

/// The scenarios of a client against the embedded broker, in the order in which they run.
pub(crate) fn on_embedded(client: Client) -> Vec<(&'static str, ReverseCheck)> {
    if let Client::Python | Client::Rust = client {
        return vec![("pushed", reverse::pushed)];
    }
    let mut scenarios: Vec<(&'static str, ReverseCheck)> = vec![
        ("exchanged", reverse::exchanged),
        ("created", reverse::created),
        ("shared", reverse::shared),
        ("retried", reverse::retried),
        ("retried-orderly", reverse::retried_orderly),
        ("resumed", reverse::resumed),
    ];
    if let Client::Java(version) = client {
        scenarios.extend::<[(&'static str, ReverseCheck); 4]>([
            ("transacted", reverse::transacted),
            ("requested", reverse::requested),
            ("found", reverse::found),
            ("timed", reverse::timed),
        ]);
        if version == Version::V5_5_0 {
            scenarios.push(("recalled", reverse::recalled));
            scenarios.push(("faulted", reverse::faulted_java));
        }
    } else {
        // The last one: the client ends in it.
        scenarios.push(("faulted", reverse::faulted_go));
    }
    scenarios
}

/// The scenarios of a client that signs, against an embedded broker that wants signatures.
pub(crate) fn on_guarded_embedded(client: Client) -> Vec<(&'static str, ReverseCheck)> {
    match client {
        Client::Go | Client::Python | Client::Rust => Vec::new(),
        Client::Java(_) => vec![
            ("guarded-exchanged", reverse::exchanged),
            ("guarded-created", reverse::created),
            ("guarded-found", reverse::found),
        ],
    }
}
