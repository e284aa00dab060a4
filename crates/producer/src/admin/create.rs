//! Creating a topic where it is not.

use posthaste_protocol::request::{CreateTopic, DEFAULT_TOPIC, TopicRoute};

use super::change::{self, Change};
use super::{Admin, AdminError, TopicOnBroker, TopicSettings};

pub(super) async fn create_topic(
    admin: &Admin,
    topic: &str,
    settings: &TopicSettings,
) -> Result<(), AdminError> {
    let wire_topic = change::wire_topic(admin, topic)?;
    settings.check().map_err(AdminError::Invalid)?;
    let deadline = admin.deadline();
    // A broker tells a name server of all its topics at once: one whose route to the default topic
    // is known there has no topic that is not.
    let there = match admin.route(topic, deadline).await {
        Err(AdminError::NoTopic { .. }) => TopicRoute::default(),
        found => found?,
    };
    let everywhere = change::route_to_all(admin, deadline).await?;
    let missing = without(&everywhere, &there);
    if missing.is_empty() && !there.queues.is_empty() {
        let brokers = TopicOnBroker::all_of(&there);
        return Err(AdminError::Exists { topic: topic.to_owned(), brokers });
    }
    let request = request(wire_topic, settings);
    let change = |(broker, address)| Change { broker, address, request: request.clone() };
    let changes = missing.into_iter().map(change).collect();
    let asked = change::ask_all(admin, changes, false, deadline).await;
    if asked.accepted.is_empty() {
        let nobody = || AdminError::Unreachable("no master of any broker is known".into());
        return Err(asked.error.unwrap_or_else(nobody));
    }
    change::until_it_shows(admin, topic, &asked.accepted, deadline).await
}

fn request(wire_topic: String, settings: &TopicSettings) -> CreateTopic {
    let count = |queues: u32| i32::try_from(queues).unwrap_or(i32::MAX);
    CreateTopic {
        topic: wire_topic,
        default_topic: DEFAULT_TOPIC.to_owned(),
        read_queues: count(settings.read_queues),
        write_queues: count(settings.write_queues),
        perm: settings.perm,
        filter_type: Some("SINGLE_TAG".to_owned()),
        sys_flag: Some(0),
        order: Some(settings.ordered),
        attributes: settings.attributes.text(),
    }
}

/// Name and address of every master that has no queues of the topic.
fn without(everywhere: &TopicRoute, topic: &TopicRoute) -> Vec<(String, String)> {
    let has = |name: &str| topic.queues.iter().any(|queues| queues.broker_name == name);
    let missing = everywhere.brokers.iter().filter(|broker| !has(&broker.broker_name));
    let masters = missing
        .filter_map(|broker| Some((broker.broker_name.clone(), broker.master()?.to_owned())));
    masters.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use posthaste_protocol::request::{BrokerData, QueueData};

    use super::*;

    #[test]
    fn a_topic_is_created_on_the_masters_that_do_not_have_it() {
        let route = |brokers: &[(&str, i64)]| TopicRoute {
            brokers: brokers
                .iter()
                .map(|(name, id)| BrokerData {
                    broker_name: (*name).to_owned(),
                    broker_addrs: BTreeMap::from([(*id, format!("{name}:1"))]),
                    ..BrokerData::default()
                })
                .collect(),
            queues: brokers
                .iter()
                .map(|(name, _)| QueueData {
                    broker_name: (*name).to_owned(),
                    ..QueueData::default()
                })
                .collect(),
            ..TopicRoute::default()
        };
        let everywhere = route(&[("a", 0), ("b", 0), ("slave", 1)]);
        for (there, missing) in [
            (&[][..], &["a", "b"][..]),
            (&[("a", 0)], &["b"]),
            (&[("b", 1), ("elsewhere", 0)], &["a"]),
            (&[("a", 0), ("b", 0)], &[]),
        ] {
            let found: Vec<String> =
                without(&everywhere, &route(there)).into_iter().map(|(name, _)| name).collect();
            assert_eq!(found, missing, "{there:?}");
        }
    }
}
