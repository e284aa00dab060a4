//! Where a topic's queues are, and the table of all routes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use posthaste_protocol::request::{TopicRoute, permission};

use crate::accepted::Accepted;
use crate::connection::Connection;
use crate::{ErrorKind, MessageQueue};

/// How long "no such topic" is believed without asking again.
const MISSING_LIFETIME: Duration = Duration::from_secs(1);
/// So many messages may wait for a route before those taken back are looked for.
const SWEEP_AT: usize = 128;

/// So many queues are compared when a request takes the next one.
const LOOK_AHEAD: usize = 16;

/// A topic has no more queues than this, whatever a name server says.
const MOST_QUEUES: i32 = 1 << 16;

/// The queues of a topic that may be written, and the brokers that have them.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) topic: Arc<str>,
    pub(crate) brokers: Vec<RouteBroker>,
    /// Every queue, as the place of its broker and its number; the same order for all clients, so
    /// that a key's hash means the same queue everywhere.
    pub(crate) queues: Vec<(usize, i32)>,
    /// Whether it is the default topic's, until the first send creates the topic.
    pub(crate) from_default_topic: bool,
    /// Whose turn it is among `queues`.
    turn: AtomicUsize,
    /// What it was made of, to tell whether a newer answer differs.
    plan: Vec<BrokerQueues>,
}

/// One broker of a route.
#[derive(Debug)]
pub(crate) struct RouteBroker {
    pub(crate) name: Arc<str>,
    pub(crate) cluster: Arc<str>,
    pub(crate) connection: Arc<Connection>,
    /// Its queues in `Route::queues`.
    queues: Vec<RouteQueue>,
    /// Whose turn it is among them.
    turn: AtomicUsize,
}

/// One queue of a broker that takes messages in turn.
#[derive(Debug)]
struct RouteQueue {
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

    /// Whether one of the other brokers can be reached, as far as is known.
    pub(crate) fn has_usable_others(&self) -> bool {
        let others = self.route.brokers.iter().enumerate().filter(|(at, _)| *at != self.broker);
        others.into_iter().any(|(_, broker)| !broker.connection.load().snapshot().unreachable)
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
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let next = (0..self.queues.len().min(LOOK_AHEAD)).map(|step| turn.wrapping_add(step));
        let queues = next.filter_map(|place| self.queues.get(place % self.queues.len()));
        let queue = queues.min_by_key(|queue| queue.messages.load(Ordering::Relaxed))?;
        queue.messages.fetch_add(messages, Ordering::Relaxed);
        Some(queue.id)
    }
}

/// One broker's writable queues of a topic, as a name server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerQueues {
    pub(crate) broker: String,
    pub(crate) cluster: String,
    pub(crate) address: String,
    pub(crate) queues: Vec<i32>,
}

/// Reads a route document: brokers by name, queues by number; without those that have no master
/// or must not be written (Java: `MQClientInstance.topicRouteData2TopicPublishInfo`).
pub(crate) fn writable_queues(document: &TopicRoute) -> Vec<BrokerQueues> {
    let master = |name: &str| {
        let broker = document.brokers.iter().find(|broker| broker.broker_name == name)?;
        Some((broker.cluster.clone(), broker.master()?.to_owned()))
    };
    let ordered = document.order_topic_conf.as_deref().unwrap_or_default();
    let mut counts: Vec<(&str, i32)> = match ordered.is_empty() {
        false => ordered
            .split(';')
            .filter_map(|item| item.split_once(':'))
            .filter_map(|(name, count)| Some((name, count.trim().parse().ok()?)))
            .collect(),
        true => document
            .queues
            .iter()
            .filter(|queue| queue.perm & permission::WRITE != 0)
            .map(|queue| (queue.broker_name.as_str(), queue.write_queue_nums))
            .collect(),
    };
    if ordered.is_empty() {
        counts.sort();
    }
    let mut left = MOST_QUEUES;
    counts
        .into_iter()
        .filter_map(|(name, count)| {
            let (cluster, address) = master(name)?;
            let count = count.min(left);
            left -= count.max(0);
            let (broker, queues) = (name.to_owned(), (0..count).collect());
            (count > 0).then_some(BrokerQueues { broker, cluster, address, queues })
        })
        .collect()
}

/// The default topic's queues as a new topic will have them.
pub(crate) fn limit_queues(plan: &mut [BrokerQueues], most: u32) {
    for broker in plan {
        broker.queues.truncate(most as usize);
    }
}

