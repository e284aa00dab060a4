//! What went over each connection.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{WireConnection, WireExchange, WireFrame, WireSide};
use posthaste_protocol::{RequestCode, ResponseCode};
use serde::{Deserialize, Serialize};

use crate::api::query::{Parameters, USUAL, within};
use crate::api::time::since_1970;
use crate::body::Body;
use crate::reply::Problem;
use crate::shared::{Shared, broken};

/// The parameters of `/api/v1/wire`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// The number of the only connection that is wanted.
    connection: Option<u64>,
    /// Exchanges of the answer; the newest of all connections.
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Wire<'a> {
    connections: Vec<Connection<'a>>,
    /// Exchanges that the broker has and this answer has not.
    left_out: usize,
}

/// One connection.
#[derive(Serialize)]
struct Connection<'a> {
    connection: u64,
    client: Option<&'a str>,
    address: SocketAddr,
    port: u16,
    encrypted: bool,
    connected_ms: u64,
    ended_ms: Option<u64>,
    ended_why: Option<&'a str>,
    exchanges: Vec<Exchange<'a>>,
}

/// A request and its answer.
#[derive(Serialize)]
struct Exchange<'a> {
    number: u64,
    asked_by: &'static str,
    opaque: i32,
    oneway: bool,
    topic: Option<&'a str>,
    took_ms: Option<f64>,
    request: Option<Frame<'a>>,
    answer: Option<Frame<'a>>,
}

#[derive(Serialize)]
struct Frame<'a> {
    at_ms: u64,
    code: Option<i32>,
    name: Option<&'static str>,
    remark: Option<&'a str>,
    fields: BTreeMap<&'a str, &'a str>,
    length: usize,
    header_length: usize,
    body_length: usize,
    /// Its beginning.
    #[serde(flatten)]
    body: Body<'a>,
}

impl<'a> Connection<'a> {
    /// With the exchanges that began no earlier than `from`.
    fn of(connection: &'a WireConnection, from: Option<SystemTime>) -> Self {
        let is_wanted =
            |exchange: &&WireExchange| from.is_none_or(|from| exchange.begun_at() >= from);
        Self {
            connection: connection.id,
            client: connection.client_id.as_deref(),
            address: connection.address,
            port: connection.port,
            encrypted: connection.is_encrypted,
            connected_ms: since_1970(connection.connected_at),
            ended_ms: connection.end.as_ref().map(|end| since_1970(end.at)),
            ended_why: connection.end.as_ref().map(|end| end.why.as_str()),
            exchanges: connection.exchanges.iter().filter(is_wanted).map(Exchange::of).collect(),
        }
    }
}

impl<'a> Exchange<'a> {
    fn of(exchange: &'a WireExchange) -> Self {
        let request_name = |code| RequestCode(code).name();
        let answer_name = |code| ResponseCode(code).name();
        Self {
            number: exchange.number,
            asked_by: match exchange.asked_by {
                WireSide::Client => "client",
                WireSide::Broker => "broker",
            },
            opaque: exchange.opaque,
            oneway: exchange.is_oneway,
            topic: exchange.topic(),
            took_ms: exchange.took.map(|took| took.as_secs_f64() * 1_000.0),
            request: exchange.request.as_deref().map(|frame| Frame::of(frame, request_name)),
            answer: exchange.answer.as_deref().map(|frame| Frame::of(frame, answer_name)),
        }
    }
}

impl<'a> Frame<'a> {
    fn of(frame: &'a WireFrame, name: impl Fn(i32) -> Option<&'static str>) -> Self {
        Self {
            at_ms: since_1970(frame.at),
            code: frame.code,
            name: frame.code.and_then(name),
            remark: frame.remark.as_deref(),
            fields: frame.fields.iter().collect(),
            length: frame.length,
            header_length: frame.header_length,
            body_length: frame.body_length,
            body: Body(&frame.body),
        }
    }
}

/// `/api/v1/wire`
pub(crate) async fn wire(
    State(shared): State<Arc<Shared>>,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let limit = within("limit", which.limit)?.unwrap_or(USUAL);
    let mut connections = shared.broker.wire().await.map_err(|error| broken(&error))?;
    if let Some(wanted) = which.connection {
        connections.retain(|connection| connection.id == wanted);
        if connections.is_empty() {
            let message = format!("there is no connection {wanted}");
            let help = "leave `connection` out to see all; one that has ended is forgotten in time";
            return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_connection", message, help));
        }
    }
    let exchanges = connections.iter().flat_map(|connection| &connection.exchanges);
    let mut times: Vec<_> = exchanges.map(WireExchange::begun_at).collect();
    times.sort_unstable_by_key(|time| Reverse(*time));
    // Those of the same moment are told together.
    let from = if times.len() > limit { times.get(limit - 1).copied() } else { None };
    let told: Vec<_> = connections.iter().map(|one| Connection::of(one, from)).collect();
    let count: usize = told.iter().map(|connection| connection.exchanges.len()).sum();
    let left_out = times.len() - count;
    shared.json(StatusCode::OK, &Wire { connections: told, left_out }).await
}
