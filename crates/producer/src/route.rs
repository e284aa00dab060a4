//! Where a topic's queues are, and the table of all routes.

mod holder;
mod plan;
mod static_topic;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use posthaste_protocol::request::SendTemplate;
use rustc_hash::FxHashMap;

pub(crate) use self::holder::WireQueue;
pub(crate) use self::plan::{BrokerQueues, MOST_QUEUES, limit_queues, writable_queues};
pub(crate) use self::static_topic::logical_queues;

use crate::accepted::Accepted;
use crate::connection::{Connection, Order};
use crate::message::QueueNames;
use crate::padded::Padded;
use crate::queue::BrokerLoad;
use crate::{ErrorKind, MessageQueue};

/// How long "no such topic" is believed without asking again.
const MISSING_LIFETIME: Duration = Duration::from_secs(1);
/// So many messages may wait for a route before those taken back are looked for.
const SWEEP_AT: usize = 128;

/// So many queues are compared when a request takes the next one.
const LOOK_AHEAD: usize = 16;

/// The queues of a topic that may be written, and the brokers that have them.
///
/// Every message has a handle to it: their count has cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Route {
    pub(crate) topic: Arc<str>,
    /// The topic's name on the wire.
    pub(crate) wire_topic: Arc<str>,
    pub(crate) brokers: Vec<RouteBroker>,
    /// Every queue, in the same order for all clients, so that a key's hash means the same queue
    /// everywhere.
    pub(crate) queues: Vec<RouteQueue>,
    /// Whether it is the default topic's, until the first send creates the topic.
    pub(crate) from_default_topic: bool,
    choices: Padded<Choices>,
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
    /// Place of the broker that has it. `None`: it cannot be written now, but keys mean it all the
    /// same.
    pub(crate) broker: Option<usize>,
    /// The names that it goes by.
    names: Arc<QueueNames>,
    id: i32,
}

/// One broker of a route.
#[derive(Debug)]
pub(crate) struct RouteBroker {
    pub(crate) name: Arc<str>,
    /// The names that its queues go by: the broker's is another one for the logical queues of a static
    /// topic, which are not bound to it.
    queue_names: Arc<QueueNames>,
    pub(crate) cluster: Arc<str>,
    pub(crate) connection: Arc<Connection>,
    /// Its queues.
    queues: Vec<OwnQueue>,
    /// Whose turn it is among them.
    turn: Padded<AtomicUsize>,
    /// What single sends to them share, once there was one.
    pub(crate) template: OnceLock<SendTemplate>,
}

/// One queue of a broker that takes messages in turn.
#[derive(Debug)]
struct OwnQueue {
    id: i32,
    /// How many messages it got in its turns.
    messages: AtomicUsize,
}

/// Where one attempt of a message goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) route: Arc<Route>,
    /// Place of the broker in the route.
    pub(crate) broker: usize,
    /// The queue; `None`: the broker's next one when the message leaves.
    pub(crate) queue: Option<i32>,
}

impl Target {
    pub(crate) fn broker_name(&self) -> &Arc<str> {
        self.route.brokers.get(self.broker).map_or(&self.route.topic, |broker| &broker.name)
    }

    /// The broker's queue of this number.
    pub(crate) fn queue_of_broker(&self, id: i32) -> MessageQueue {
        let Route { topic, brokers, .. } = &*self.route;
        match brokers.get(self.broker) {
            Some(broker) => MessageQueue::of(&broker.queue_names, id),
            None => MessageQueue::new(topic.clone(), topic.clone(), id),
        }
    }

    /// What single sends there share.
    pub(crate) fn template(&self) -> Option<&OnceLock<SendTemplate>> {
        self.route.brokers.get(self.broker).map(|broker| &broker.template)
    }

    /// The broker's cluster.
    pub(crate) fn cluster(&self) -> &str {
        self.route.brokers.get(self.broker).map_or("", |broker| &broker.cluster)
    }

    /// The broker's connection.
    pub(crate) fn connection(&self) -> Option<&Arc<Connection>> {
        self.route.brokers.get(self.broker).map(|broker| &broker.connection)
    }

    /// Address of the broker.
    pub(crate) fn address(&self) -> Arc<str> {
        let broker = self.route.brokers.get(self.broker);
        broker.map_or_else(|| Arc::from(""), |broker| broker.connection.address().clone())
    }

