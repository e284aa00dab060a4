//! What a name server says of a topic's queues (Java:
//! `MQClientInstance.topicRouteData2TopicPublishInfo`).

use posthaste_protocol::request::{TopicRoute, permission};

use super::static_topic::{LogicalQueues, MOST_QUEUES, logical_queues};

/// The broker of logical queues that no broker has.
const NO_BROKER: &str = "__syslo__none__";

/// One broker's queues of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerQueues {
    pub(crate) broker: String,
    pub(crate) cluster: String,
    /// Address of the master. Without one its queues cannot be written, but they count among the
    /// queues that a key picks from.
    pub(crate) address: Option<String>,
    /// The broker's name of logical queues.
    pub(crate) logical: Option<String>,
    pub(crate) queues: Vec<i32>,
}

impl BrokerQueues {
    /// The broker's name that its queues go by.
    pub(crate) fn queues_named(&self) -> &str {
        self.logical.as_deref().unwrap_or(&self.broker)
    }
}

/// Reads a route document: brokers by name, queues by number. An ordered topic says its queues
/// itself, a static one has logical queues.
pub(crate) fn writable_queues(document: &TopicRoute) -> Vec<BrokerQueues> {
    let ordered = document.order_topic_conf.as_deref().filter(|conf| !conf.is_empty());
    let logical = logical_queues(document);
    let mut plan = match ordered {
        Some(conf) => of_ordered(document, conf),
        None if !logical.is_empty() => {
            logical.iter().flat_map(|queues| of_logical(document, queues)).collect()
        }
        None => of_ordinary(document),
    };
    plan.retain(|of_broker| !of_broker.queues.is_empty());
    plan
}

/// Whether a topic has a queue that may be written now.
pub(crate) fn can_be_written(document: &TopicRoute) -> bool {
    writable_queues(document).iter().any(|of_broker| of_broker.address.is_some())
}

/// The queues that may be written, on brokers that have a master. While no broker has one, as when all
/// masters are away and slaves are left, the queues of all: messages wait for a master then.
fn of_ordinary(document: &TopicRoute) -> Vec<BrokerQueues> {
    let writable = document.queues.iter().filter(|queue| queue.perm & permission::WRITE != 0);
    let mut counts: Vec<(&str, i32)> =
        writable.map(|queue| (queue.broker_name.as_str(), queue.write_queue_nums)).collect();
    counts.sort_unstable();
    let plan =
        counts.into_iter().map(|(broker, count)| (of_broker(document, broker, vec![]), count));
    let mut plan: Vec<_> = plan.filter(|(_, count)| *count > 0).collect();
    if plan.iter().any(|(of_broker, _)| of_broker.address.is_some()) {
        plan.retain(|(of_broker, _)| of_broker.address.is_some());
    }
    with_queues(plan.into_iter())
}

/// `broker:count;broker:count`. The rest of the document does not count, so a key keeps its queue while
/// a broker is away.
fn of_ordered(document: &TopicRoute, conf: &str) -> Vec<BrokerQueues> {
    let counts = conf.split(';').filter_map(|item| {
        let (broker, count) = item.split_once(':')?;
        Some((broker, count.trim().parse().ok()?))
    });
    with_queues(counts.map(|(broker, count)| (of_broker(document, broker, vec![]), count)))
}

/// Gives each broker this many queues, as long as any are left that a topic may have. Repetitions in a
/// document are dropped.
fn with_queues(counts: impl Iterator<Item = (BrokerQueues, i32)>) -> Vec<BrokerQueues> {
    let mut left = MOST_QUEUES as i32;
    let plan = counts.filter_map(|(of_broker, count)| {
        let count = count.clamp(0, left);
        left -= count;
        (count > 0).then(|| BrokerQueues { queues: (0..count).collect(), ..of_broker })
    });
    plan.collect()
}

fn of_logical(document: &TopicRoute, queues: &LogicalQueues<'_>) -> Vec<BrokerQueues> {
    let mut holders: Vec<Option<&str>> = queues.holders.clone();
    holders.sort_unstable();
    holders.dedup();
    let of_holder = |holder: Option<&str>| {
        let held = (0..).zip(&queues.holders).filter(|(_, by)| **by == holder);
        let held = held.map(|(id, _)| id).collect();
        let mut plan = of_broker(document, holder.unwrap_or(NO_BROKER), held);
        plan.logical = Some(queues.broker.clone());
        plan
    };
    holders.into_iter().map(of_holder).collect()
}

