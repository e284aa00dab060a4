//! Creating a topic, until it shows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste_protocol::request::{CreateTopic, DEFAULT_TOPIC, TopicRoute};
use tokio::task::JoinSet;

use super::{Admin, AdminError, TopicSettings};
use crate::validate;

/// How often one broker is asked (Java: `MQAdminImpl.createTopic`).
const TRIES: usize = 5;
/// How long the other brokers are waited for after one accepted: a dead one is not to use up the
/// time.
const FOR_THE_OTHERS: Duration = Duration::from_secs(1);
/// How often the name server is asked whether it shows the topic.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A topic that every broker has, also one that creates no topics on its own.
const EVERYWHERE: &str = "SELF_TEST_TOPIC";

pub(super) async fn create_topic(
    admin: &Admin,
    topic: &str,
    settings: &TopicSettings,
) -> Result<(), AdminError> {
    check_name(topic).and_then(|()| settings.check()).map_err(AdminError::Invalid)?;
    let wire_topic = admin.client()?.config().on_wire(topic).into_owned();
    validate::topic(&wire_topic).map_err(AdminError::Invalid)?;
    let count = |queues: u32| i32::try_from(queues).unwrap_or(i32::MAX);
    let deadline = admin.deadline();
    let request = CreateTopic {
        topic: wire_topic,
        default_topic: DEFAULT_TOPIC.to_owned(),
        read_queues: count(settings.read_queues),
        write_queues: count(settings.write_queues),
        perm: settings.perm,
        filter_type: Some("SINGLE_TAG".to_owned()),
        sys_flag: Some(0),
        order: Some(settings.ordered),
        attributes: settings.attributes_text(),
    };
    let accepted = ask_all(admin, masters(admin, deadline).await?, &request, deadline).await?;
    until_it_shows(admin, topic, &request, &accepted, deadline).await
}

fn check_name(topic: &str) -> Result<(), String> {
    validate::topic(topic)?;
    validate::not_of_the_broker(topic)?;
    match validate::is_of_the_system(topic) {
        true => Err(format!("topic {topic} belongs to the system")),
        false => Ok(()),
    }
}

/// Name and address of every master broker.
async fn masters(admin: &Admin, deadline: Instant) -> Result<Vec<(String, String)>, AdminError> {
    let document = match admin.route(DEFAULT_TOPIC, deadline).await {
        Err(AdminError::NoTopic { .. }) => admin.route(EVERYWHERE, deadline).await,
        found => found,
    };
    let document = document.map_err(|error| match error {
        AdminError::NoTopic { .. } => AdminError::Unreachable(format!(
            "no broker is known: the name server has a route neither to {DEFAULT_TOPIC} nor to {EVERYWHERE}"
        )),
        other => other,
    })?;
    let brokers = document.brokers.iter();
    let masters = brokers
        .filter_map(|broker| Some((broker.broker_name.clone(), broker.master()?.to_owned())));
    Ok(masters.collect())
}

/// Asks all brokers at once; says which accepted.
///
/// # Errors
/// The last one's, when none did.
async fn ask_all(
    admin: &Admin,
    brokers: Vec<(String, String)>,
    request: &CreateTopic,
    deadline: Instant,
) -> Result<Vec<String>, AdminError> {
    let mut asked = JoinSet::new();
    for (name, address) in brokers {
        let (admin, request) = (admin.clone(), request.clone());
        asked.spawn(async move {
            let answer = ask_one(&admin, &address, &request, deadline).await;
            answer.map(|()| name)
        });
    }
    let mut accepted = Vec::new();
    let mut last = AdminError::Unreachable("no broker has a master that is known".into());
    let mut until = deadline;
    while let Ok(Some(answer)) = tokio::time::timeout_at(until.into(), asked.join_next()).await {
        match answer {
            Ok(Ok(name)) => {
                accepted.push(name);
                until = deadline.min(Instant::now() + FOR_THE_OTHERS);
            }
            Ok(Err(error)) => last = error,
            Err(error) => last = AdminError::Unreachable(error.to_string()),
        }
    }
    if accepted.is_empty() { Err(last) } else { Ok(accepted) }
}

async fn ask_one(
    admin: &Admin,
    address: &str,
    request: &CreateTopic,
    deadline: Instant,
) -> Result<(), AdminError> {
    let topic = &*admin.client()?.config().off_wire(&request.topic);
    let mut tries = 1;
    loop {
        let error = match admin.ask(address, request, topic, deadline).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if tries >= TRIES || !error.is_passing() || Instant::now() >= deadline {
            return Err(error);
        }
        tries += 1;
    }
}

/// Waits until the name server shows the topic as it was created, and has the producer take note.
async fn until_it_shows(
    admin: &Admin,
    topic: &str,
    request: &CreateTopic,
    brokers: &[String],
    deadline: Instant,
) -> Result<(), AdminError> {
    let client = admin.client()?;
    loop {
        let shown = admin.route(topic, deadline).await;
        if shown.is_ok_and(|document| shows(&document, request, brokers)) {
            let topic: Arc<str> = topic.into();
            client.routes.forget_missing(&topic);
            client.refresh_before(&topic, deadline).await;
            return Ok(());
        }
        if Instant::now() + LOOK_AGAIN >= deadline {
            return Err(AdminError::Timeout(format!(
                "topic {topic} was created, but no name server shows it yet"
            )));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether a route has the topic's queues on every broker that accepted it, and with no more
/// permissions than wanted. Fewer there may be: those of a broker come on top.
fn shows(document: &TopicRoute, request: &CreateTopic, brokers: &[String]) -> bool {
    brokers.iter().all(|broker| {
        let queues = document.queues.iter().find(|queues| queues.broker_name == *broker);
        queues.is_some_and(|queues| {
            queues.read_queue_nums == request.read_queues
                && queues.write_queue_nums == request.write_queues
                && queues.perm & !request.perm == 0
        })
    })
}
