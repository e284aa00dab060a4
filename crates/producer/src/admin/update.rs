//! Changing a topic that is there, without putting messages out of reach by accident.

use std::time::Instant;

use posthaste_protocol::request::{
    CreateTopic, DEFAULT_TOPIC, MinOffset, QueueData, TopicRoute, permission,
};
use tokio::task::JoinSet;

use super::attributes::Attributes;
use super::change::{self, Change};
use super::settings::{MESSAGE_TYPE, check_queues};
use super::{Admin, AdminError, TopicType, max_offset_of};
use crate::route::WireQueue;

/// Permissions that belong to the topic itself.
const READ_WRITE: i32 = permission::READ | permission::WRITE;

/// What to change of a topic, for [`Admin::update_topic`](crate::Admin::update_topic). Everything
/// else stays unchanged, on each broker.
///
/// ```
/// let update = posthaste::TopicUpdate::new().queues(16);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "an update does nothing until `update_topic` is called with it"]
pub struct TopicUpdate {
    read_queues: Option<u32>,
    write_queues: Option<u32>,
    readable: Option<bool>,
    writable: Option<bool>,
    ordered: Option<bool>,
    attributes: Attributes,
    abandons: bool,
}

impl TopicUpdate {
    /// Changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many queues there are on each broker, for reading and writing: 1 to 65,535.
    pub fn queues(self, queues: u32) -> Self {
        self.read_queues(queues).write_queues(queues)
    }

    /// How many queues consumers read on each broker. Queues from this number on are no longer
    /// read.
    pub fn read_queues(mut self, queues: u32) -> Self {
        self.read_queues = Some(queues);
        self
    }

    /// How many queues producers write on each broker. To take queues away, lower this first, and
    /// lower the queues to read once the others are empty or consumed.
    pub fn write_queues(mut self, queues: u32) -> Self {
        self.write_queues = Some(queues);
        self
    }

    /// Whether consumers may read.
    pub fn readable(mut self, yes: bool) -> Self {
        self.readable = Some(yes);
        self
    }

    /// Whether producers may write: see [`TopicSettings::writable`](crate::TopicSettings::writable).
    pub fn writable(mut self, yes: bool) -> Self {
        self.writable = Some(yes);
        self
    }

    /// Whether the topic is marked as ordered: see
    /// [`TopicSettings::ordered`](crate::TopicSettings::ordered). If not set, the name server's
    /// configuration of ordered topics decides.
    pub fn ordered(mut self, yes: bool) -> Self {
        self.ordered = Some(yes);
        self
    }

    /// Which kind of messages the topic is for (5.x).
    pub fn topic_type(self, topic_type: TopicType) -> Self {
        self.attribute(MESSAGE_TYPE, topic_type.to_string())
    }

    /// An attribute (5.x). Brokers refuse unknown attributes, and some attributes cannot change.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.set(name.into(), Some(value.into()));
        self
    }

    /// Removes an attribute (5.x). Brokers refuse that if it is not there.
    pub fn without_attribute(mut self, name: impl Into<String>) -> Self {
        self.attributes.set(name.into(), None);
        self
    }

    /// Whether to make the change even if consumers then no longer reach some messages. Default
    /// false: such a change ends as [`AdminError::OutOfReach`](crate::AdminError::OutOfReach), and
    /// nothing changes.
    pub fn abandon_messages(mut self, yes: bool) -> Self {
        self.abandons = yes;
        self
    }

    /// What breaks a rule, if anything does.
    fn check(&self) -> Result<(), String> {
        for queues in [self.read_queues, self.write_queues].into_iter().flatten() {
            check_queues(queues)?;
        }
        self.attributes.check()
    }

    /// The request that makes a broker's queues what they are to be.
    fn request(&self, wire_topic: &str, now: &QueueData, ordered: bool) -> CreateTopic {
        let count =
            |wanted: Option<u32>, now| wanted.and_then(|n| i32::try_from(n).ok()).unwrap_or(now);
        let permit = |perm: i32, bit: i32, yes| match yes {
            Some(true) => perm | bit,
            Some(false) => perm & !bit,
            None => perm,
        };
        let perm = permit(now.perm, permission::READ, self.readable);
        CreateTopic {
            topic: wire_topic.to_owned(),
            default_topic: DEFAULT_TOPIC.to_owned(),
            read_queues: count(self.read_queues, now.read_queue_nums),
            write_queues: count(self.write_queues, now.write_queue_nums),
            perm: permit(perm, permission::WRITE, self.writable),
            filter_type: Some("SINGLE_TAG".to_owned()),
            sys_flag: Some(now.topic_sys_flag.or(now.topic_syn_flag).unwrap_or_default()),
            order: Some(self.ordered.unwrap_or(ordered)),
            attributes: self.attributes.text(),
        }
    }
}

