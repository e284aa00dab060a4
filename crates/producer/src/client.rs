//! What carries accepted messages out: routes, name servers and connections.

pub(crate) mod acquaintance;
mod check;
mod close;
mod deliver;
mod discover;
mod events;
mod flush;
pub(crate) mod look_up;
pub(crate) mod probe;
mod replies;
mod retry;
pub(crate) mod upkeep;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::accepted::{Accepted, Wake};
use crate::connection::pool::{self, Pool};
use crate::connection::{Connection, Peer, TaskOrder};
use crate::ledger::Ledger;
use crate::observers::counts::Stats;
use crate::route::name_server::Directory;
use crate::route::{RouteTable, RouteWatch};
use crate::{ErrorKind, MessageQueue};

pub(crate) struct Client {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) routes: RouteTable,
    pub(crate) watch: RouteWatch,
    /// The name servers.
    pub(crate) directory: Directory,
    pool: Pool,
    /// Notified when a broker is left out for its health.
    left_out: Notify,
}

impl Client {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self {
            ledger: Arc::new(ledger),
            routes: RouteTable::default(),
            watch: RouteWatch::default(),
            directory: Directory::default(),
            pool: Pool::default(),
            left_out: Notify::new(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let brokers = self.connections().iter().map(|one| one.stats()).collect();
        self.ledger.counts().read(self.ledger.intake.epochs.accepted(), brokers)
    }

    // ---- ends ----

    /// The message failed, and with it the messages of its key that wait behind it.
    pub(crate) fn fail(self: &Arc<Self>, accepted: &Arc<Accepted>, kind: ErrorKind, reason: &str) {
        let next = self.ledger.fail_one(accepted, kind, reason);
        self.let_follow(next);
    }

    /// Takes a message back whose caller has gone, if nothing of it has left.
    pub(crate) fn withdraw(self: &Arc<Self>, accepted: &Arc<Accepted>) {
        if !accepted.withdraw() {
            return;
        }
        self.ledger.counts().withdrawn.add(accepted.count());
        self.ledger.meters().withdrawn(accepted);
        let next = self.ledger.lanes.withdrawn(accepted);
        self.let_follow(next);
        for connection in self.connections() {
            connection.withdrawn();
        }
        self.ledger.finish(accepted, Wake::Nothing);
    }

    /// What was before these messages in their lane has ended.
    pub(crate) fn let_follow(self: &Arc<Self>, next: Vec<Arc<Accepted>>) {
        self.dispatch_all(next, None);
    }

    // ---- connections ----

    /// The address of the broker that has a queue now.
    pub(crate) fn address_of(&self, queue: &MessageQueue) -> Option<Arc<str>> {
        let target = self.routes.get(queue.topic())?.target_of(queue)?;
        Some(target.broker.connection.address().clone())
    }

    /// The connection to a broker that advertises `address`, made when there is none.
    pub(crate) fn connection(self: &Arc<Self>, address: &str) -> Arc<Connection> {
        self.pool.connection(&self.ledger, address, || self.events())
    }

    /// A connection to an address that is kept nowhere else.
    pub(crate) fn open(self: &Arc<Self>, address: Arc<str>, peer: Peer) -> Arc<Connection> {
        Arc::new(pool::open(&self.ledger, self.events(), address, peer))
    }

    /// Connections to brokers and to name servers.
    pub(crate) fn all_connections(&self) -> Vec<Arc<Connection>> {
        self.connections().into_iter().chain(self.directory.all()).collect()
    }

    /// Connections to brokers.
    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        self.pool.all()
    }

    /// Has every broker that a route leads to know this client: a broker whose connection was lost
    /// while nothing was sent would ask no producer about transactions.
    pub(crate) fn greet_brokers(&self) {
        self.connections().iter().for_each(|connection| connection.order(TaskOrder::Greet));
    }

    /// Lets go of everything, so that the tasks end when they have done what they have.
    pub(crate) fn let_go(&self) {
        self.ledger.stopped.cancel();
        self.directory.clear();
        self.routes.clear();
        self.pool.clear();
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("id", &self.ledger.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::runtime::Handle;

    use crate::Producer;

    /// A look-up that ends while its producer does makes connections for its route.
    #[tokio::test]
    async fn a_connection_that_is_made_after_the_end_is_let_go_of() {
        let producer = Producer::builder("ended", "127.0.0.1:1").start().await.unwrap();
        let client = producer.client().clone();
        client.let_go();
        drop(client.connection("127.0.0.1:1"));
        drop((client, producer));
        let metrics = Handle::current().metrics();
        let ended = async {
            while metrics.num_alive_tasks() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let hang = Duration::from_secs(20);
        tokio::time::timeout(hang, ended).await.expect("tasks are left");
    }
}
