//! Routes that are not true.

use std::time::Duration;

use posthaste_protocol::request::{TopicRoute, permission};

/// What is wrong with a route.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Lie {
    /// The topic does not exist.
    Unknown,
    /// There are no brokers and no queues.
    Empty,
    /// The brokers are slaves.
    WithoutMaster,
    /// The brokers are here.
    AnotherAddress(String),
    /// There are this many queues.
    Queues(u16),
    /// Nothing may be written.
    WithoutWritePermission,
    /// It was so this long ago.
    StaleBy(Duration),
}

impl Lie {
    /// The name of the builder's method.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Empty => "empty",
            Self::WithoutMaster => "without_master",
            Self::AnotherAddress(_) => "another_address",
            Self::Queues(_) => "queues",
            Self::WithoutWritePermission => "without_write_permission",
            Self::StaleBy(_) => "stale_by",
        }
    }

    /// What is told in place of a route; `None`: that there is no such topic. An old route is not known
    /// here: [`RoutesBefore`](super::routes_before::RoutesBefore) has it.
    pub(crate) fn told(&self, mut route: TopicRoute) -> Option<TopicRoute> {
        match self {
            Self::Unknown => return None,
            Self::Empty => return Some(TopicRoute::default()),
            Self::WithoutMaster => {
                for broker in &mut route.brokers {
                    if let Some(master) = broker.broker_addrs.remove(&0) {
                        broker.broker_addrs.insert(1, master);
                    }
                }
            }
            Self::AnotherAddress(address) => {
                for broker in &mut route.brokers {
                    broker.broker_addrs = [(0, address.clone())].into();
                }
            }
            Self::Queues(count) => {
                for queues in &mut route.queues {
                    queues.read_queue_nums = i32::from(*count);
                    queues.write_queue_nums = i32::from(*count);
                }
            }
            Self::WithoutWritePermission => {
                for queues in &mut route.queues {
                    queues.perm &= !permission::WRITE;
                }
            }
            Self::StaleBy(_) => {}
        }
        Some(route)
    }
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::request::{BrokerData, QueueData};

    use super::*;

    #[test]
    fn each_lie_changes_what_it_names() {
        let route = TopicRoute {
            brokers: vec![BrokerData {
                broker_addrs: [(0, "127.0.0.1:10911".to_owned())].into(),
                ..BrokerData::default()
            }],
            queues: vec![QueueData {
                perm: permission::READ | permission::WRITE,
                read_queue_nums: 8,
                write_queue_nums: 8,
                ..QueueData::default()
            }],
            ..TopicRoute::default()
        };
        let told = |lie: Lie| lie.told(route.clone());
        let addresses = |route: TopicRoute| -> Vec<(i64, String)> {
            route.brokers.into_iter().flat_map(|broker| broker.broker_addrs).collect()
        };
        assert_eq!(told(Lie::Unknown), None);
        assert_eq!(told(Lie::Empty), Some(TopicRoute::default()));
        let slave = told(Lie::WithoutMaster).map(addresses);
        assert_eq!(slave, Some(vec![(1, "127.0.0.1:10911".to_owned())]));
        let moved = told(Lie::AnotherAddress("127.0.0.1:1".into())).map(addresses);
        assert_eq!(moved, Some(vec![(0, "127.0.0.1:1".to_owned())]));
        let fewer = told(Lie::Queues(2)).expect("a route").queues;
        assert_eq!((fewer[0].read_queue_nums, fewer[0].write_queue_nums), (2, 2));
        let closed = told(Lie::WithoutWritePermission).expect("a route").queues;
        assert_eq!(closed[0].perm, permission::READ);
        assert_eq!(told(Lie::StaleBy(Duration::from_secs(1))), Some(route.clone()));
    }
}
