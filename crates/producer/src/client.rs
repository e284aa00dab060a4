//! What all parts of a producer share: settings, routes, connections, counters.

pub(crate) mod acquaintance;
mod check;
mod close;
mod deliver;
mod discover;
mod flush;
pub(crate) mod look_up;
pub(crate) mod probe;
mod replies;
mod retry;
pub(crate) mod upkeep;

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use posthaste_protocol::request::{Heartbeat, ProducerGroup};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::accepted::{Accepted, Failed, Mode, Permit, Terms, Wake, sharing};
use crate::callbacks::Callbacks;
use crate::config::Config;
use crate::connection::{Connection, Order, Peer};
use crate::content::Content;
use crate::intake::Intake;
use crate::ledger::{Checks, Requests, Transactions};
use crate::message::batch;
use crate::message::wire_size::stored_bytes;
use crate::meters::Meters;
use crate::name_server::Directory;
use crate::observers::Observers;
use crate::order::Lanes;
use crate::route::{RouteTable, Watch};
use crate::stats::{Counters, Stats};
use crate::{ErrorKind, Message, MessageQueue, Outcome, SendError, Undelivered, validate};

/// What a message takes of the bound beside its text: its place in tables, and its receipt.
const MESSAGE_OVERHEAD: usize = 256;

pub(crate) struct Client {
    config: Config,
    id: String,
    runtime: Handle,
    counters: Arc<Counters>,
    meters: Arc<Meters>,
    observers: Option<Box<Observers>>,
    pub(crate) intake: Intake,
    pub(crate) routes: RouteTable,
    pub(crate) lanes: Lanes,
    /// Most bytes of a batch.
    pub(crate) batch_bytes: usize,
    pub(crate) watch: Watch,
    /// The name servers.
    pub(crate) directory: Directory,
    pool: Mutex<HashMap<Arc<str>, Arc<Connection>>>,
    phase: AtomicU8,
    /// Tells the tasks in the background to end.
    pub(crate) stopped: CancellationToken,
    /// Told when a message ended while that is awaited.
    pub(crate) ended: Notify,
    undelivered: Mutex<Vec<Undelivered>>,
    pub(crate) transactions: Transactions,
    pub(crate) checks: Checks,
    pub(crate) requests: Requests,
    /// Told when a broker is left out for its health.
    pub(crate) left_out: Notify,
    callbacks: Callbacks,
}

/// Whether there was room for a message at once.
pub(crate) enum Room {
    Taken(Arc<Accepted>),
    /// Boxed, because few sends need it: otherwise every send's future would have room for it.
    None(Box<Waits>),
}

/// A message, or a batch, that waits for room.
pub(crate) struct Waits {
    content: Content,
    size: Size,
    mode: Mode,
    deadline: Instant,
}

/// How large a message or a batch is.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// What it takes of the bounds.
    permit: Permit,
    /// Bytes that a broker stores.
    stored_bytes: usize,
}

/// How far closing has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// Nothing new is accepted; what is accepted runs to its end.
    Closing,
    /// Closing ran out of time: everything ends.
    Abandoned,
}

impl Client {
    pub(crate) fn new(
        config: Config,
        runtime: &Handle,
        counters: Arc<Counters>,
        meters: Arc<Meters>,
        observers: Option<Box<Observers>>,
    ) -> Self {
        let ip = config.identity.ip();
        Self {
            id: config.identity.client_id(ip),
            intake: Intake::new(config.max_pending_messages, config.max_pending_bytes, ip),
            lanes: Lanes::new(config.batch_bytes()),
            batch_bytes: config.batch_bytes(),
            transactions: Transactions::default(),
            checks: Checks::new(config.checks_at_once, config.checks_waiting),
            requests: Requests::default(),
            left_out: Notify::new(),
            callbacks: Callbacks::new(config.callback_executor.clone()),
            config,
            runtime: runtime.clone(),
            observers,
            meters,
            counters,
            routes: RouteTable::default(),
            watch: Watch::default(),
            directory: Directory::default(),
            pool: Mutex::default(),
            phase: AtomicU8::new(Phase::Open as u8),
            stopped: CancellationToken::new(),
            ended: Notify::new(),
            undelivered: Mutex::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// `ip@instance`, by which brokers know this client.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What brokers learn of this client.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        let heartbeat = Heartbeat {
            client_id: self.id.clone(),
            producers: vec![ProducerGroup { group_name: self.config.group.to_string() }],
            ..Heartbeat::default()
        };
        let fingerprint = if self.config.heartbeat_v2 { heartbeat.fingerprint() } else { 0 };
        Heartbeat { fingerprint, ..heartbeat }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The observers of sends, if there are any.
    pub(crate) fn observers(&self) -> Option<&Observers> {
        self.observers.as_deref()
    }

    pub(crate) fn stats(&self) -> Stats {
        let brokers = self.connections().iter().map(|one| one.stats()).collect();
        self.counters.read(self.intake.epochs.accepted(), brokers)
    }

    /// Messages accepted and not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        self.counters.in_flight(self.intake.epochs.accepted())
    }

