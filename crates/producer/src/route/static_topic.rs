//! Static topics of 5.x: their queues are logical ones, which brokers can hand to each other (Java:
//! `ClientMetadata`, `TopicQueueMappingUtils`).

use std::collections::BTreeMap;

use posthaste_protocol::request::{QueueMapping, TopicRoute};

/// A topic has no more queues than this, even if a name server says so.
pub(crate) const MOST_QUEUES: usize = 1 << 16;
/// What the broker of logical queues is called, before their scope.
const MOCK_BROKER: &str = "__syslo__";
const GLOBAL: &str = "__global__";

/// Which broker has each logical queue of one scope, by the queue's number; `None`: none that is
/// known, such as one that is down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogicalQueues<'a> {
    /// The broker's name that these queues go by.
    pub(crate) broker: String,
    pub(crate) holders: Vec<Option<&'a str>>,
}

/// The logical queues of a topic, scope by scope; nothing when it is an ordinary one.
pub(crate) fn logical_queues(document: &TopicRoute) -> Vec<LogicalQueues<'_>> {
    let mappings = match (&document.order_topic_conf, &document.queue_mappings) {
        (None, Some(mappings)) => mappings,
        _ => return Vec::new(),
    };
    let mut scopes: BTreeMap<&str, Vec<&QueueMapping>> = BTreeMap::new();
    for mapping in mappings.values() {
        scopes.entry(mapping.scope.as_deref().unwrap_or(GLOBAL)).or_default().push(mapping);
    }
    let mut left = MOST_QUEUES;
    let of_scope = |(scope, mappings)| {
        let queues = of_scope(scope, mappings, left);
        left -= queues.holders.len();
        queues
    };
    scopes.into_iter().map(of_scope).collect()
}

/// The logical queues of one scope, at most `most`.
fn of_scope<'a>(
    scope: &str,
    mut mappings: Vec<&'a QueueMapping>,
    most: usize,
) -> LogicalQueues<'a> {
    // A broker that gave a queue away may not have told the name server yet: the latest broker counts.
    mappings.sort_by_key(|mapping| mapping.epoch);
    let totals = mappings.iter().map(|mapping| mapping.total_queues);
    let total = usize::try_from(totals.max().unwrap_or_default()).unwrap_or_default();
    let mut holders = vec![None; total.min(most)];
    for mapping in mappings {
        for logical in mapping.current_ids.keys() {
            let place = usize::try_from(*logical).ok().and_then(|id| holders.get_mut(id));
            if let Some(holder) = place {
                *holder = Some(mapping.broker_name.as_str());
            }
        }
    }
    let scope = if scope == GLOBAL { "global__" } else { scope };
    LogicalQueues { broker: format!("{MOCK_BROKER}{scope}"), holders }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(broker: &str, epoch: i64, total: i32, ids: &[i64]) -> (String, QueueMapping) {
        let mapping = QueueMapping {
            broker_name: broker.into(),
            current_ids: ids.iter().map(|id| (*id, 0)).collect(),
            epoch,
            scope: None,
            total_queues: total,
        };
        (broker.into(), mapping)
    }

    fn scoped(scope: &str, (name, mapping): (String, QueueMapping)) -> (String, QueueMapping) {
        (name, QueueMapping { scope: Some(scope.into()), ..mapping })
    }

    fn document(mappings: impl IntoIterator<Item = (String, QueueMapping)>) -> TopicRoute {
        TopicRoute { queue_mappings: Some(mappings.into_iter().collect()), ..TopicRoute::default() }
    }

    #[test]
    fn each_logical_queue_is_on_the_broker_that_has_it_now() {
        let both = document([mapping("a", 1, 4, &[0, 2]), mapping("b", 1, 4, &[1])]);
        let queues = logical_queues(&both);
        assert_eq!(queues.len(), 1);
        assert_eq!(queues[0].broker, "__syslo__global__");
        assert_eq!(queues[0].holders, [Some("a"), Some("b"), Some("a"), None]);
        // `a` has not yet told that it gave 0 away.
        let moved = document([mapping("a", 1, 4, &[0, 2]), mapping("b", 2, 4, &[0, 1])]);
        assert_eq!(logical_queues(&moved)[0].holders, [Some("b"), Some("b"), Some("a"), None]);
        let moved = document([mapping("a", 3, 4, &[0, 2]), mapping("b", 2, 4, &[0, 1])]);
        assert_eq!(logical_queues(&moved)[0].holders, [Some("a"), Some("b"), Some("a"), None]);
        // A broker that knows more queues than the others.
        let grown = document([mapping("a", 1, 2, &[0, 1]), mapping("b", 2, 3, &[2])]);
        assert_eq!(logical_queues(&grown)[0].holders, [Some("a"), Some("a"), Some("b")]);
    }

    #[test]
    fn scopes_have_queues_of_their_own() {
        let scopes = document([
            scoped("east", mapping("a", 1, 1, &[0])),
            scoped(GLOBAL, mapping("b", 1, 1, &[0])),
        ]);
        let names: Vec<String> =
            logical_queues(&scopes).into_iter().map(|queues| queues.broker).collect();
        assert_eq!(names, ["__syslo__global__", "__syslo__east"]);
    }

    #[test]
    fn nonsense_is_bounded_and_ordinary_topics_have_none() {
        let wild = document([mapping("a", 1, i32::MAX, &[-1, 3, 1 << 40])]);
        assert_eq!(logical_queues(&wild)[0].holders.len(), MOST_QUEUES);
        let scopes = ["east", "north", "west"];
        let wild = document(scopes.map(|scope| scoped(scope, mapping(scope, 1, 40_000, &[0]))));
        let counts: Vec<usize> =
            logical_queues(&wild).iter().map(|queues| queues.holders.len()).collect();
        assert_eq!(counts, [40_000, MOST_QUEUES - 40_000, 0]);
        let negative = document([mapping("a", 1, -1, &[0])]);
        assert!(logical_queues(&negative)[0].holders.is_empty());
        assert!(logical_queues(&document([])).is_empty());
        assert!(logical_queues(&TopicRoute::default()).is_empty());
        let ordered = TopicRoute {
            order_topic_conf: Some(String::new()),
            ..document([mapping("a", 1, 1, &[0])])
        };
        assert!(logical_queues(&ordered).is_empty());
    }
}
