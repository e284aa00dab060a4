//! A topic's queues that can be read, and the brokers that have them.

use std::collections::HashMap;
use std::sync::Arc;

use posthaste_protocol::request::{BrokerData, TopicRoute, permission};

use crate::MessageQueue;
use crate::client::Client;
use crate::connection::{Connection, Peer};

/// The brokers of a topic, by name. A reader has connections of its own, so that what it pulls
/// holds up no sends.
pub(super) type Brokers = Arc<HashMap<Arc<str>, Arc<Connection>>>;

/// The queues that can be read (Java: `topicRouteData2TopicSubscribeInfo`).
pub(super) fn readable(topic: &str, document: &TopicRoute) -> Vec<MessageQueue> {
    let topic: Arc<str> = topic.into();
    let readable = document.queues.iter().filter(|queues| queues.perm & permission::READ != 0);
    let queues = readable.flat_map(|queues| {
        let (topic, broker): (_, Arc<str>) = (topic.clone(), queues.broker_name.as_str().into());
        let queue = move |id| MessageQueue::new(topic.clone(), broker.clone(), id);
        (0..queues.read_queue_nums).map(queue)
    });
    queues.collect()
}

/// A connection to each broker: its master, or while there is none the slave that is first.
/// Those that `known` has at the same address stay, and so do brokers that the route has lost: a
/// broker that restarts is gone from it for a while. Without any change it is `known` itself.
pub(super) fn connections(client: &Arc<Client>, document: &TopicRoute, known: &Brokers) -> Brokers {
    let mut brokers = known.clone();
    for broker in &document.brokers {
        let Some(address) = address_of(broker).map(|address| client.mapped(address)) else {
            continue;
        };
        let same = brokers.get(broker.broker_name.as_str());
        if same.is_none_or(|connection| *connection.address() != address) {
            let connection = Connection::new(client, address, Peer::Broker);
            let name = broker.broker_name.as_str().into();
            Arc::make_mut(&mut brokers).insert(name, Arc::new(connection));
        }
    }
    brokers
}

fn address_of(broker: &BrokerData) -> Option<&str> {
    broker.master().or_else(|| broker.broker_addrs.values().next().map(String::as_str))
}