    /// Runs something in the background, on the runtime that the producer was started on.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    // ---- accepting ----

    /// Whether a message would not even be accepted.
    pub(crate) fn would_refuse(&self, message: &Message) -> bool {
        self.phase() != Phase::Open
            || validate::message(message, self.config.max_message_size).is_err()
    }

    /// Checks a message or a batch, takes its permit if there is room, and counts it as in flight.
    /// Its end wakes `waker`, or, when it had to wait for room, the one that waits there.
    pub(crate) fn accept(
        &self,
        content: Content,
        mode: Mode,
        waker: Option<Waker>,
        timeout: Duration,
    ) -> Result<Room, SendError> {
        if self.phase() != Phase::Open {
            return Err(closed(content));
        }
        #[cfg(feature = "opentelemetry")]
        let content = crate::trace_context::propagate(content);
        let mut content = content;
        let size = match self.check(&content) {
            Ok(bytes) => self.pack(&mut content, bytes),
            Err(reason) => return Err(self.refuse(ErrorKind::Invalid, reason, content)),
        };
        let since = Instant::now();
        let deadline = since + timeout;
        Ok(match self.intake.try_take(size.permit) {
            true => Room::Taken(self.accepted(content, mode, waker, since, deadline, size)),
            false => Room::None(Box::new(Waits { content, size, mode, deadline })),
        })
    }

    /// Takes the permit of a message or a batch that there was no room for, within its deadline.
    ///
    /// # Cancellation
    /// Nothing has happened yet when the future is dropped.
    pub(crate) async fn wait_for_room(
        &self,
        waits: Box<Waits>,
    ) -> Result<Arc<Accepted>, SendError> {
        let Waits { size, mode, deadline, .. } = *waits;
        let room = tokio::time::timeout_at(deadline.into(), self.intake.take(size.permit)).await;
        let content = waits.content;
        match room {
            Ok(Ok(())) => Ok(self.accepted(content, mode, None, Instant::now(), deadline, size)),
            Ok(Err(_)) => Err(closed(content)),
            Err(_) => {
                let reason = "no room for the message before its deadline";
                Err(self.refuse(ErrorKind::BufferFull, reason, content))
            }
        }
    }

    /// There is no room for a message, and it does not wait.
    pub(crate) fn no_room(&self, waits: Waits) -> SendError {
        self.refuse(ErrorKind::BufferFull, "no room for the message now", waits.content)
    }

    /// Compresses what is to be compressed, and says how large the content is.
    fn pack(&self, content: &mut Content, bytes: usize) -> Size {
        let Some(packed) = self.config.packing.pack(content) else {
            return self.size(content.count(), bytes, bytes);
        };
        let (packed_bytes, body_bytes) = (packed.bytes(), content.body_bytes());
        content.pack(packed);
        self.size(content.count(), bytes + packed_bytes, bytes - (body_bytes - packed_bytes))
    }

    /// Checks a message or a batch; gives the bytes that it has.
    fn check(&self, content: &Content) -> Result<usize, String> {
        let max_size = self.config.max_message_size;
        let mut bytes = validate::message(&content.first, max_size)?;
        for message in content.others() {
            // Should its topic be another one, the batch is refused for that.
            bytes += validate::beside_topic(message, max_size)?;
        }
        let mut beside = 0;
        if let Some(namespace) = &self.config.namespace {
            // As in Java it is the name on the wire that has a limit.
            validate::topic(&namespace.wrap(content.first.topic()))?;
            beside = namespace.bytes() * content.count();
        }
        batch::check(content, max_size.saturating_sub(beside))?;
        let bytes = if content.has_added() { content.sent_bytes() } else { bytes };
        Ok(bytes + beside)
    }

