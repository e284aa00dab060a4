//! Where a topic's queues are, and the table of all routes.

pub(crate) mod choice;
mod holder;
pub(crate) mod name_server;
mod plan;
mod route_watch;
mod static_topic;
mod waiting_line;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

pub(crate) use self::holder::WireQueue;
pub(crate) use self::plan::{BrokerQueues, can_be_written, limit_queues, writable_queues};
pub(crate) use self::route_watch::RouteWatch;
pub(crate) use self::static_topic::{MOST_QUEUES, logical_queues};
use self::waiting_line::WaitingLine;

use crate::accepted::Accepted;
use crate::accepted::cache_padded::CachePadded;
use crate::connection::load::BrokerLoad;
use crate::connection::target::{Described, RouteBroker, Target};
use crate::connection::{Connection, TaskOrder};
use crate::message::cause::Cause;
use crate::message::{Destination, QueueNames};
use crate::{ErrorKind, MessageQueue};

/// How long "no such topic" is believed without asking again.
const MISSING_LIFETIME: Duration = Duration::from_secs(1);

/// The queues of a topic that may be written, and the brokers that have them.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) topic: Arc<str>,
    pub(crate) brokers: Vec<Arc<RouteBroker>>,
    /// Every queue, in the same order for all clients, so that a key's hash means the same queue
    /// everywhere.
    pub(crate) queues: Vec<RouteQueue>,
    /// Whether it is the default topic's, until the first send creates the topic.
    pub(crate) from_default_topic: bool,
    choices: CachePadded<Choices>,
    /// What it was made of, to tell whether a newer answer differs.
    plan: Vec<BrokerQueues>,
}

/// What choices among several brokers leave for the next.
#[derive(Debug)]
struct Choices {
    /// Whose turn it is among the queues.
    turn: AtomicUsize,
    /// The smallest backlog of a broker that is not left out, as it was found last.
    smallest_backlog: AtomicUsize,
}

/// A queue's place in the order of its topic's queues.
#[derive(Debug)]
pub(crate) struct RouteQueue {
    /// Place of the broker that has it. `None`: it cannot be written now, but keys still stand for
    /// it.
    pub(crate) broker: Option<usize>,
    /// The names that it goes by.
    names: Arc<QueueNames>,
    id: i32,
}

impl RouteQueue {
    fn is(&self, queue: &MessageQueue) -> bool {
        self.id == queue.id() && **self.names.broker() == *queue.broker()
    }
}

impl Route {
    /// The route of a topic, given its name here and on the wire.
    pub(crate) fn new(
        topic: Arc<str>,
        wire_topic: Arc<str>,
        plan: Vec<BrokerQueues>,
        from_default_topic: bool,
        mut connection: impl FnMut(&str) -> Arc<Connection>,
    ) -> Self {
        let (mut brokers, mut queues) = (Vec::new(), Vec::new());
        for of_broker in &plan {
            let names = QueueNames::new(topic.clone(), of_broker.queues_named().into());
            let place = of_broker.address.as_ref().map(|_| brokers.len());
            let queue = |id: &i32| RouteQueue { broker: place, names: names.clone(), id: *id };
            queues.extend(of_broker.queues.iter().map(queue));
            if let (Some(place), Some(address)) = (place, &of_broker.address) {
                let described = Described {
                    wire_topic: wire_topic.clone(),
                    place,
                    name: &of_broker.broker,
                    cluster: &of_broker.cluster,
                    queues: &of_broker.queues,
                    queue_names: names,
                    logical: of_broker.logical.is_some(),
                };
                brokers.push(Arc::new(RouteBroker::new(described, connection(address))));
            }
        }
        if plan.iter().any(|of_broker| of_broker.logical.is_some()) {
            // The broker that has them now.
            queues.sort_by_key(|queue| queue.id);
        }
        Self {
            topic,
            brokers,
            queues,
            from_default_topic,
            choices: CachePadded(Choices {
                turn: AtomicUsize::new(fastrand::usize(..)),
                smallest_backlog: AtomicUsize::new(0),
            }),
            plan,
        }
    }

