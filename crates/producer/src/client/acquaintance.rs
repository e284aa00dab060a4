//! A producer with a checker is known to the brokers before it sends anything: the brokers of the
//! default topic, as in Java (`createTopicKey`), and of `topics`.
//!
//! A broker asks the members of a group about its transactions that it knows by their heartbeats. A
//! producer that was started again, and has nothing to send, would not be asked otherwise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste_protocol::request::{DEFAULT_TOPIC, SELF_TEST_TOPIC};

use super::Client;
use crate::connection::{Connection, TaskOrder};
use crate::ledger::Phase;
use crate::net::backoff::Backoff;
use crate::route::name_server::NoAnswer;

/// The first pause after name servers did not answer; the longest is the interval of routes.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Keeps the brokers known, and this producer known to them, until the producer ends.
pub(crate) async fn keep(client: Arc<Client>) {
    let mut acquaintance = Acquaintance { brokers: Vec::new(), is_warned: false };
    let mut failures = 0;
    let interval = client.ledger.config().route_poll_interval;
    let backoff = Backoff { first: FIRST_BACKOFF, longest: interval };
    while client.ledger.phase() == Phase::Open {
        let pause = match client.masters().await {
            Ok(masters) => {
                acquaintance.meet(&client, &masters);
                failures = 0;
                interval
            }
            Err(error) => {
                tracing::debug!(%error, "brokers that may ask about transactions are not known yet");
                failures += 1;
                backoff.after(failures)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = client.directory.changed() => {}
            () = client.ledger.stopped.cancelled() => return,
        }
    }
}

struct Acquaintance {
    /// As long as they are in here their connections are kept.
    brokers: Vec<Arc<Connection>>,
    is_warned: bool,
}

impl Acquaintance {
    fn meet(&mut self, client: &Arc<Client>, masters: &[String]) {
        if masters.is_empty() && client.ledger.config().topics.is_empty() && !self.is_warned {
            self.is_warned = true;
            let group = &client.ledger.config().own_group;
            tracing::warn!(
                %group,
                "no broker is known that may ask the transaction checker: there is no route to \
                 {DEFAULT_TOPIC} or {SELF_TEST_TOPIC}. Name the topics of the group's \
                 transactions with `topics`; otherwise no broker asks before the first send"
            );
        }
        self.brokers = masters.iter().map(|address| client.connection(address)).collect();
        self.brokers.iter().for_each(|broker| broker.order(TaskOrder::Greet));
    }
}

impl Client {
    /// Addresses of the masters that have the default topic, or, without a route to it, the masters that
    /// have the topic that every broker has.
    async fn masters(&self) -> Result<Vec<String>, NoAnswer> {
        let deadline = Instant::now() + self.ledger.config().lookup_timeout;
        let document = match self.directory.route(DEFAULT_TOPIC, deadline).await? {
            Some(document) => Some(document),
            None => self.directory.route(SELF_TEST_TOPIC, deadline).await?,
        };
        let brokers = document.map(|document| document.brokers).unwrap_or_default();
        Ok(brokers.iter().filter_map(|broker| broker.master().map(str::to_owned)).collect())
    }
}
