//! Starting: what a producer is made of, and what goes on in its background from then on.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::trace_sender;
use crate::client::{Client, acquaintance, probe, upkeep};
use crate::config::Config;
use crate::ledger::Ledger;
use crate::observers::Observers;
use crate::observers::counts::Counts;
use crate::observers::meters::Meters;
use crate::observers::trace::Lost;

/// Starts what is configured so. No connection is waited for.
pub(super) fn start(config: Config, runtime: &Handle) -> Arc<Client> {
    let meters = Meters::of(&config);
    let counts = Arc::new(Counts::of(&meters));
    let trace =
        config.message_trace.then(|| trace_sender::start(&config, lost_traces(&counts), runtime));
    let observers = Observers::of(&config, trace);
    let client = Arc::new(Client::new(Ledger::new(config, runtime, counts, meters, observers)));
    client.ledger.spawn(upkeep::run(client.clone()));
    client.ledger.spawn(probe::run(client.clone()));
    client.look_up_ahead();
    client.discover(client.ledger.config().name_servers.clone());
    if client.ledger.config().checker.is_some() {
        client.ledger.spawn(acquaintance::keep(client.clone()));
    }
    client
}

fn lost_traces(counts: &Arc<Counts>) -> Lost {
    let counts = counts.clone();
    Arc::new(move |records| counts.traces_lost.add(records))
}
