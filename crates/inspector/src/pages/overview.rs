//! The first page: figures, the chart, the newest messages, and how to connect.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::pages::copies::Connecting;
use crate::pages::failure::Failure;
use crate::pages::html::html;
use crate::pages::newest::Filter;
use crate::pages::row::Row;
use crate::pages::{copies, moment};
use crate::shared::Shared;

/// How many messages are shown.
const SHOWN: usize = 20;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    section: &'static str,
    version: &'static str,
    name: &'a str,
    name_server: String,
    broker: String,
    running: String,
    stored: String,
    dropped: String,
    rate: String,
    connections: u64,
    topics: usize,
    rows: Vec<Row>,
    has_more: bool,
    connecting: Connecting,
}

/// `/`
pub(super) async fn overview(State(shared): State<Arc<Shared>>) -> Result<Response, Failure> {
    let _turn = shared.room.make().await?;
    let broker = &shared.broker;
    let topics = broker.topics().await?;
    let newest = Filter::default().newest(broker, &topics, SHOWN).await?;
    let stats = broker.stats();
    let (name_server, address) = copies::addresses(broker);
    let rate = shared.history.follow().borrow().rate;
    let running = SystemTime::now().duration_since(shared.history.begun()).unwrap_or_default();
    let page = Overview {
        section: "overview",
        version: env!("CARGO_PKG_VERSION"),
        name: broker.name(),
        running: moment::duration(running),
        stored: moment::number(stats.messages),
        dropped: moment::number(stats.dropped),
        rate: moment::number(rate.round() as u64),
        connections: stats.connections,
        topics: topics.iter().filter(|topic| !topic.is_system).count(),
        rows: newest.rows,
        has_more: newest.has_more,
        connecting: Connecting::to(&name_server),
        name_server,
        broker: address,
    };
    html(&shared, StatusCode::OK, &page).await
}
