//! Whether a producer can reach its cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste_protocol::request::DEFAULT_TOPIC;
use tokio::task::JoinSet;

use crate::Producer;
use crate::client::Client;
use crate::client::look_up::Found;
use crate::config::LONGEST;
use crate::ledger::Phase;
use crate::route::Route;

/// Pause before what was missing is looked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// What a producer cannot reach: see [`Producer::ready`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not ready: {}", .missing.join("; "))]
pub struct NotReady {
    missing: Vec<String>,
}

impl NotReady {
    /// Each missing thing, on its own line: the topic, and why it cannot be sent to.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}

impl Producer {
    /// Whether the cluster can be reached: a name server has answered, and each of the
    /// [`topics`](crate::ProducerBuilder::topics) has a route with a master that has answered a
    /// heartbeat. Asks again and again until then, for at most `timeout`.
    ///
    /// A topic that the first send would create has the route of the default topic. Nothing is sent,
    /// and no topic is created.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use posthaste::Producer;
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Producer::builder("order-service", "127.0.0.1:9876").topics(["orders"]);
    /// let producer = builder.start().await?;
    /// producer.ready(Duration::from_secs(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotReady`] lists what is missing, with the reason that was found last.
    ///
    /// # Cancellation
    /// Dropping the future ends the look-ups.
    pub async fn ready(&self, timeout: Duration) -> Result<(), NotReady> {
        let deadline = Instant::now() + timeout.min(LONGEST);
        let client = self.client();
        let mut checks = JoinSet::new();
        for (place, topic) in client.ledger.config().topics.iter().enumerate() {
            let (client, topic) = (client.clone(), topic.clone());
            checks.spawn(async move { (place, topic_is_reached(&client, &topic, deadline).await) });
        }
        if checks.is_empty() {
            let client = client.clone();
            checks.spawn(async move { (0, name_server_is_reached(&client, deadline).await) });
        }
        let mut missing = Vec::new();
        for (place, checked) in checks.join_all().await {
            if let Err(reason) = checked {
                missing.push((place, reason));
            }
        }
        missing.sort_unstable();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(NotReady { missing: missing.into_iter().map(|(_, one)| one).collect() }),
        }
    }
}

/// Tries until it is there, or the deadline passes; then it gives what was missing last.
async fn until_there<F>(
    client: &Client,
    deadline: Instant,
    attempt: impl Fn() -> F,
) -> Result<(), String>
where
    F: Future<Output = Result<(), String>>,
{
    loop {
        if client.ledger.phase() != Phase::Open {
            return Err("the producer is closed".into());
        }
        let Err(reason) = attempt().await else { return Ok(()) };
        if Instant::now() + PAUSE >= deadline {
            return Err(reason);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn name_server_is_reached(client: &Client, deadline: Instant) -> Result<(), String> {
    // That it knows no such topic is an answer too.
    let ask = || async {
        let answer = client.directory.route(DEFAULT_TOPIC, deadline).await;
        answer.map(drop).map_err(|error| error.to_string())
    };
    until_there(client, deadline, ask).await
}

async fn topic_is_reached(
    client: &Arc<Client>,
    topic: &Arc<str>,
    deadline: Instant,
) -> Result<(), String> {
    let attempt = || async {
        let found = tokio::time::timeout_at(deadline.into(), client.ask_for_route(topic)).await;
        match found {
            Ok(Ok(Found::Route(route))) => {
                client.routes.put_ahead(&route);
                master_answers(client, &route, deadline).await
            }
            Ok(Ok(Found::NoTopic)) => Err("no name server has a route to it".into()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no name server answered in time".into()),
        }
    };
    let reached = until_there(client, deadline, attempt).await;
    reached.map_err(|reason| format!("topic {topic}: {reason}"))
}

/// Whether one of a route's masters answers a heartbeat.
async fn master_answers(
    client: &Arc<Client>,
    route: &Route,
    deadline: Instant,
) -> Result<(), String> {
    let mut asked = JoinSet::new();
    for broker in &route.brokers {
        let (name, connection) = (broker.name.clone(), broker.connection.clone());
        let heartbeat = client.ledger.heartbeat();
        asked.spawn(async move {
            let answer = connection.call(&heartbeat, deadline).await;
            answer.map(drop).map_err(|error| format!("broker {name} at {error}"))
        });
    }
    let mut reasons = Vec::new();
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => reasons.push(reason),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    match reasons.is_empty() {
        true => Err("its route has no master with a queue that may be written".into()),
        false => Err(reasons.join(", ")),
    }
}