pub(super) async fn update_topic(
    admin: &Admin,
    topic: &str,
    update: &TopicUpdate,
) -> Result<(), AdminError> {
    let wire_topic = change::wire_topic(admin, topic)?;
    update.check().map_err(AdminError::Invalid)?;
    let deadline = admin.deadline();
    let mut now = admin.route(topic, deadline).await?;
    if now.queue_mappings.as_ref().is_some_and(|mappings| !mappings.is_empty()) {
        return Err(AdminError::Invalid(format!(
            "topic {topic} is a static topic: a plan spreads its queues over the brokers, and \
             only the brokers' own tools change that plan"
        )));
    }
    give_back_permissions(admin, &mut now, deadline).await?;
    let changes = changes(update, &wire_topic, topic, &now)?;
    if !update.abandons {
        let messages = count_lost(admin, topic, &now, &changes, deadline).await?;
        if messages > 0 {
            return Err(AdminError::OutOfReach { topic: topic.to_owned(), messages });
        }
    }
    let asked = change::ask_all(admin, changes, true, deadline).await;
    match asked.error {
        Some(error) => Err(error),
        None => change::until_it_shows(admin, topic, &asked.accepted, deadline).await,
    }
}

/// A route shows the permissions that topic and broker both give. What a broker gives to no topic at
/// present (`brokerPermission`) counts as the topic's own: else an update while a broker may not be
/// written would close the topic for good.
async fn give_back_permissions(
    admin: &Admin,
    now: &mut TopicRoute,
    deadline: Instant,
) -> Result<(), AdminError> {
    if now.queues.iter().all(|queues| queues.perm & READ_WRITE == READ_WRITE) {
        return Ok(());
    }
    let everywhere = change::route_to_all(admin, deadline).await?;
    for queues in &mut now.queues {
        let of_broker = everywhere.queues.iter().find(|all| all.broker_name == queues.broker_name);
        queues.perm |= of_broker.map_or(0, |all| READ_WRITE & !all.perm);
    }
    Ok(())
}

/// What each broker that has the topic is asked for.
fn changes(
    update: &TopicUpdate,
    wire_topic: &str,
    topic: &str,
    now: &TopicRoute,
) -> Result<Vec<Change>, AdminError> {
    let ordered = now.order_topic_conf.as_deref().is_some_and(|conf| !conf.is_empty());
    let change = |queues: &QueueData| {
        let broker = queues.broker_name.clone();
        let address = super::master(now, &broker)?.to_owned();
        Ok(Change { broker, address, request: update.request(wire_topic, queues, ordered) })
    };
    let changes = now.queues.iter().map(change).collect::<Result<Vec<_>, _>>()?;
    match changes.is_empty() {
        true => Err(AdminError::NoTopic { topic: topic.to_owned() }),
        false => Ok(changes),
    }
}

