//! Connections of clients, and the groups that they are members of.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{ClientInfo, GroupInfo};
use serde::Serialize;

use crate::api::query::{Nothing, Parameters};
use crate::api::time::since_1970;
use crate::reply::Problem;
use crate::shared::{Shared, broken};

#[derive(Serialize)]
struct Clients<'a> {
    clients: Vec<Client<'a>>,
}

/// One connection.
#[derive(Serialize)]
struct Client<'a> {
    client: Option<&'a str>,
    producer_groups: &'a [String],
    consumer_groups: &'a [String],
    address: SocketAddr,
    language: Option<&'a str>,
    version: i32,
    connected_ms: u64,
    last_heartbeat_ms: Option<u64>,
}

impl<'a> Client<'a> {
    fn of(client: &'a ClientInfo) -> Self {
        Self {
            client: client.client_id.as_deref(),
            producer_groups: &client.producer_groups,
            consumer_groups: &client.consumer_groups,
            address: client.address,
            language: client.language,
            version: client.version,
            connected_ms: since_1970(client.connected_at),
            last_heartbeat_ms: client.last_heartbeat.map(since_1970),
        }
    }
}

#[derive(Serialize)]
struct Groups<'a> {
    groups: Vec<Group<'a>>,
}

#[derive(Serialize)]
struct Group<'a> {
    name: &'a str,
    producers: &'a [String],
    consumers: &'a [String],
    topics: &'a [String],
}

impl<'a> Group<'a> {
    fn of(group: &'a GroupInfo) -> Self {
        Self {
            name: &group.name,
            producers: &group.producers,
            consumers: &group.consumers,
            topics: &group.topics,
        }
    }
}

/// `/api/v1/clients`
pub(crate) async fn clients(
    State(shared): State<Arc<Shared>>,
    Parameters(Nothing {}): Parameters<Nothing>,
) -> Result<Response, Problem> {
    let clients = shared.broker.clients().await.map_err(|error| broken(&error))?;
    let clients = Clients { clients: clients.iter().map(Client::of).collect() };
    shared.json(StatusCode::OK, &clients).await
}

/// `/api/v1/groups`
pub(crate) async fn groups(
    State(shared): State<Arc<Shared>>,
    Parameters(Nothing {}): Parameters<Nothing>,
) -> Result<Response, Problem> {
    let groups = shared.broker.groups().await.map_err(|error| broken(&error))?;
    let groups = Groups { groups: groups.iter().map(Group::of).collect() };
    shared.json(StatusCode::OK, &groups).await
}
