//! Brokers that are left out for their health are asked how they are (Java:
//! `LatencyFaultToleranceImpl`).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste_protocol::request::MaxOffset;

use super::Client;
use crate::connection::target::RouteBroker;

/// Asks brokers that are left out how they are, as long as there are any.
pub(crate) async fn run(client: Arc<Client>) {
    let avoidance = client.ledger.config().avoidance.clone();
    loop {
        tokio::select! {
            () = client.left_out.notified() => {}
            () = client.ledger.stopped.cancelled() => return,
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(avoidance.probe_interval) => {}
                () = client.ledger.stopped.cancelled() => return,
            }
            let left_out = left_out(&client);
            if left_out.is_empty() {
                break;
            }
            for broker in left_out {
                let timeout = avoidance.probe_timeout;
                client.ledger.spawn(async move { probe(&broker, timeout).await });
            }
        }
    }
}

/// The brokers that are left out, each connection once.
fn left_out(client: &Client) -> Vec<Arc<RouteBroker>> {
    let mut known = HashSet::new();
    let mut left_out = Vec::new();
    for route in client.routes.all() {
        for broker in &route.brokers {
            let is_left_out = broker.connection.load().health.is_left_out();
            if is_left_out && known.insert(broker.connection.address().clone()) {
                left_out.push(broker.clone());
            }
        }
    }
    left_out
}

/// As Java's detector: any answer will do, also that it has no such queue.
async fn probe(broker: &RouteBroker, timeout: Duration) {
    let RouteBroker { wire_topic, name, connection, .. } = broker;
    let request = MaxOffset {
        topic: wire_topic.to_string(),
        queue_id: 0,
        committed: Some(true),
        broker_name: Some(name.to_string()),
    };
    match connection.call_raw(&request, Instant::now() + timeout).await {
        Ok(_) => connection.load().health.recovered(),
        Err(error) => tracing::debug!(broker = %name, %error, "the broker is still left out"),
    }
}