    /// Whether a newer answer says the same.
    pub(crate) fn is_same(&self, plan: &[BrokerQueues], from_default_topic: bool) -> bool {
        self.plan == plan && self.from_default_topic == from_default_topic
    }

    /// Its brokers and where they are said to be, to find out what happened.
    pub(crate) fn places(&self) -> Vec<(&str, &str)> {
        let brokers = self.brokers.iter();
        brokers.map(|broker| (&*broker.name, &**broker.connection.address())).collect()
    }

    /// Connects to its brokers, and tells them of this client.
    pub(crate) fn greet(&self) {
        self.brokers.iter().for_each(|broker| broker.connection.order(TaskOrder::Greet));
    }

    /// The clusters of its brokers, each once.
    pub(crate) fn clusters(&self) -> Vec<&Arc<str>> {
        let mut clusters: Vec<_> = self.brokers.iter().map(|broker| &broker.cluster).collect();
        clusters.sort_unstable();
        clusters.dedup();
        clusters
    }

    /// The turn of the next choice; it begins at that place of `queues`, which is read in circles.
    pub(crate) fn next_turn(&self) -> usize {
        self.choices.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// The smallest backlog of a broker that is not left out. It is looked for in one of as many turns
    /// as there are brokers, so that a choice does not cost more with more of them.
    pub(crate) fn smallest_backlog(&self, turn: usize) -> usize {
        if turn.is_multiple_of(self.brokers.len().max(1)) {
            let usable = self.loads().filter(|load| !load.left_out);
            let smallest = usable.map(|load| load.backlog).min().unwrap_or_default();
            self.choices.smallest_backlog.store(smallest, Ordering::Relaxed);
        }
        self.choices.smallest_backlog.load(Ordering::Relaxed)
    }

    /// What is known of each broker.
    pub(crate) fn loads(&self) -> impl Iterator<Item = BrokerLoad> {
        self.brokers.iter().map(|broker| broker.load())
    }

    /// Queue at this place of `queues`.
    pub(crate) fn queue(&self, place: usize) -> Option<MessageQueue> {
        let queue = self.queues.get(place)?;
        Some(MessageQueue::of(&queue.names, queue.id))
    }

    /// Whether it names a queue, wherever that is.
    pub(crate) fn names(&self, queue: &MessageQueue) -> bool {
        self.queues.iter().any(|one| one.is(queue))
    }

    /// Whether a message waits for a broker: the topic has queues for it that may be written, and none
    /// of their brokers has a master now.
    pub(crate) fn waits_for_master(&self, destination: &Destination) -> bool {
        match destination {
            Destination::Queue { queue, .. } => {
                self.queues.iter().any(|one| one.broker.is_none() && one.is(queue))
            }
            _ => self.brokers.is_empty() && !self.queues.is_empty(),
        }
    }

    /// Whether it names any queue that may be written, be its broker there or not.
    pub(crate) fn names_queues(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Whether a broker has a queue that it has not denied.
    pub(crate) fn has_some_queue(&self) -> bool {
        self.brokers.iter().any(|broker| broker.memo.has_some())
    }

    /// Time has passed: queues that brokers have denied may be there by now, and the route be right.
    pub(crate) fn restore(&self) {
        self.brokers.iter().for_each(|broker| broker.memo.restore());
    }

    /// The target for one queue of the topic, whether or not it may be written now: an ordered
    /// message keeps its queue while its broker is known.
    pub(crate) fn target_of(&self, queue: &MessageQueue) -> Option<Target> {
        let broker = self.brokers.iter().find(|broker| broker.has(queue))?.clone();
        Some(Target { broker, queue: Some(queue.id()) })
    }

    /// Whether the topic has queues on other brokers than this one too.
    pub(crate) fn has_others(&self, than: &RouteBroker) -> bool {
        self.others(than).next().is_some()
    }

    /// Whether one of the brokers beside this one can be used, as far as is known.
    pub(crate) fn has_usable_others(&self, than: &RouteBroker) -> bool {
        self.brokers.len() > 1
            && self.others(than).any(|broker| !broker.connection.load().is_left_out())
    }

    fn others(&self, than: &RouteBroker) -> impl Iterator<Item = &Arc<RouteBroker>> {
        self.brokers.iter().filter(|broker| broker.name != than.name)
    }
}

/// Routes by their topic. Topics are the application's own choice, so a fast hash will do.
pub(crate) type Routes = FxHashMap<Arc<str>, Arc<Route>>;

/// Every topic's route. Reading one that is there takes no lock.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    routes: ArcSwap<Routes>,
    unrouted: Mutex<HashMap<Arc<str>, Unrouted>>,
    /// How many look-ups there have been.
    look_ups: AtomicU64,
    /// Nothing is kept any more: a look-up that ends now would hold its connections for ever.
    cleared: AtomicBool,
}

/// One look-up of a topic. When no message waits for it any more it is over. Messages that come
/// later start another one, even if this one still has things to do.
#[derive(Debug, Clone)]
pub(crate) struct LookUp {
    pub(crate) topic: Arc<str>,
    number: u64,
    /// Notified when a message has come that expires before all that have been waiting.
    sooner: Arc<Notify>,
}

impl LookUp {
    /// Awaits a message that expires before all that have been waiting.
    pub(crate) async fn sooner(&self) {
        self.sooner.notified().await;
    }
}

/// A topic without a route, or with one that names no queue that may be written.
#[derive(Debug)]
enum Unrouted {
    /// It is being looked up, by the look-up of this number, which is notified when a message comes that
    /// expires `sooner`; these wait for it. Once it is `found`, the messages that have waited are on their
    /// way by it.
    LookUp { number: u64, waiting: WaitingLine, sooner: Arc<Notify>, found: Option<Arc<Route>> },
    /// It was not found.
    Missing { until: Instant, why: Arc<NoRoute> },
}

/// Why there is no route to a topic.
#[derive(Debug)]
pub(crate) struct NoRoute {
    pub(crate) kind: ErrorKind,
    pub(crate) reason: String,
    /// What the system or TLS said.
    pub(crate) cause: Option<Cause>,
}

impl NoRoute {
    pub(crate) fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), cause: None }
    }
}

