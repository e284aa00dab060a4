//! Deleting a topic: first at its brokers, then at the name servers.

use std::time::Instant;

use posthaste_protocol::request::{DeleteTopic, DeleteTopicInNameServer};
use tokio::task::JoinSet;

use super::change::{self, LOOK_AGAIN};
use super::{Admin, AdminError, master};
use crate::connection::CallError;

pub(super) async fn delete_topic(admin: &Admin, topic: &str) -> Result<(), AdminError> {
    let wire_topic = change::wire_topic(admin, topic)?;
    let deadline = admin.deadline();
    let route = admin.route(topic, deadline).await?;
    let masters: Vec<String> = route
        .queues
        .iter()
        .map(|queues| Ok(master(&route, &queues.broker_name)?.to_owned()))
        .collect::<Result<_, AdminError>>()?;
    at_brokers(admin, topic, &wire_topic, masters, deadline).await?;
    // Not before: a broker that still has the topic tells the name servers of it again.
    at_name_servers(admin, topic, &wire_topic, deadline).await?;
    until_it_is_gone(admin, topic, deadline).await
}

/// Asks all brokers at once. The first failure counts, once all have ended.
async fn at_brokers(
    admin: &Admin,
    topic: &str,
    wire_topic: &str,
    masters: Vec<String>,
    deadline: Instant,
) -> Result<(), AdminError> {
    let mut asking = JoinSet::new();
    for address in masters {
        let (admin, topic) = (admin.clone(), topic.to_owned());
        let request = DeleteTopic { topic: wire_topic.to_owned() };
        asking.spawn(async move { admin.ask(&address, &request, &topic, deadline).await });
    }
    let mut all = Ok(());
    while let Some(answer) = asking.join_next().await {
        all = all.and(answered(answer)?.map(drop));
    }
    all
}

/// Asks all name servers at once: each has its own table.
async fn at_name_servers(
    admin: &Admin,
    topic: &str,
    wire_topic: &str,
    deadline: Instant,
) -> Result<(), AdminError> {
    let mut asking = JoinSet::new();
    for server in admin.client()?.directory.all() {
        let request = DeleteTopicInNameServer { topic: wire_topic.to_owned(), cluster: None };
        asking.spawn(async move {
            match server.call(&request, deadline).await {
                Err(CallError::Lost { .. }) => server.call(&request, deadline).await,
                answer => answer,
            }
        });
    }
    let mut all = Ok(());
    while let Some(answer) = asking.join_next().await {
        let answer = answered(answer)?.map(drop);
        all =
            all.and(answer.map_err(|error| still_shown(AdminError::of_call(error, topic), topic)));
    }
    all
}

fn answered<T>(answer: Result<T, tokio::task::JoinError>) -> Result<T, AdminError> {
    answer.map_err(|error| AdminError::Unreachable(error.to_string()))
}

/// Adds to an error of a name server what has been done.
fn still_shown(error: AdminError, topic: &str) -> AdminError {
    let done = |text: String| {
        format!(
            "{text} (topic {topic} was deleted at its brokers, but this name server may still \
             show it)"
        )
    };
    match error {
        AdminError::Unreachable(text) => AdminError::Unreachable(done(text)),
        AdminError::Timeout(text) => AdminError::Timeout(done(text)),
        other => other,
    }
}

async fn until_it_is_gone(admin: &Admin, topic: &str, deadline: Instant) -> Result<(), AdminError> {
    loop {
        match admin.route(topic, deadline).await {
            Err(AdminError::NoTopic { .. }) => return Ok(()),
            Ok(_) if Instant::now() + LOOK_AGAIN < deadline => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok(_) => {
                return Err(AdminError::Timeout(format!(
                    "topic {topic} was deleted, but a name server still shows it"
                )));
            }
            Err(error) => return Err(error),
        }
    }
}