    /// Whether the topic has queues on other brokers too.
    pub(crate) fn has_others(&self) -> bool {
        self.route.brokers.len() > 1
    }

    /// Whether one of the other brokers can be used, as far as is known.
    pub(crate) fn has_usable_others(&self) -> bool {
        let mut all = self.route.brokers.iter().enumerate();
        all.any(|(at, broker)| at != self.broker && !broker.connection.load().is_left_out())
    }

    /// The queue that a request of so many messages leaves for now.
    pub(crate) fn next_queue(&self, messages: usize) -> i32 {
        self.queue.unwrap_or_else(|| {
            let broker = self.route.brokers.get(self.broker);
            broker.and_then(|broker| broker.next_queue(messages)).unwrap_or_default()
        })
    }
}

impl RouteBroker {
    /// The next queue in turn, or of those after it one that got fewer messages: batches differ in
    /// size, and queues get equal shares all the same.
    fn next_queue(&self, messages: usize) -> Option<i32> {
        // The task of one connection alone counts here, so nothing is counted at the same time.
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        let next = (0..self.queues.len().min(LOOK_AHEAD)).map(|step| turn.wrapping_add(step));
        let queues = next.filter_map(|place| self.queues.get(place % self.queues.len()));
        let queue = queues.min_by_key(|queue| queue.messages.load(Ordering::Relaxed))?;
        let before = queue.messages.load(Ordering::Relaxed);
        queue.messages.store(before.wrapping_add(messages), Ordering::Relaxed);
        Some(queue.id)
    }

    /// What is known of it.
    pub(crate) fn load(&self) -> BrokerLoad {
        self.connection.snapshot()
    }

