//! Topics: all of them, and one with its queues.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{QueueInfo, TopicInfo};
use serde::{Deserialize, Serialize};

use crate::api::path::Name;
use crate::api::query::{Nothing, Parameters};
use crate::api::time::since_1970;
use crate::reply::Problem;
use crate::shared::{Shared, broken};

/// The parameters of `/api/v1/topics`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Whether those of the system are wanted too.
    #[serde(default)]
    system: bool,
}

#[derive(Serialize)]
struct Topics<'a> {
    topics: Vec<Topic<'a>>,
}

#[derive(Serialize)]
struct Topic<'a> {
    name: &'a str,
    system: bool,
    read_queues: u16,
    write_queues: u16,
    permissions: i32,
    messages: u64,
    last_write_ms: Option<u64>,
    /// Only where one topic is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    queues: Option<Vec<Queue>>,
}

#[derive(Serialize)]
struct Queue {
    queue: u16,
    min_offset: u64,
    max_offset: u64,
}

impl<'a> Topic<'a> {
    fn of(topic: &'a TopicInfo) -> Self {
        Self {
            name: &topic.name,
            system: topic.is_system,
            read_queues: topic.read_queues,
            write_queues: topic.write_queues,
            permissions: topic.permissions,
            messages: topic.messages,
            last_write_ms: topic.last_write.map(since_1970),
            queues: None,
        }
    }

    fn with_queues(topic: &'a TopicInfo) -> Self {
        let queue = |queue: &QueueInfo| Queue {
            queue: queue.queue,
            min_offset: queue.min_offset,
            max_offset: queue.max_offset,
        };
        Self { queues: Some(topic.queues.iter().map(queue).collect()), ..Self::of(topic) }
    }
}

/// `/api/v1/topics`
pub(crate) async fn topics(
    State(shared): State<Arc<Shared>>,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let topics = shared.broker.topics().await.map_err(|error| broken(&error))?;
    let wanted = topics.iter().filter(|topic| which.system || !topic.is_system);
    let topics = Topics { topics: wanted.map(Topic::of).collect() };
    shared.json(StatusCode::OK, &topics).await
}

/// `/api/v1/topics/{topic}`
pub(crate) async fn topic(
    State(shared): State<Arc<Shared>>,
    Name(name): Name,
    Parameters(Nothing {}): Parameters<Nothing>,
) -> Result<Response, Problem> {
    let topics = shared.broker.topics().await.map_err(|error| broken(&error))?;
    let topic = topics.iter().find(|topic| topic.name == name).ok_or_else(|| {
        let own = topics.iter().filter(|topic| !topic.is_system);
        let names: Vec<_> = own.map(|topic| topic.name.as_str()).collect();
        let message = format!("there is no topic {name:?}");
        let help = match names.as_slice() {
            [] => "there is none yet; the first send creates its topic".to_owned(),
            names => format!("there are {}", names.join(", ")),
        };
        Problem::new(StatusCode::NOT_FOUND, "no_such_topic", message, help)
    })?;
    shared.json(StatusCode::OK, &Topic::with_queues(topic)).await
}