    /// How large messages are that keep this many bytes, and send this many. What is larger than a
    /// whole bound takes all of it.
    fn size(&self, count: usize, held: usize, sent: usize) -> Size {
        let Config { max_pending_messages, max_pending_bytes, .. } = self.config;
        let at_most = |value: usize, bound: usize| u32::try_from(value.min(bound));
        let permit = Permit {
            messages: at_most(count, max_pending_messages).unwrap_or(u32::MAX),
            bytes: at_most(held + MESSAGE_OVERHEAD * count, max_pending_bytes).unwrap_or(u32::MAX),
        };
        Size { permit, stored_bytes: stored_bytes(sent) }
    }

    fn accepted(
        &self,
        content: Content,
        mode: Mode,
        waker: Option<Waker>,
        since: Instant,
        deadline: Instant,
        size: Size,
    ) -> Arc<Accepted> {
        let Size { permit, stored_bytes } = size;
        let (epoch, id) = self.intake.accept(content.count());
        let terms = Terms {
            id,
            since,
            deadline,
            epoch,
            mode,
            sharing: sharing(&content, mode, stored_bytes, self.batch_bytes),
            stored_bytes: u32::try_from(stored_bytes).unwrap_or(u32::MAX),
            permit,
            waker,
        };
        Arc::new(Accepted::new(content, terms))
    }

    /// A message that is not even accepted counts as sent and not stored.
    pub(crate) fn refuse(
        &self,
        kind: ErrorKind,
        reason: impl Into<String>,
        content: Content,
    ) -> SendError {
        self.counters.refused.add(content.count());
        self.counters.not_stored.add(content.count());
        self.meters.refused(kind, content.count());
        SendError::not_stored(kind, reason, content)
    }

    // ---- ends ----

    /// The message failed, and with it those of its key that wait behind it.
    pub(crate) fn fail(self: &Arc<Self>, accepted: &Arc<Accepted>, kind: ErrorKind, reason: &str) {
        let next = self.fail_one(accepted, kind, reason);
        self.let_follow(next);
    }

    /// As [`fail`](Self::fail), but gives the messages that may leave now.
    pub(crate) fn fail_one(
        &self,
        accepted: &Arc<Accepted>,
        kind: ErrorKind,
        reason: &str,
    ) -> Vec<Arc<Accepted>> {
        let Some((failed, followers)) = self.lanes.fail(accepted, kind, reason) else {
            return Vec::new();
        };
        for (follower, failed) in followers.failed {
            self.finish_failed(&follower, ErrorKind::EarlierFailed, failed);
        }
        self.finish_failed(accepted, kind, failed);
        followers.next
    }

    /// Takes a message back whose caller has gone, if nothing of it has left.
    pub(crate) fn withdraw(self: &Arc<Self>, accepted: &Arc<Accepted>) {
        if !accepted.withdraw() {
            return;
        }
        self.counters.withdrawn.add(accepted.count());
        self.meters.withdrawn(accepted);
        let next = self.lanes.withdrawn(accepted);
        self.let_follow(next);
        for connection in self.connections() {
            connection.withdrawn();
        }
        self.finish(accepted, Wake::Nothing);
    }

    /// What was before these messages in their lane has ended.
    pub(crate) fn let_follow(self: &Arc<Self>, next: Vec<Arc<Accepted>>) {
        self.place_all(next, None);
    }

    /// A message has failed: it is counted, and its caller is told.
    pub(crate) fn finish_failed(&self, accepted: &Accepted, kind: ErrorKind, failed: Failed) {
        let Failed { wake, outcome, content } = failed;
        if self.phase() != Phase::Open {
            // Before it is counted: closing takes the list when the counts say that all is over.
            let undelivered = |message| Undelivered { message, kind, outcome };
            self.undelivered().extend(content.into_messages().into_iter().map(undelivered));
        }
        self.meters.failed(accepted, kind, outcome);
        match outcome {
            Outcome::NotStored => self.counters.not_stored.add(accepted.count()),
            Outcome::Unknown => self.counters.unknown.add(accepted.count()),
        }
        self.finish(accepted, wake);
    }

