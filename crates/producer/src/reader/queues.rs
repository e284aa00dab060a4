//! A topic's queues that can be read, and the brokers that have them.

use std::collections::HashMap;
use std::sync::Arc;

use posthaste_protocol::request::{BrokerData, QueueData, TopicRoute, permission};

use crate::MessageQueue;
use crate::client::Client;
use crate::connection::{Connection, Peer};
use crate::message::QueueNames;
use crate::route::{MOST_QUEUES, WireQueue, logical_queues};

/// Where each queue of a topic is. A reader has its own connections, so that its pulls do not delay
/// sends.
pub(super) type Homes = Arc<HashMap<MessageQueue, Home>>;

/// Where a queue is.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) queue: WireQueue,
    pub(super) connection: Arc<Connection>,
}

/// The queues that can be read (Java: `topicRouteData2TopicSubscribeInfo`): of a static topic its
/// logical ones. A topic has no more than [`MOST_QUEUES`], even if a name server says so.
pub(super) fn readable(topic: &str, document: &TopicRoute) -> Vec<MessageQueue> {
    let topic: Arc<str> = topic.into();
    let queues_of = |broker: &str, count: i32| {
        let names = QueueNames::new(topic.clone(), broker.into());
        (0..count).map(move |id| MessageQueue::of(&names, id))
    };
    let logical = logical_queues(document);
    if !logical.is_empty() {
        let of_scope = logical.iter().map(|queues| (&queues.broker, queues.holders.len() as i32));
        return of_scope.flat_map(|(broker, count)| queues_of(broker, count)).collect();
    }
    let readable = document.queues.iter().filter(|queues| queues.perm & permission::READ != 0);
    let mut left = MOST_QUEUES as i32;
    let of_broker = |queues: &QueueData| {
        let count = queues.read_queue_nums.clamp(0, left);
        left -= count;
        queues_of(&queues.broker_name, count)
    };
    readable.flat_map(of_broker).collect()
}

/// Where each readable queue is: on its broker's master, or while there is none on the slave that is
/// first. Connections that `known` has to the same addresses stay, and so do queues that the route
/// has lost: a broker that restarts is gone from it for a while. Without any change it is `known`
/// itself.
pub(super) fn homes(
    client: &Arc<Client>,
    queues: &[MessageQueue],
    document: &TopicRoute,
    known: &Homes,
) -> Homes {
    let mut homes = known.clone();
    let mut connections: HashMap<Arc<str>, Arc<Connection>> = known
        .values()
        .map(|home| (home.connection.address().clone(), home.connection.clone()))
        .collect();
    let logical = logical_queues(document);
    for queue in queues {
        let wire = WireQueue::among(&logical, queue, document, client.ledger.config());
        let Some(wire) = wire else { continue };
        let broker = document.brokers.iter().find(|broker| broker.broker_name == wire.broker);
        let Some(address) = broker.and_then(address_of) else { continue };
        let address = client.ledger.config().mapped(address);
        let same = |home: &Home| home.queue == wire && *home.connection.address() == address;
        if homes.get(queue).is_some_and(same) {
            continue;
        }
        let connection = connections.entry(address.clone());
        let connection = connection.or_insert_with(|| client.open(address, Peer::Broker)).clone();
        Arc::make_mut(&mut homes).insert(queue.clone(), Home { queue: wire, connection });
    }
    homes
}

fn address_of(broker: &BrokerData) -> Option<&str> {
    broker.master().or_else(|| broker.broker_addrs.values().next().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_no_more_queues_than_it_may() {
        let of = |broker: &str, count: i32| QueueData {
            broker_name: broker.into(),
            perm: permission::READ,
            read_queue_nums: count,
            ..QueueData::default()
        };
        let queues = vec![of("a", 2), of("b", -1), of("c", 70_000), of("d", 70_000)];
        let document = TopicRoute { queues, ..TopicRoute::default() };
        let readable = readable("t", &document);
        assert_eq!(readable.len(), MOST_QUEUES);
        let last = readable.last().map(|queue| (queue.broker(), queue.id()));
        assert_eq!(last, Some(("c", MOST_QUEUES as i32 - 3)));
    }
}