impl Route {
    pub(crate) fn new(
        topic: Arc<str>,
        plan: Vec<BrokerQueues>,
        from_default_topic: bool,
        mut connection: impl FnMut(&str) -> Arc<Connection>,
    ) -> Self {
        let brokers: Vec<RouteBroker> = plan
            .iter()
            .map(|broker| RouteBroker {
                name: Arc::from(broker.broker.as_str()),
                cluster: Arc::from(broker.cluster.as_str()),
                connection: connection(&broker.address),
                queues: broker
                    .queues
                    .iter()
                    .map(|id| RouteQueue { id: *id, messages: AtomicUsize::new(0) })
                    .collect(),
                turn: AtomicUsize::new(fastrand::usize(..)),
            })
            .collect();
        let queues = brokers
            .iter()
            .enumerate()
            .flat_map(|(at, broker)| broker.queues.iter().map(move |queue| (at, queue.id)))
            .collect();
        Self {
            topic,
            brokers,
            queues,
            from_default_topic,
            turn: AtomicUsize::new(fastrand::usize(..)),
            plan,
        }
    }

    /// Whether a newer answer says the same.
    pub(crate) fn is_same(&self, plan: &[BrokerQueues], from_default_topic: bool) -> bool {
        self.plan == plan && self.from_default_topic == from_default_topic
    }

    /// The clusters of its brokers, each once.
    pub(crate) fn clusters(&self) -> Vec<&Arc<str>> {
        let mut clusters: Vec<_> = self.brokers.iter().map(|broker| &broker.cluster).collect();
        clusters.sort_unstable();
        clusters.dedup();
        clusters
    }

    /// The place in `queues` at which the next choice begins.
    pub(crate) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.queues.len().max(1)
    }

    /// Queue at this place of `queues`.
    pub(crate) fn queue(&self, place: usize) -> Option<MessageQueue> {
        let (broker, id) = *self.queues.get(place)?;
        let broker = self.brokers.get(broker)?;
        Some(MessageQueue::new(self.topic.clone(), broker.name.clone(), id))
    }

    /// The target for one queue of the topic, whether or not it may be written now: an ordered
    /// message keeps its queue while its broker is known.
    pub(crate) fn target_of(self: &Arc<Self>, queue: &MessageQueue) -> Option<Target> {
        let broker = self.brokers.iter().position(|broker| &*broker.name == queue.broker())?;
        Some(Target { route: self.clone(), broker, queue: Some(queue.id()) })
    }
}

/// Every topic's route. Reading one that is there takes no lock.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    routes: ArcSwap<HashMap<Arc<str>, Arc<Route>>>,
    cold: Mutex<HashMap<Arc<str>, Cold>>,
}

/// A topic without a route.
#[derive(Debug)]
enum Cold {
    /// It is being looked up; these wait for it, in the order of acceptance. When there are
    /// `sweep_at` of them, those that their callers took back are dropped.
    /// Once it is `found`, those that have waited are on their way by it.
    LookUp { waiting: Vec<Arc<Accepted>>, sweep_at: usize, found: Option<Arc<Route>> },
    /// It was not found.
    Missing { until: Instant, kind: ErrorKind, reason: Arc<str> },
}

/// What becomes of a message whose topic has no route yet.
pub(crate) enum Parked {
    /// The route is there after all.
    Route(Arc<Route>, Arc<Accepted>),
    /// It waits; the caller has to start the look-up of this topic.
    First(Arc<str>),
    /// It waits for a look-up that is under way.
    Waits,
    /// The topic was not found a moment ago.
    Missing(Arc<Accepted>, ErrorKind, Arc<str>),
}