    /// The permit goes back, and the caller is told.
    fn finish(&self, accepted: &Accepted, wake: Wake) {
        let Permit { messages, bytes } = accepted.permit;
        self.intake.epochs.end(accepted.epoch, accepted.count());
        self.give_back(messages as usize, bytes as usize);
        self.wake(wake);
    }

    /// Permits come back.
    pub(crate) fn give_back(&self, places: usize, bytes: usize) {
        self.intake.give_back(places, bytes);
        if self.ends_are_awaited() {
            self.ended.notify_waiters();
        }
    }

    pub(crate) fn wake(&self, wake: Wake) {
        match wake {
            Wake::Nothing => {}
            Wake::Waker(waker) => waker.wake(),
            Wake::Callback(run) => self.callbacks.run(*run),
        }
    }

    // ---- closing ----

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Closing,
            _ => Phase::Abandoned,
        }
    }

    /// From now on nothing is accepted; callers that wait for room are told.
    pub(crate) fn begin_closing(&self) {
        self.phase.fetch_max(Phase::Closing as u8, Ordering::AcqRel);
        self.intake.close();
    }

    pub(crate) fn begin_abandoning(&self) {
        self.phase.fetch_max(Phase::Abandoned as u8, Ordering::AcqRel);
    }

    pub(crate) fn undelivered(&self) -> MutexGuard<'_, Vec<Undelivered>> {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- connections ----

    /// The connection to a broker that advertises `address`, made when there is none.
    pub(crate) fn connection(self: &Arc<Self>, address: &str) -> Arc<Connection> {
        let address = match self.config.vip_channel.then(|| vip_address(address)).flatten() {
            Some(vip) => self.mapped(&vip),
            None => self.mapped(address),
        };
        let mut pool = self.pool();
        if let Some(connection) = pool.get(&address) {
            return connection.clone();
        }
        let connection = Arc::new(Connection::new(self, address.clone(), Peer::Broker));
        // Who is done with it drops it; in here it would stay for ever once all was let go of.
        if !self.stopped.is_cancelled() {
            pool.insert(address, connection.clone());
        }
        connection
    }

    /// The address to connect to, for one that a broker advertises.
    pub(crate) fn mapped(&self, address: &str) -> Arc<str> {
        let mapped = self.config.address_map.as_ref().and_then(|map| {
            // One that panics leaves the address as it is.
            catch_unwind(AssertUnwindSafe(|| map(address))).ok().flatten()
        });
        Arc::from(mapped.as_deref().unwrap_or(address))
    }

    /// The address of the broker that has a queue now.
    pub(crate) fn address_of(&self, queue: &MessageQueue) -> Option<Arc<str>> {
        let target = self.routes.get(queue.topic())?.target_of(queue)?;
        Some(target.broker.connection.address().clone())
    }

    /// Connections to brokers and to name servers.
    pub(crate) fn all_connections(&self) -> Vec<Arc<Connection>> {
        self.connections().into_iter().chain(self.directory.all()).collect()
    }

    /// Connections to brokers.
    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        self.pool().values().cloned().collect()
    }

    /// Has every broker that a route leads to know this client: a broker whose connection was lost
    /// while nothing was sent would ask no producer about transactions.
    pub(crate) fn greet_brokers(&self) {
        self.connections().iter().for_each(|connection| connection.order(Order::Greet));
    }

    /// Lets go of connections that no route leads to any more.
    pub(crate) fn drop_unused_connections(&self) {
        self.pool().retain(|_, connection| Arc::strong_count(connection) > 1);
    }

    /// Lets go of everything, so that the tasks end when they have done what they have.
    pub(crate) fn let_go(&self) {
        self.stopped.cancel();
        self.directory.clear();
        self.routes.clear();
        self.pool().clear();
    }

    fn pool(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Connection>>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The second address of a broker that advertises this one (Java: `MixAll.brokerVIPChannel`).
fn vip_address(advertised: &str) -> Option<String> {
    let (host, port) = advertised.rsplit_once(':')?;
    let port = port.parse::<u16>().ok()?.checked_sub(2).filter(|port| *port != 0)?;
    Some(format!("{host}:{port}"))
}

fn closed(content: Content) -> SendError {
    SendError::not_stored(ErrorKind::Closed, "", content)
}

#[cfg(test)]
mod tests {
    use super::*;
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