/// How many messages lie in queues that are read now, and would not be.
async fn count_lost(
    admin: &Admin,
    topic: &str,
    now: &TopicRoute,
    changes: &[Change],
    deadline: Instant,
) -> Result<u64, AdminError> {
    let mut counting = JoinSet::new();
    for (queues, change) in now.queues.iter().zip(changes) {
        for id in lost(queues, &change.request) {
            let queue = WireQueue {
                topic: change.request.topic.clone(),
                broker: change.broker.clone(),
                id,
            };
            let (admin, address) = (admin.clone(), change.address.clone());
            let topic = topic.to_owned();
            counting.spawn(async move { count(&admin, &address, queue, &topic, deadline).await });
        }
    }
    let mut messages = 0;
    while let Some(counted) = counting.join_next().await {
        messages += counted.map_err(|error| AdminError::Unreachable(error.to_string()))??;
    }
    Ok(messages)
}

/// The queues of a broker that consumers read now, and would not read.
fn lost(now: &QueueData, wanted: &CreateTopic) -> std::ops::Range<i32> {
    let read = |perm: i32, queues: i32| if perm & permission::READ != 0 { queues } else { 0 };
    read(wanted.perm, wanted.read_queues)..read(now.perm, now.read_queue_nums)
}

/// How many messages a queue has.
async fn count(
    admin: &Admin,
    address: &str,
    queue: WireQueue,
    topic: &str,
    deadline: Instant,
) -> Result<u64, AdminError> {
    let WireQueue { topic: wire_topic, broker, id } = queue.clone();
    let least = MinOffset { topic: wire_topic, queue_id: id, broker_name: Some(broker) };
    let least = admin.ask(address, &least, topic, deadline).await?.offset;
    let next = admin.ask(address, &max_offset_of(queue), topic, deadline).await?.offset;
    Ok(u64::try_from(next - least.max(0)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(perm: i32, read: i32, write: i32) -> QueueData {
        QueueData {
            broker_name: "a".into(),
            perm,
            read_queue_nums: read,
            write_queue_nums: write,
            topic_syn_flag: Some(2),
            ..QueueData::default()
        }
    }

    #[test]
    fn what_is_not_said_stays_as_it_is() {
        let new = TopicUpdate::new;
        for (update, now, expected) in [
            (new(), queues(6, 5, 4), (5, 4, 6)),
            (new(), queues(4, 5, 4), (5, 4, 4)),
            (new().queues(7), queues(7, 5, 4), (7, 7, 7)),
            (new().read_queues(7), queues(6, 5, 4), (7, 4, 6)),
            (new().write_queues(2), queues(6, 5, 4), (5, 2, 6)),
            (new().writable(false), queues(6, 5, 4), (5, 4, 4)),
            (new().readable(false).writable(true), queues(4, 5, 4), (5, 4, 2)),
        ] {
            let request = update.request("T", &now, true);
            assert_eq!((request.read_queues, request.write_queues, request.perm), expected);
            assert_eq!((request.sys_flag, request.order), (Some(2), Some(true)));
            assert_eq!(request.attributes, None);
        }
        let ordered = new().ordered(false).topic_type(TopicType::Fifo);
        let request = ordered.request("T", &queues(6, 1, 1), true);
        assert_eq!(request.order, Some(false));
        assert_eq!(request.attributes.as_deref(), Some("+message.type=FIFO"));
    }

    #[test]
    fn queues_that_are_read_no_more_are_lost() {
        let new = TopicUpdate::new;
        for (update, now, expected) in [
            (new().queues(8), queues(6, 8, 8), &[][..]),
            (new().queues(9), queues(6, 8, 8), &[]),
            (new().queues(6), queues(6, 8, 8), &[6, 7]),
            (new().write_queues(2), queues(6, 8, 8), &[]),
            (new().readable(false), queues(6, 3, 8), &[0, 1, 2]),
            (new().readable(true).read_queues(2), queues(2, 8, 8), &[]),
            // What is written and not read is out of reach already.
            (new().queues(2), queues(6, 4, 8), &[2, 3]),
        ] {
            let lost: Vec<i32> = lost(&now, &update.request("T", &now, false)).collect();
            assert_eq!(lost, expected, "{update:?}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_no_update() {
        let new = TopicUpdate::new;
        for wrong in [new().queues(0), new().read_queues(65_536), new().attribute("a=b", "x")] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert_eq!(new().queues(65_535).check(), Ok(()));
    }
}