/// What becomes of a message whose topic has no route yet.
pub(crate) enum Parked {
    /// The route is there after all.
    Route(Arc<Route>, Arc<Accepted>),
    /// It waits; the caller has to start this look-up.
    First(LookUp),
    /// It waits for a look-up that is under way.
    Waits,
    /// The topic was not found a moment ago.
    Missing(Arc<Accepted>, Arc<NoRoute>),
}

impl RouteTable {
    /// The routes that are known, to look at for a moment.
    pub(crate) fn read(&self) -> Guard<Arc<Routes>> {
        self.routes.load()
    }

    /// A topic's route, if it is known.
    pub(crate) fn get(&self, topic: &str) -> Option<Arc<Route>> {
        self.read().get(topic).cloned()
    }

    /// As [`get`](Self::get), for a message that has been given the topic's route once: that may
    /// not be everybody's yet.
    pub(crate) fn known(&self, topic: &str) -> Option<Arc<Route>> {
        if let Some(route) = self.get(topic).filter(|route| route.names_queues()) {
            return Some(route);
        }
        match self.unrouted().get(topic) {
            Some(Unrouted::LookUp { found: Some(route), .. }) => Some(route.clone()),
            // It became everybody's just now.
            _ => self.get(topic),
        }
    }

    /// Every route.
    pub(crate) fn all(&self) -> Vec<Arc<Route>> {
        self.routes.load().values().cloned().collect()
    }