    /// Whether it has a queue, or is the one that would.
    fn has(&self, queue: &MessageQueue) -> bool {
        let named = self.queue_names.broker();
        let is_logical = !Arc::ptr_eq(&self.name, named);
        **named == *queue.broker()
            && (!is_logical || self.queues.iter().any(|own| own.id == queue.id()))
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
            let name: Arc<str> = of_broker.broker.as_str().into();
            let named = of_broker.logical.as_deref().map_or_else(|| name.clone(), Arc::from);
            let names = QueueNames::new(topic.clone(), named);
            let place = of_broker.address.as_ref().map(|_| brokers.len());
            let queue = |id: &i32| RouteQueue { broker: place, names: names.clone(), id: *id };
            queues.extend(of_broker.queues.iter().map(queue));
            let own = |id: &i32| OwnQueue { id: *id, messages: AtomicUsize::new(0) };
            if let Some(address) = &of_broker.address {
                brokers.push(RouteBroker {
                    name,
                    queue_names: names,
                    cluster: of_broker.cluster.as_str().into(),
                    connection: connection(address),
                    queues: of_broker.queues.iter().map(own).collect(),
                    turn: Padded(AtomicUsize::new(fastrand::usize(..))),
                    template: OnceLock::new(),
                });
            }
        }
        if plan.iter().any(|of_broker| of_broker.logical.is_some()) {
            // Whoever has them now.
            queues.sort_by_key(|queue| queue.id);
        }
        Self {
            topic,
            wire_topic,
            brokers,
            queues,
            from_default_topic,
            choices: Padded(Choices {
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

    /// Its brokers and where they are said to be, for those who have to find out what happened.
    pub(crate) fn places(&self) -> Vec<(&str, &str)> {
        let brokers = self.brokers.iter();
        brokers.map(|broker| (&*broker.name, &**broker.connection.address())).collect()
    }

    /// Has its brokers connected to, and told of this client.
    pub(crate) fn greet(&self) {
        self.brokers.iter().for_each(|broker| broker.connection.order(Order::Greet));
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
        self.brokers.iter().map(RouteBroker::load)
    }

    /// Queue at this place of `queues`.
    pub(crate) fn queue(&self, place: usize) -> Option<MessageQueue> {
        let queue = self.queues.get(place)?;
        Some(MessageQueue::of(&queue.names, queue.id))
    }

    /// The target for one queue of the topic, whether or not it may be written now: an ordered
    /// message keeps its queue while its broker is known.
    pub(crate) fn target_of(self: &Arc<Self>, queue: &MessageQueue) -> Option<Target> {
        let broker = self.brokers.iter().position(|broker| broker.has(queue))?;
        Some(Target { route: self.clone(), broker, queue: Some(queue.id()) })
    }
}

/// Routes by their topic. Topics are the application's own choice, so a fast hash will do.
pub(crate) type Routes = FxHashMap<Arc<str>, Arc<Route>>;

/// Every topic's route. Reading one that is there takes no lock.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    routes: ArcSwap<Routes>,
    cold: Mutex<HashMap<Arc<str>, Cold>>,
    /// How many look-ups there have been.
    look_ups: AtomicU64,
}

/// One look-up of a topic. When nobody waits for it any more it is over, and those that come later
/// have another one, though it may have things to do still.
#[derive(Debug, Clone)]
pub(crate) struct LookUp {
    pub(crate) topic: Arc<str>,
    number: u64,
}

/// A topic without a route.
#[derive(Debug)]
enum Cold {
    /// It is being looked up, by the look-up of this number; these wait for it, in the order of
    /// acceptance. When there are `sweep_at` of them, those that their callers took back are
    /// dropped. Once it is `found`, those that have waited are on their way by it.
    LookUp { number: u64, waiting: Vec<Arc<Accepted>>, sweep_at: usize, found: Option<Arc<Route>> },
    /// It was not found.
    Missing { until: Instant, kind: ErrorKind, reason: Arc<str> },
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
    Missing(Arc<Accepted>, ErrorKind, Arc<str>),
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
        self.get(topic).or_else(|| match self.cold().get(topic) {
            Some(Cold::LookUp { found: Some(route), .. }) => Some(route.clone()),
            // It became everybody's just now.
            _ => self.get(topic),
        })
    }

    /// Every route.
    pub(crate) fn all(&self) -> Vec<Arc<Route>> {
        self.routes.load().values().cloned().collect()
    }

    /// Has a message wait for its topic's route.
    pub(crate) fn park(&self, accepted: Arc<Accepted>, now: Instant) -> Parked {
        let mut cold = self.cold();
        if let Some(route) = self.get(accepted.topic()) {
            return Parked::Route(route, accepted);
        }
        match cold.get_mut(accepted.topic()) {
            Some(Cold::LookUp { waiting, sweep_at, .. }) => {
                waiting.push(accepted);
                if waiting.len() >= *sweep_at {
                    waiting.retain(|one| !one.has_ended());
                    *sweep_at = (waiting.len() * 2).max(SWEEP_AT);
                }
                Parked::Waits
            }
            Some(Cold::Missing { until, kind, reason }) if *until > now => {
                Parked::Missing(accepted, *kind, reason.clone())
            }
            _ => {
                let topic = accepted.topic().clone();
                let waiting = vec![accepted];
                let number = self.look_ups.fetch_add(1, Ordering::Relaxed);
                let look_up = Cold::LookUp { number, waiting, sweep_at: SWEEP_AT, found: None };
                cold.insert(topic.clone(), look_up);
                Parked::First(LookUp { topic, number })
            }
        }
    }

    /// Takes what waits for a topic. When nothing does any more, `route` becomes the topic's: only
    /// then may later messages pass without waiting, so that none overtakes an earlier one.
    pub(crate) fn found(&self, look_up: &LookUp, route: &Arc<Route>) -> Vec<Arc<Accepted>> {
        let mut cold = self.cold();
        let waiting = take_waiting(&mut cold, look_up);
        match cold.get_mut(&route.topic) {
            Some(Cold::LookUp { number, .. }) if *number != look_up.number => {}
            Some(Cold::LookUp { found, .. }) if !waiting.is_empty() => *found = Some(route.clone()),
            _ => {
                self.put(route.clone());
                cold.remove(&route.topic);
            }
        }
        waiting
    }

    /// The topic has no route; gives back what waited for one.
    pub(crate) fn missing(
        &self,
        look_up: &LookUp,
        now: Instant,
        kind: ErrorKind,
        reason: &str,
    ) -> Vec<Arc<Accepted>> {
        let mut cold = self.cold();
        let waiting = take_waiting(&mut cold, look_up);
        if is_another(&cold, look_up) {
            return waiting;
        }
        // So that topics that do not exist cannot fill the table.
        cold.retain(|_, entry| !matches!(entry, Cold::Missing { until, .. } if *until <= now));
        let until = now + MISSING_LIFETIME;
        cold.insert(look_up.topic.clone(), Cold::Missing { until, kind, reason: reason.into() });
        waiting
    }

    /// Takes those out that wait for a topic and fulfil `wanted`. When nobody is left waiting the
    /// look-up is over.
    pub(crate) fn take_waiting(
        &self,
        look_up: &LookUp,
        wanted: impl FnMut(&Arc<Accepted>) -> bool,
    ) -> Vec<Arc<Accepted>> {
        let mut cold = self.cold();
        if is_another(&cold, look_up) {
            return Vec::new();
        }
        let waiting = take_waiting(&mut cold, look_up);
        let (taken, left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(wanted);
        match cold.get_mut(&look_up.topic) {
            Some(Cold::LookUp { waiting, .. }) if !left.is_empty() => *waiting = left,
            // Whoever sends those that have waited on their way ends the look-up.
            Some(Cold::LookUp { found: Some(_), .. }) => {}
            _ => drop(cold.remove(&look_up.topic)),
        }
        taken
    }

    /// A topic that was missing has been created.
    pub(crate) fn forget_missing(&self, topic: &str) {
        self.cold().retain(|name, entry| **name != *topic || matches!(entry, Cold::LookUp { .. }));
    }

    /// When the first of those expires that wait for a look-up.
    pub(crate) fn first_deadline(&self, look_up: &LookUp) -> Option<Instant> {
        match self.cold().get(&look_up.topic)? {
            Cold::LookUp { number, waiting, .. } if *number == look_up.number => {
                waiting.iter().map(|one| one.deadline).min()
            }
            Cold::LookUp { .. } | Cold::Missing { .. } => None,
        }
    }

    /// Puts a route in the place of an older one.
    pub(crate) fn put(&self, route: Arc<Route>) {
        self.routes.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            routes.insert(route.topic.clone(), route.clone());
            routes
        });
    }

