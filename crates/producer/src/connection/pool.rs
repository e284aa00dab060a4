//! The connections of a producer to its brokers, and how one is made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Instrument as _;

use super::events::Events;
use super::load::Load;
use super::mailbox::Mailbox;
use super::task::Task;
use super::{Connection, Peer};
use crate::ledger::Ledger;

/// One connection for each address.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<HashMap<Arc<str>, Arc<Connection>>>);

impl Pool {
    /// The connection to a broker that advertises `address`, made when there is none.
    pub(crate) fn connection(
        &self,
        ledger: &Arc<Ledger>,
        address: &str,
        events: impl FnOnce() -> Arc<dyn Events>,
    ) -> Arc<Connection> {
        let config = ledger.config();
        let address = match config.vip_channel.then(|| vip_address(address)).flatten() {
            Some(vip) => config.mapped(&vip),
            None => config.mapped(address),
        };
        let mut pool = self.all_by_address();
        if let Some(connection) = pool.get(&address) {
            return connection.clone();
        }
        let connection = Arc::new(open(ledger, events(), address.clone(), Peer::Broker));
        // Who is done with it drops it; in here it would stay for ever once all was let go of.
        if !ledger.stopped.is_cancelled() {
            pool.insert(address, connection.clone());
        }
        connection
    }

    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        self.all_by_address().values().cloned().collect()
    }

    /// Lets go of connections that nothing leads to any more.
    pub(crate) fn drop_unused(&self) {
        self.all_by_address().retain(|_, connection| Arc::strong_count(connection) > 1);
    }

    pub(crate) fn clear(&self) {
        self.all_by_address().clear();
    }

    fn all_by_address(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to `address`. Nothing is dialled yet.
pub(crate) fn open(
    ledger: &Arc<Ledger>,
    events: Arc<dyn Events>,
    address: Arc<str>,
    peer: Peer,
) -> Connection {
    let (mailbox, load) = (Arc::<Mailbox>::default(), Arc::new(Load::new()));
    let shared = (mailbox.clone(), load.clone());
    let task = Task::new(ledger.clone(), events, address.clone(), peer, shared);
    let span = tracing::debug_span!(parent: None, "connection", %address);
    ledger.spawn(task.run().instrument(span));
    Connection { address, mailbox, load }
}

/// The second address of a broker that advertises this one (Java: `MixAll.brokerVIPChannel`).
fn vip_address(advertised: &str) -> Option<String> {
    let (host, port) = advertised.rsplit_once(':')?;
    let port = port.parse::<u16>().ok()?.checked_sub(2).filter(|port| *port != 0)?;
    Some(format!("{host}:{port}"))
}
