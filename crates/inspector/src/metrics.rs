//! `/metrics`: figures of the broker, in the text format of Prometheus.

use std::collections::BTreeSet;
use std::fmt::{Display, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use posthaste_broker::{BrokerStats, TopicInfo};

use crate::reply::Problem;
use crate::shared::{Shared, broken};

/// The type of the text.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/metrics`
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let broker = &shared.broker;
    let topics = broker.topics().await.map_err(|error| broken(&error))?;
    let clients = broker.clients().await.map_err(|error| broken(&error))?;
    let groups = broker.groups().await.map_err(|error| broken(&error))?;
    // A client has several connections.
    let clients: BTreeSet<_> = clients.into_iter().filter_map(|client| client.client_id).collect();
    let mut page = Page::default();
    page.broker(&broker.stats());
    page.metric("clients", "gauge", "Clients that have sent a heartbeat", clients.len());
    page.metric("groups", "gauge", "Producer and consumer groups", groups.len());
    let waiting = shared.room.waiting();
    page.metric("http_waiting", "gauge", "HTTP requests that wait for messages", waiting);
    page.topics(&topics);
    let mut response = Response::new(shared.room.body(page.0.into_bytes()).await?);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    Ok(response)
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn broker(&mut self, stats: &BrokerStats) {
        let stored = "Messages stored since the start";
        self.metric("messages_stored_total", "counter", stored, stats.messages);
        let dropped = "Messages dropped since the start, to make room for others";
        self.metric("messages_dropped_total", "counter", dropped, stats.dropped);
        self.metric("connections", "gauge", "Open connections of clients", stats.connections);
        self.metric("topics", "gauge", "Topics, the system's among them", stats.topics);
    }

    fn topics(&mut self, topics: &[TopicInfo]) {
        self.head("topic_messages", "gauge", "Messages of a topic that are there");
        for topic in topics.iter().filter(|topic| !topic.is_system) {
            let name = escaped(&topic.name);
            let line = format_args!("{{topic=\"{name}\"}} {}", topic.messages);
            self.line(format_args!("posthaste_broker_topic_messages{line}"));
        }
    }

    fn metric(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(format_args!("posthaste_broker_{name} {value}"));
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP posthaste_broker_{name} {help}"));
        self.line(format_args!("# TYPE posthaste_broker_{name} {kind}"));
    }

    fn line(&mut self, line: impl Display) {
        // A String takes everything.
        let _ = writeln!(self.0, "{line}");
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