fn of_broker(document: &TopicRoute, name: &str, queues: Vec<i32>) -> BrokerQueues {
    let broker = document.brokers.iter().find(|broker| broker.broker_name == name);
    BrokerQueues {
        broker: name.to_owned(),
        cluster: broker.map(|broker| broker.cluster.clone()).unwrap_or_default(),
        address: broker.and_then(|broker| broker.master()).map(str::to_owned),
        logical: None,
        queues,
    }
}

/// The default topic's queues as a new topic will have them.
pub(crate) fn limit_queues(plan: &mut [BrokerQueues], most: u32) {
    for broker in plan {
        broker.queues.truncate(most as usize);
    }
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::request::{BrokerData, QueueData, QueueMapping};

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
    fn while_no_broker_has_a_master_all_their_queues_count() {
        let mut document = TopicRoute {
            queues: vec![queues("b", 6, 2), queues("a", 6, 1), queues("read-only", 4, 4)],
            brokers: vec![broker("a", 1), broker("b", 2), broker("read-only", 0)],
            ..TopicRoute::default()
        };
        let found = |document: &TopicRoute| -> Vec<(String, bool)> {
            let plan = writable_queues(document);
            plan.into_iter().map(|one| (one.broker, one.address.is_some())).collect()
        };
        assert_eq!(found(&document), [("a".to_owned(), false), ("b".to_owned(), false)]);
        document.brokers.push(broker("none", 0));
        document.queues.push(queues("none", 6, 0));
        assert_eq!(found(&document).len(), 2, "one without queues is no master of any");
        document.brokers.retain(|one| one.broker_name != "b");
        document.brokers.push(broker("b", 0));
        assert_eq!(found(&document), [("b".to_owned(), true)]);
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
    fn an_ordered_topic_keeps_the_queues_of_a_broker_that_is_away() {
        let document = TopicRoute {
            order_topic_conf: Some("b:3;a:1".into()),
            brokers: vec![broker("a", 0)],
            ..TopicRoute::default()
        };
        let plan = writable_queues(&document);
        let found: Vec<_> =
            plan.iter().map(|one| (&*one.broker, one.address.is_some(), &*one.queues)).collect();
        assert_eq!(found, [("b", false, &[0, 1, 2][..]), ("a", true, &[0])]);
    }

    #[test]
    fn what_a_document_repeats_adds_up_to_no_more_than_a_topic_may_have() {
        let most = MOST_QUEUES;
        let ordered = TopicRoute {
            order_topic_conf: Some(format!("a:9;{}", "b:2147483647;".repeat(1000))),
            ..TopicRoute::default()
        };
        assert_eq!(plan(&ordered), [("a".to_owned(), 9), ("b".to_owned(), most - 9)]);
        let ordinary = TopicRoute {
            queues: [
                vec![queues("a", 6, 9), queues("away", 6, 9)],
                vec![queues("b", 6, i32::MAX); 9],
            ]
            .concat(),
            brokers: vec![broker("a", 0), broker("b", 0)],
            ..TopicRoute::default()
        };
        assert_eq!(plan(&ordinary), [("a".to_owned(), 9), ("b".to_owned(), most - 9)]);
    }

    #[test]
    fn logical_queues_are_grouped_by_the_brokers_that_have_them() {
        let mapping = |broker: &str, ids: &[i64]| QueueMapping {
            broker_name: broker.into(),
            current_ids: ids.iter().map(|id| (*id, 7)).collect(),
            total_queues: 5,
            ..QueueMapping::default()
        };
        let mappings = [mapping("a", &[0, 3]), mapping("b", &[1]), mapping("away", &[2])];
        let document = TopicRoute {
            // What is said of physical queues counts for nothing.
            queues: vec![queues("a", 4, 9)],
            brokers: vec![broker("a", 0), broker("b", 0)],
            queue_mappings: Some(
                mappings.into_iter().map(|one| (one.broker_name.clone(), one)).collect(),
            ),
            ..TopicRoute::default()
        };
        let plan = writable_queues(&document);
        let found: Vec<_> =
            plan.iter().map(|one| (&*one.broker, one.address.is_some(), &*one.queues)).collect();
        let expected = [
            (NO_BROKER, false, &[4][..]),
            ("a", true, &[0, 3]),
            ("away", false, &[2]),
            ("b", true, &[1]),
        ];
        assert_eq!(found, expected);
        assert!(plan.iter().all(|one| one.queues_named() == "__syslo__global__"));
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
