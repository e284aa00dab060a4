//! Which topics are the system's own (Java: `TopicValidator`).

use posthaste::{Admin, AdminError, MessageQueue};

use crate::exit::{Exit, Failure};

/// Topics of brokers in every cluster (4.7.0 to 5.5.0).
const FIXED: &[&str] = &[
    "TBW102",
    "SCHEDULE_TOPIC_XXXX",
    "BenchmarkTest",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRACE_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "CHECKPOINT_TOPIC",
    "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
    "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
];
/// Every topic that begins so, in just these letters.
const PREFIX: &str = "rmq_sys_";
/// After the cluster's name: where the answers to requests go.
const REPLY_SUFFIX: &str = "_REPLY_TOPIC";
/// Every broker has this topic, so its route names the brokers.
const ON_EVERY_BROKER: &str = "SELF_TEST_TOPIC";

/// Refuses to create or to change a topic of the system: brokers refuse it as well, in fewer words.
pub(super) fn refuse(topic: &str, help: &str) -> Result<(), Failure> {
    if !(FIXED.contains(&topic) || topic.starts_with(PREFIX)) {
        return Ok(());
    }
    let message = format!("topic {topic} belongs to the system");
    let default =
        "Brokers have TBW102 where they create topics on their own (autoCreateTopicEnable).";
    let help = match topic {
        "TBW102" => format!("{default} {help}"),
        _ => help.to_owned(),
    };
    Err(Failure::new(Exit::Refused, "invalid", message).help(help))
}

/// The cluster's topics without those of the system.
pub(in crate::command) async fn own_topics(admin: &Admin) -> Result<Vec<String>, AdminError> {
    let topics = admin.topics().await?;
    // Without its route nothing is known of the brokers' names, and nothing else is lost.
    let queues = admin.publish_queues(ON_EVERY_BROKER).await.unwrap_or_default();
    let brokers: Vec<&str> = queues.iter().map(MessageQueue::broker).collect();
    Ok(without_system(&topics, &brokers))
}

/// Takes the system's topics out of a list of all topics, sorted.
///
/// Each broker also has topics that are called like itself and like its cluster. The list does not
/// say what the cluster is called; but of a cluster X it has both X and X_REPLY_TOPIC.
fn without_system(topics: &[String], brokers: &[&str]) -> Vec<String> {
    let is_there = |name: &str| topics.binary_search_by(|topic| topic.as_str().cmp(name)).is_ok();
    let of_cluster = |topic: &str| match topic.strip_suffix(REPLY_SUFFIX) {
        Some(cluster) => is_there(cluster),
        None => is_there(&format!("{topic}{REPLY_SUFFIX}")),
    };
    let is_system = |topic: &str| {
        FIXED.contains(&topic)
            || topic.starts_with(PREFIX)
            || brokers.contains(&topic)
            || of_cluster(topic)
    };
    topics.iter().filter(|topic| !is_system(topic)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_the_system_goes() {
        let mut topics: Vec<String> = [
            "Orders",
            "%RETRY%consumers",
            "%DLQ%consumers",
            "Orders_REPLY_TOPIC_of_mine",
            "A_REPLY_TOPIC",
            "RMQ_SYS_OF_MINE",
            "DefaultCluster",
            "DefaultCluster_REPLY_TOPIC",
            "broker-a",
            "rmq_sys_wheel_timer",
        ]
        .iter()
        .chain(FIXED)
        .map(|topic| (*topic).to_owned())
        .collect();
        topics.sort_unstable();
        let own = [
            "%DLQ%consumers",
            "%RETRY%consumers",
            "A_REPLY_TOPIC",
            "Orders",
            "Orders_REPLY_TOPIC_of_mine",
            "RMQ_SYS_OF_MINE",
        ];
        assert_eq!(without_system(&topics, &["broker-a"]), own);
        assert!(without_system(&topics, &[]).contains(&"broker-a".to_owned()));
    }
}