    /// The route of a topic that nobody has asked for yet. When messages have come meanwhile, it is
    /// for those who look it up for them to say when the route is everybody's.
    pub(crate) fn put_ahead(&self, route: &Arc<Route>) {
        let mut cold = self.cold();
        if !matches!(cold.get(&route.topic), Some(Cold::LookUp { .. })) {
            cold.remove(&route.topic);
            self.put(route.clone());
        }
    }

    /// Forgets everything, so that no connection is held any more.
    pub(crate) fn clear(&self) {
        self.routes.store(Arc::default());
    }

    fn cold(&self) -> MutexGuard<'_, HashMap<Arc<str>, Cold>> {
        self.cold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_waiting(cold: &mut HashMap<Arc<str>, Cold>, look_up: &LookUp) -> Vec<Arc<Accepted>> {
    match cold.get_mut(&look_up.topic) {
        Some(Cold::LookUp { number, waiting, .. }) if *number == look_up.number => {
            std::mem::take(waiting)
        }
        _ => Vec::new(),
    }
}

/// Whether it is a later look-up that those wait for who wait for the topic now.
fn is_another(cold: &HashMap<Arc<str>, Cold>, look_up: &LookUp) -> bool {
    matches!(cold.get(&look_up.topic), Some(Cold::LookUp { number, .. }) if *number != look_up.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::accepted::tests::terms;
    use crate::batch::Sharing;

    fn message() -> Arc<Accepted> {
        let terms = terms(Instant::now() + Duration::from_secs(1), Sharing::Alone);
        Arc::new(Accepted::new(Message::new("t", "x").into(), terms))
    }

    fn parked(table: &RouteTable) -> LookUp {
        match table.park(message(), Instant::now()) {
            Parked::First(look_up) => look_up,
            _ => panic!("it is being looked up already"),
        }
    }

    /// While it tells those that expired, they may send again, which begins another.
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
        assert!(table.missing(&first, now, ErrorKind::NoTopic, "gone").is_empty());
        assert!(table.first_deadline(&second).is_some());
        assert_eq!(table.found(&second, &route).len(), 1);
        // Those on their way by it are not there yet.
        assert!(table.found(&first, &route).is_empty());
        assert!(table.get("t").is_none());
        assert!(table.found(&second, &route).is_empty());
        assert!(table.get("t").is_some());
    }
}