impl RouteTable {
    /// A topic's route, if it is known.
    pub(crate) fn get(&self, topic: &str) -> Option<Arc<Route>> {
        self.routes.load().get(topic).cloned()
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
                let look_up = Cold::LookUp { waiting, sweep_at: SWEEP_AT, found: None };
                cold.insert(topic.clone(), look_up);
                Parked::First(topic)
            }
        }
    }

    /// Takes what waits for a topic. When nothing does any more, `route` becomes the topic's: only
    /// then may later messages pass without waiting, so that none overtakes an earlier one.
    pub(crate) fn found(&self, route: &Arc<Route>) -> Vec<Arc<Accepted>> {
        let mut cold = self.cold();
        let waiting = take_waiting(&mut cold, &route.topic);
        match cold.get_mut(&route.topic) {
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
        topic: &Arc<str>,
        now: Instant,
        kind: ErrorKind,
        reason: &str,
    ) -> Vec<Arc<Accepted>> {
        let mut cold = self.cold();
        let waiting = take_waiting(&mut cold, topic);
        // So that topics that do not exist cannot fill the table.
        cold.retain(|_, entry| !matches!(entry, Cold::Missing { until, .. } if *until <= now));
        let until = now + MISSING_LIFETIME;
        cold.insert(topic.clone(), Cold::Missing { until, kind, reason: reason.into() });
        waiting
    }

    /// Takes those out that wait for a topic and fulfil `wanted`. When nobody is left waiting the
    /// look-up is over.
    pub(crate) fn take_waiting(
        &self,
        topic: &Arc<str>,
        wanted: impl FnMut(&Arc<Accepted>) -> bool,
    ) -> Vec<Arc<Accepted>> {
        let mut cold = self.cold();
        let waiting = take_waiting(&mut cold, topic);
        let (taken, left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(wanted);
        match cold.get_mut(topic) {
            Some(Cold::LookUp { waiting, .. }) if !left.is_empty() => *waiting = left,
            // Whoever sends those that have waited on their way ends the look-up.
            Some(Cold::LookUp { found: Some(_), .. }) => {}
            _ => drop(cold.remove(topic)),
        }
        taken
    }

    /// A topic that was missing has been created.
    pub(crate) fn forget_missing(&self, topic: &str) {
        self.cold().retain(|name, entry| **name != *topic || matches!(entry, Cold::LookUp { .. }));
    }

    /// When the first of those that wait for a topic expires.
    pub(crate) fn first_deadline(&self, topic: &str) -> Option<Instant> {
        match self.cold().get(topic)? {
            Cold::LookUp { waiting, .. } => waiting.iter().map(|one| one.deadline).min(),
            Cold::Missing { .. } => None,
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

    /// Forgets everything, so that no connection is held any more.
    pub(crate) fn clear(&self) {
        self.routes.store(Arc::default());
    }

    fn cold(&self) -> MutexGuard<'_, HashMap<Arc<str>, Cold>> {
        self.cold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_waiting(cold: &mut HashMap<Arc<str>, Cold>, topic: &str) -> Vec<Arc<Accepted>> {
    match cold.get_mut(topic) {
        Some(Cold::LookUp { waiting, .. }) => std::mem::take(waiting),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::request::{BrokerData, QueueData};

    use super::*;

    fn queues(broker: &str, perm: i32, count: i32) -> QueueData {
        QueueData {
            broker_name: broker.into(),
            perm,
            read_queue_nums: 9,
            write_queue_nums: count,
            ..QueueData::default()
        }
    }

    fn broker(name: &str, id: i64) -> BrokerData {
        BrokerData {
            broker_name: name.into(),
            broker_addrs: [(id, format!("{name}:10911"))].into(),
            ..BrokerData::default()
        }
    }

    fn plan(document: &TopicRoute) -> Vec<(String, usize)> {
        let plan = writable_queues(document);
        plan.into_iter().map(|broker| (broker.broker, broker.queues.len())).collect()
    }

    #[test]
    fn only_writable_queues_on_masters_count_and_brokers_are_sorted() {
        let document = TopicRoute {
            queues: vec![
                queues("b", 6, 2),
                queues("a", 6, 1),
                queues("read-only", 4, 4),
                queues("no-master", 6, 4),
                queues("not-there", 6, 4),
                queues("none", 6, 0),
            ],
            brokers: vec![
                broker("b", 0),
                broker("a", 0),
                broker("read-only", 0),
                broker("no-master", 1),
                broker("none", 0),
            ],
            ..TopicRoute::default()
        };
        assert_eq!(plan(&document), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    }

    #[test]
    fn an_ordered_topic_says_its_queues_itself() {
        let document = TopicRoute {
            order_topic_conf: Some("b:3;a:1;bad".into()),
            queues: vec![queues("a", 4, 9)],
            brokers: vec![broker("a", 0), broker("b", 0)],
            ..TopicRoute::default()
        };
        assert_eq!(plan(&document), [("b".to_owned(), 3), ("a".to_owned(), 1)]);
    }

    #[test]
    fn a_new_topic_gets_the_smaller_count() {
        let document = TopicRoute {
            queues: vec![queues("a", 7, 8), queues("b", 7, 2)],
            brokers: vec![broker("a", 0), broker("b", 0)],
            ..TopicRoute::default()
        };
        let mut plan = writable_queues(&document);
        limit_queues(&mut plan, 4);
        let counts: Vec<usize> = plan.iter().map(|broker| broker.queues.len()).collect();
        assert_eq!(counts, [4, 2]);
    }
}
