//! What went over the wire: the last requests and answers, of all connections or of one.

use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{WireConnection, WireExchange, WireFrame, WireSide};
use posthaste_protocol::{RequestCode, ResponseCode};
use serde::Deserialize;

use crate::pages::asked::{Asked, number};
use crate::pages::failure::Failure;
use crate::pages::html::html;
use crate::pages::moment;
use crate::shared::Shared;

/// Exchanges of a page.
const SHOWN: usize = 50;
/// Characters of a field, and of the beginning of a body.
const FIELD: usize = 1_024;

/// Which connection is wanted; all, if none is named.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Which {
    connection: String,
}

#[derive(Template)]
#[template(path = "wire.html")]
struct Wire {
    section: &'static str,
    only: Option<u64>,
    connections: Vec<Connection>,
    exchanges: Vec<Exchange>,
    /// How many exchanges there are, with those that are not shown.
    all: usize,
}

/// A connection.
struct Connection {
    id: u64,
    client: String,
    address: String,
    port: u16,
    is_encrypted: bool,
    connected: String,
    /// How it has ended.
    end: String,
    exchanges: usize,
}

/// A request and its answer.
struct Exchange {
    connection: u64,
    client: String,
    number: u64,
    at: String,
    is_from_broker: bool,
    topic: String,
    request: Option<Frame>,
    answer: Option<Frame>,
    /// What is said in place of an answer.
    no_answer: &'static str,
    took: String,
}

/// A frame.
struct Frame {
    name: String,
    /// Whether it is an answer that is no success.
    is_bad: bool,
    remark: String,
    length: String,
    fields: Vec<(String, String)>,
    body: String,
}

/// `/wire`
pub(super) async fn wire(
    State(shared): State<Arc<Shared>>,
    Asked(which): Asked<Which>,
) -> Result<Response, Failure> {
    let _turn = shared.room.make().await?;
    let wrong = |text| Failure::bad(text, "go to the page of all connections");
    let only: Option<u64> = number("the connection", &which.connection).map_err(wrong)?;
    let mut connections = shared.broker.wire().await?;
    connections.retain(|connection| only.is_none_or(|only| only == connection.id));
    if let (Some(only), []) = (only, connections.as_slice()) {
        let message = format!("there is no connection {only}");
        let help = "it has ended a while ago; go to the page of all connections";
        return Err(Failure::new(StatusCode::NOT_FOUND, message, help));
    }
    let of = |connection: &'_ WireConnection| connection.exchanges.len();
    let all = connections.iter().map(of).sum();
    let mut exchanges: Vec<_> = connections
        .iter()
        .flat_map(|connection| connection.exchanges.iter().map(move |it| (connection, it)))
        .collect();
    exchanges.sort_by_key(|(connection, exchange)| {
        Reverse((exchange.begun_at(), connection.id, exchange.number))
    });
    let shown = exchanges.iter().take(SHOWN);
    let page = Wire {
        section: "wire",
        only,
        exchanges: shown.map(|(connection, it)| Exchange::of(connection, it)).collect(),
        connections: connections.iter().rev().map(Connection::of).collect(),
        all,
    };
    html(&shared, StatusCode::OK, &page).await
}

impl Connection {
    fn of(connection: &WireConnection) -> Self {
        let end = connection.end.as_ref();
        Self {
            id: connection.id,
            client: connection.client_id.clone().unwrap_or_default(),
            address: connection.address.to_string(),
            port: connection.port,
            is_encrypted: connection.is_encrypted,
            connected: moment::utc(connection.connected_at),
            end: end.map(|end| format!("{}: {}", moment::utc(end.at), end.why)).unwrap_or_default(),
            exchanges: connection.exchanges.len(),
        }
    }
}

impl Exchange {
    fn of(connection: &WireConnection, exchange: &WireExchange) -> Self {
        let client = connection.client_id.clone();
        Self {
            connection: connection.id,
            client: client.unwrap_or_else(|| connection.address.to_string()),
            number: exchange.number,
            at: moment::utc(exchange.begun_at()),
            is_from_broker: exchange.asked_by == WireSide::Broker,
            topic: exchange.topic().unwrap_or_default().to_owned(),
            request: exchange.request.as_deref().map(Frame::request),
            answer: exchange.answer.as_deref().map(Frame::answer),
            no_answer: if exchange.is_oneway { "one-way" } else { "no answer yet" },
            took: exchange
                .took
                .map(|took| format!("{:.2} ms", took.as_secs_f64() * 1_000.0))
                .unwrap_or_default(),
        }
    }

    fn frames(&self) -> impl Iterator<Item = (&'static str, &Frame)> {
        let frames = [("Request", &self.request), ("Answer", &self.answer)];
        frames.into_iter().filter_map(|(word, frame)| Some((word, frame.as_ref()?)))
    }
}

impl Frame {
    fn request(frame: &WireFrame) -> Self {
        Self::of(frame, false, frame.code.and_then(|code| RequestCode(code).name()))
    }

    fn answer(frame: &WireFrame) -> Self {
        let code = frame.code.map(ResponseCode);
        let is_bad = code != Some(ResponseCode::SUCCESS);
        Self::of(frame, is_bad, code.and_then(ResponseCode::name))
    }

    fn of(frame: &WireFrame, is_bad: bool, name: Option<&str>) -> Self {
        let field = |(name, value): (&str, &str)| (name.to_owned(), cut(value));
        let body = match std::str::from_utf8(&frame.body) {
            Ok(text) => text.to_owned(),
            Err(_) => frame.body.escape_ascii().to_string(),
        };
        let mut body = cut(&body);
        if frame.body.len() < frame.body_length && !body.ends_with('…') {
            body.push('…');
        }
        Self {
            name: match (name, frame.code) {
                (Some(name), Some(code)) => format!("{name} ({code})"),
                (None, Some(code)) => code.to_string(),
                (_, None) => "no frame".to_owned(),
            },
            is_bad,
            remark: frame.remark.clone().unwrap_or_default(),
            length: moment::bytes(frame.length),
            fields: frame.fields.iter().map(field).collect(),
            body,
        }
    }
}

/// The beginning of a text; what separates properties (1 and 2) can be seen.
fn cut(text: &str) -> String {
    let seen = |c| match c {
        '\u{1}' => '=',
        '\u{2}' => ' ',
        c => c,
    };
    let mut cut: String = text.chars().take(FIELD).map(seen).collect();
    if text.chars().nth(FIELD).is_some() {
        cut.push('…');
    }
    cut
}
