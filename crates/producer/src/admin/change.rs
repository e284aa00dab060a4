//! Asking brokers to have a topic as it is wanted, until the name server shows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste_protocol::request::{CreateTopic, DEFAULT_TOPIC, SELF_TEST_TOPIC, TopicRoute};
use tokio::task::JoinSet;

use super::{Admin, AdminError};
use crate::message::validate;

/// How often one broker is asked (Java: `MQAdminImpl.createTopic`).
const TRIES: usize = 5;
/// How long the other brokers are waited for after one accepted: a dead one is not to use up the
/// time.
const FOR_THE_OTHERS: Duration = Duration::from_secs(1);
/// How often the name server is asked whether it shows the change.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What one broker is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Name of the broker.
    pub(super) broker: String,
    /// Address of its master.
    pub(super) address: String,
    pub(super) request: CreateTopic,
}

/// What became of the changes.
pub(super) struct Asked {
    pub(super) accepted: Vec<Change>,
    /// Why the last broker that did not accept did not, if there is one.
    pub(super) error: Option<AdminError>,
}

/// The topic's name on the wire.
pub(super) fn wire_topic(admin: &Admin, topic: &str) -> Result<String, AdminError> {
    check_name(topic).map_err(AdminError::Invalid)?;
    let wire_topic = admin.client()?.ledger.config().on_wire(topic).into_owned();
    validate::topic(&wire_topic).map_err(AdminError::Invalid)?;
    Ok(wire_topic)
}

fn check_name(topic: &str) -> Result<(), String> {
    validate::topic(topic)?;
    validate::not_of_the_broker(topic)?;
    match validate::is_of_the_system(topic) {
        true => Err(format!("topic {topic} belongs to the system")),
        false => Ok(()),
    }
}

/// The route of a topic that every broker has.
pub(super) async fn route_to_all(
    admin: &Admin,
    deadline: Instant,
) -> Result<TopicRoute, AdminError> {
    let document = match admin.route(DEFAULT_TOPIC, deadline).await {
        Err(AdminError::NoTopic { .. }) => admin.route(SELF_TEST_TOPIC, deadline).await,
        found => found,
    };
    document.map_err(|error| match error {
        AdminError::NoTopic { .. } => AdminError::Unreachable(format!(
            "no broker is known: the name server has no route to {DEFAULT_TOPIC} or \
             {SELF_TEST_TOPIC}"
        )),
        other => other,
    })
}

/// Asks all brokers at once. With `wait_for_all` each has until the deadline; else the others have a
/// moment once one has accepted.
pub(super) async fn ask_all(
    admin: &Admin,
    changes: Vec<Change>,
    wait_for_all: bool,
    deadline: Instant,
) -> Asked {
    let mut silent: Vec<String> = changes.iter().map(|change| change.broker.clone()).collect();
    let mut asking = JoinSet::new();
    for change in changes {
        let admin = admin.clone();
        asking.spawn(async move {
            let answer = ask_one(&admin, &change, deadline).await;
            (change, answer)
        });
    }
    let mut asked = Asked { accepted: Vec::new(), error: None };
    let mut until = deadline;
    while let Ok(Some(answer)) = tokio::time::timeout_at(until.into(), asking.join_next()).await {
        match answer {
            Ok((change, answer)) => {
                silent.retain(|broker| *broker != change.broker);
                match answer {
                    Ok(()) if wait_for_all => asked.accepted.push(change),
                    Ok(()) => {
                        asked.accepted.push(change);
                        until = deadline.min(Instant::now() + FOR_THE_OTHERS);
                    }
                    Err(error) => asked.error = Some(error),
                }
            }
            Err(error) => asked.error = Some(AdminError::Unreachable(error.to_string())),
        }
    }
    if asked.error.is_none() && !silent.is_empty() {
        asked.error = Some(AdminError::Timeout(format!("no answer from {}", silent.join(", "))));
    }
    asked
}

async fn ask_one(admin: &Admin, change: &Change, deadline: Instant) -> Result<(), AdminError> {
    let topic = &*admin.client()?.ledger.config().off_wire(&change.request.topic);
    let mut tries = 1;
    loop {
        let error = match admin.ask(&change.address, &change.request, topic, deadline).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if tries >= TRIES || !error.is_passing() || Instant::now() >= deadline {
            return Err(error);
        }
        tries += 1;
    }
}

/// Waits until the name server shows the topic as it was asked for, and has the producer take note.
pub(super) async fn until_it_shows(
    admin: &Admin,
    topic: &str,
    accepted: &[Change],
    deadline: Instant,
) -> Result<(), AdminError> {
    let client = admin.client()?;
    loop {
        let shown = admin.route(topic, deadline).await;
        if shown.is_ok_and(|document| accepted.iter().all(|change| shows(&document, change))) {
            let topic: Arc<str> = topic.into();
            client.routes.forget_missing(&topic);
            client.refresh_before(&topic, deadline).await;
            return Ok(());
        }
        if Instant::now() + LOOK_AGAIN >= deadline {
            return Err(AdminError::Timeout(format!(
                "topic {topic} was created or changed, but no name server shows it yet"
            )));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether a route has the topic's queues as a broker was asked for them, and with no more
/// permissions than wanted. It may have fewer: a broker's permissions are subtracted.
fn shows(document: &TopicRoute, Change { broker, request, .. }: &Change) -> bool {
    let queues = document.queues.iter().find(|queues| queues.broker_name == *broker);
    queues.is_some_and(|queues| {
        queues.read_queue_nums == request.read_queues
            && queues.write_queue_nums == request.write_queues
            && queues.perm & !request.perm == 0
    })
}