    /// Has a message wait for its topic's route: for a newer one, where the known route names no
    /// queue that may be written and the topic is being looked up, or `refreshing`.
    pub(crate) fn park(&self, accepted: Arc<Accepted>, now: Instant, refreshing: bool) -> Parked {
        let mut unrouted = self.unrouted();
        let is_looked_up =
            refreshing || matches!(unrouted.get(accepted.topic()), Some(Unrouted::LookUp { .. }));
        if let Some(route) = self.get(accepted.topic())
            && (route.names_queues() || !is_looked_up)
        {
            return Parked::Route(route, accepted);
        }
        match unrouted.get_mut(accepted.topic()) {
            Some(Unrouted::LookUp { waiting, sooner, .. }) => {
                if waiting.push(accepted) {
                    sooner.notify_one();
                }
                Parked::Waits
            }
            Some(Unrouted::Missing { until, why }) if *until > now => {
                Parked::Missing(accepted, why.clone())
            }
            _ => {
                let topic = accepted.topic().clone();
                let waiting = WaitingLine::of(accepted);
                let number = self.look_ups.fetch_add(1, Ordering::Relaxed);
                let sooner = Arc::<Notify>::default();
                let entry =
                    Unrouted::LookUp { number, waiting, sooner: sooner.clone(), found: None };
                unrouted.insert(topic.clone(), entry);
                Parked::First(LookUp { topic, number, sooner })
            }
        }
    }

    /// Takes what waits for a topic. When nothing does any more, `route` becomes the topic's: only
    /// then may later messages pass without waiting, so that none overtakes an earlier one.
    pub(crate) fn found(&self, look_up: &LookUp, route: &Arc<Route>) -> Vec<Arc<Accepted>> {
        let mut unrouted = self.unrouted();
        let waiting = take_waiting(&mut unrouted, look_up);
        match unrouted.get_mut(&route.topic) {
            Some(Unrouted::LookUp { number, .. }) if *number != look_up.number => {}
            Some(Unrouted::LookUp { found, .. }) if !waiting.is_empty() => {
                *found = Some(route.clone())
            }
            _ => {
                self.put(route.clone());
                unrouted.remove(&route.topic);
            }
        }
        waiting
    }

    /// The topic has no route; gives back what waited for one.
    pub(crate) fn missing(
        &self,
        look_up: &LookUp,
        now: Instant,
        why: &Arc<NoRoute>,
    ) -> Vec<Arc<Accepted>> {
        let mut unrouted = self.unrouted();
        let waiting = take_waiting(&mut unrouted, look_up);
        if is_another(&unrouted, look_up) {
            return waiting;
        }
        // So that topics that do not exist cannot fill the table.
        unrouted
            .retain(|_, entry| !matches!(entry, Unrouted::Missing { until, .. } if *until <= now));
        let until = now + MISSING_LIFETIME;
        unrouted.insert(look_up.topic.clone(), Unrouted::Missing { until, why: why.clone() });
        waiting
    }

    /// Takes out the messages that wait for a topic and fulfil `wanted`. When no message is left waiting,
    /// the look-up is over.
    pub(crate) fn take_waiting(
        &self,
        look_up: &LookUp,
        wanted: impl FnMut(&Arc<Accepted>) -> bool,
    ) -> Vec<Arc<Accepted>> {
        let mut unrouted = self.unrouted();
        let Some(Unrouted::LookUp { number, waiting, found, .. }) =
            unrouted.get_mut(&look_up.topic)
        else {
            return Vec::new();
        };
        if *number != look_up.number {
            return Vec::new();
        }
        let taken = waiting.take_if(wanted);
        // The part that sends the waiting messages on their way ends the look-up.
        if waiting.is_empty() && found.is_none() {
            unrouted.remove(&look_up.topic);
        }
        taken
    }

    /// A topic that was missing has been created.
    pub(crate) fn forget_missing(&self, topic: &str) {
        self.unrouted()
            .retain(|name, entry| **name != *topic || matches!(entry, Unrouted::LookUp { .. }));
    }

    /// A time before which no message expires that waits for a look-up; `None` when none waits.
    pub(crate) fn first_deadline(&self, look_up: &LookUp) -> Option<Instant> {
        match self.unrouted().get(&look_up.topic)? {
            Unrouted::LookUp { number, waiting, .. } if *number == look_up.number => {
                waiting.earliest()
            }
            Unrouted::LookUp { .. } | Unrouted::Missing { .. } => None,
        }
    }

