//! Starting: what a producer is made of, and what goes on in its background from then on.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::trace_sender;
use crate::client::{Client, acquaintance, probe, upkeep};
use crate::config::Config;
use crate::ledger::Ledger;
use crate::ledger::stats::Counters;
use crate::observers::Observers;
use crate::observers::meters::Meters;
use crate::observers::trace::Lost;

/// Starts what is configured so. No connection is waited for.
pub(super) fn start(config: Config, runtime: &Handle) -> Arc<Client> {
    let (counters, meters) = (Arc::<Counters>::default(), Arc::new(Meters::of(&config)));
    let trace = config
        .message_trace
        .then(|| trace_sender::start(&config, lost_traces(&counters, &meters), runtime));
    let observers = Observers::of(&config, trace);
    let client = Arc::new(Client::new(Ledger::new(config, runtime, counters, meters, observers)));
    client.ledger.spawn(upkeep::run(client.clone()));
    client.ledger.spawn(probe::run(client.clone()));
    client.look_up_ahead();
    client.discover(client.ledger.config().name_servers.clone());
    if client.ledger.config().checker.is_some() {
        client.ledger.spawn(acquaintance::keep(client.clone()));
    }
    client
}

fn lost_traces(counters: &Arc<Counters>, meters: &Arc<Meters>) -> Lost {
    let (counters, meters) = (counters.clone(), meters.clone());
    Arc::new(move |records| {
        counters.traces_lost.add(records);
        meters.traces_lost(records);
    })
}
