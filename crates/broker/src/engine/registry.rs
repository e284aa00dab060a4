//! The brokers of a cluster in one process, as its name server knows them: who is up, and with which
//! topics.
//!
//! A broker says so itself, before the answer leaves that tells a client of a new topic. A real one
//! registers every 30 s and when a topic changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthaste_protocol::request::{BrokerData, ClusterInfo, QueueData, TopicRoute, permission};

use super::{Engine, Identity};

/// The brokers by name. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry(Arc<Mutex<BTreeMap<String, Registered>>>);

/// What is known under the name of a broker.
#[derive(Debug, Default)]
struct Registered {
    /// Addresses of the brokers that are up, by id; 0 is the master.
    up: BTreeMap<i64, String>,
    /// The topics of the master.
    topics: BTreeMap<String, Queues>,
}

#[derive(Debug, Clone, Copy)]
struct Queues {
    read: u16,
    write: u16,
    perm: i32,
}

/// The part that a broker has in a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Who is in the cluster.
    pub(crate) registry: Registry,
    /// The broker's id: 0 of a master, more of a slave; `None` of the name server.
    pub(crate) id: Option<i64>,
}

impl Member {
    /// Whether messages may be sent to it.
    pub(crate) fn takes_sends(&self) -> bool {
        self.id == Some(0)
    }

    /// It is up: routes may show it.
    pub(crate) fn is_up(&self, identity: &Identity) {
        if let Some(id) = self.id {
            let mut brokers = self.registry.lock();
            let broker = brokers.entry(identity.broker.clone()).or_default();
            broker.up.insert(id, identity.address.clone());
        }
    }

    /// It is down: no route shows it.
    pub(crate) fn is_down(&self, name: &str) {
        if let (Some(id), Some(broker)) = (self.id, self.registry.lock().get_mut(name)) {
            broker.up.remove(&id);
        }
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Registered>> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The route of a topic; `None` when no broker that is up has it.
    pub(crate) fn route(&self, topic: &str, cluster: &str, wiped: i32) -> Option<TopicRoute> {
        let mut route = TopicRoute::default();
        for (name, broker) in self.lock().iter().filter(|(_, broker)| !broker.up.is_empty()) {
            let Some(queues) = broker.topics.get(topic) else { continue };
            route.brokers.push(broker.data(name, cluster));
            route.queues.push(QueueData {
                broker_name: name.clone(),
                perm: queues.perm & !wiped,
                read_queue_nums: i32::from(queues.read),
                write_queue_nums: i32::from(queues.write),
                topic_sys_flag: Some(0),
                // The same as 4.x spells it.
                topic_syn_flag: Some(0),
            });
        }
        (!route.brokers.is_empty()).then_some(route)
    }

    /// The brokers that are up.
    pub(crate) fn cluster_info(&self, cluster: &str) -> ClusterInfo {
        let brokers = self.lock();
        let up = brokers.iter().filter(|(_, broker)| !broker.up.is_empty());
        let brokers: BTreeMap<_, _> =
            up.map(|(name, broker)| (name.clone(), broker.data(name, cluster))).collect();
        let names = brokers.keys().cloned().collect();
        ClusterInfo { clusters: [(cluster.to_owned(), names)].into(), brokers }
    }

    /// The topics of all brokers that are up.
    pub(crate) fn topics(&self) -> BTreeSet<String> {
        let brokers = self.lock();
        let up = brokers.values().filter(|broker| !broker.up.is_empty());
        up.flat_map(|broker| broker.topics.keys().cloned()).collect()
    }
}

impl Registered {
    fn data(&self, name: &str, cluster: &str) -> BrokerData {
        BrokerData {
            broker_addrs: self.up.clone(),
            broker_name: name.to_owned(),
            cluster: cluster.to_owned(),
            // 5.x says so always, and `rocketmq-client-rust` reads no route without it.
            enable_acting_master: Some(false),
            zone_name: None,
        }
    }
}

impl Engine {
    /// Tells the name server of the cluster, if there is one, which topics there are now.
    pub(crate) fn register_topics(&mut self) {
        let Some(member) = &self.member else { return };
        let changes = self.topics.changes();
        if !member.takes_sends() || self.registered == Some(changes) {
            return;
        }
        self.registered = Some(changes);
        let visible = self.topics.iter().filter(|topic| self.topic(&topic.config.name).is_some());
        let topics = visible.map(|topic| {
            let config = &topic.config;
            let (read, write) = (config.read_queues, config.write_queues);
            (config.name.clone(), Queues { read, write, perm: config.perm })
        });
        let topics = topics.collect();
        member.registry.lock().entry(self.identity.broker.clone()).or_default().topics = topics;
    }

    /// The permissions that are taken out of every route.
    pub(crate) fn wiped(&self) -> i32 {
        if self.write_wiped { permission::WRITE } else { 0 }
    }
}
