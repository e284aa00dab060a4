//! Who is connected, and the groups that they are members of.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{ClientInfo, GroupInfo};

use crate::pages::failure::Failure;
use crate::pages::html::html;
use crate::pages::moment;
use crate::shared::Shared;

#[derive(Template)]
#[template(path = "clients.html")]
struct Clients {
    section: &'static str,
    clients: Vec<Client>,
    groups: Vec<GroupInfo>,
}

/// One connection.
struct Client {
    info: ClientInfo,
    connected: String,
    heartbeat: String,
}

/// `/clients`
pub(super) async fn clients(State(shared): State<Arc<Shared>>) -> Result<Response, Failure> {
    let now = SystemTime::now();
    let client = |info: ClientInfo| Client {
        connected: moment::ago(info.connected_at, now),
        heartbeat: info.last_heartbeat.map(|at| moment::ago(at, now)).unwrap_or_default(),
        info,
    };
    let clients = shared.broker.clients().await?;
    let page = Clients {
        section: "clients",
        clients: clients.into_iter().map(client).collect(),
        groups: shared.broker.groups().await?,
    };
    html(&shared, StatusCode::OK, &page).await
}