    /// Puts a route in the place of an older one.
    pub(crate) fn put(&self, route: Arc<Route>) {
        self.routes.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            if !self.cleared.load(Ordering::SeqCst) {
                routes.insert(route.topic.clone(), route.clone());
            }
            routes
        });
    }

    /// A topic's route that was looked up for no message. When messages wait for it meanwhile, the
    /// look-up for these messages publishes the route.
    pub(crate) fn put_ahead(&self, route: &Arc<Route>) {
        let mut unrouted = self.unrouted();
        if !matches!(unrouted.get(&route.topic), Some(Unrouted::LookUp { .. })) {
            unrouted.remove(&route.topic);
            self.put(route.clone());
        }
    }

    /// Forgets everything, so that no connection is held any more; and keeps nothing from now on.
    pub(crate) fn clear(&self) {
        // A thread that puts a route in meanwhile finds another table, and looks at this once more.
        self.cleared.store(true, Ordering::SeqCst);
        self.routes.store(Arc::default());
    }

    fn unrouted(&self) -> MutexGuard<'_, HashMap<Arc<str>, Unrouted>> {
        self.unrouted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_waiting(
    unrouted: &mut HashMap<Arc<str>, Unrouted>,
    look_up: &LookUp,
) -> Vec<Arc<Accepted>> {
    match unrouted.get_mut(&look_up.topic) {
        Some(Unrouted::LookUp { number, waiting, .. }) if *number == look_up.number => {
            waiting.take()
        }
        _ => Vec::new(),
    }
}

/// Whether the messages that wait for the topic now wait for a later look-up.
fn is_another(unrouted: &HashMap<Arc<str>, Unrouted>, look_up: &LookUp) -> bool {
    matches!(unrouted.get(&look_up.topic), Some(Unrouted::LookUp { number, .. }) if *number != look_up.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::accepted::Sharing;
    use crate::accepted::tests::terms;

    fn message() -> Arc<Accepted> {
        let terms = terms(Instant::now() + Duration::from_secs(1), Sharing::Alone);
        Arc::new(Accepted::new(Message::new("t", "x").into(), terms))
    }

    fn parked(table: &RouteTable) -> LookUp {
        match table.park(message(), Instant::now(), false) {
            Parked::First(look_up) => look_up,
            _ => panic!("it is being looked up already"),
        }
    }

    /// While it ends expired messages, their callers may send again, which begins another look-up.
    #[test]
    fn a_look_up_that_is_over_touches_nothing_of_the_next() {
        let table = RouteTable::default();
        let unused = |_: &str| -> Arc<Connection> { panic!("no broker") };
        let route = Arc::new(Route::new("t".into(), "t".into(), Vec::new(), false, unused));
        let first = parked(&table);
        assert_eq!(table.take_waiting(&first, |_| true).len(), 1);
        let second = parked(&table);
        assert!(table.first_deadline(&first).is_none());
        assert!(table.take_waiting(&first, |_| true).is_empty());
        assert!(table.found(&first, &route).is_empty());
        assert!(table.get("t").is_none(), "another message would overtake the one that waits");
        let now = Instant::now();
        let gone = Arc::new(NoRoute::new(ErrorKind::NoTopic, "gone"));
        assert!(table.missing(&first, now, &gone).is_empty());
        assert!(table.first_deadline(&second).is_some());
        assert_eq!(table.found(&second, &route).len(), 1);
        // Messages that follow it are not there yet.
        assert!(table.found(&first, &route).is_empty());
        assert!(table.get("t").is_none());
        assert!(table.found(&second, &route).is_empty());
        assert!(table.get("t").is_some());
    }

    #[test]
    fn a_route_that_is_found_after_the_end_is_not_kept() {
        let table = RouteTable::default();
        let unused = |_: &str| -> Arc<Connection> { panic!("no broker") };
        let route = || Arc::new(Route::new("t".into(), "t".into(), Vec::new(), false, unused));
        table.put(route());
        assert!(table.get("t").is_some());
        table.clear();
        table.put(route());
        assert!(table.get("t").is_none());
    }
}
