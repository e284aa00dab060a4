//! The producer that sends the message trace, in the background.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::start::start as start_client;
use crate::accepted::Mode;
use crate::client::Client;
use crate::config::Config;
use crate::config::identity::Identity;
use crate::ledger::Admission;
use crate::message::validate::MAX_GROUP;
use crate::observers::span::SendSpan;
use crate::observers::trace::{Lost, Outlet, Parcel, QUEUE, Record, Trace};
use crate::producer::delivery::Delivery;
use crate::{Message, SendError};

/// This many records leave together, or fewer after this long (Java: `traceMsgBatchNum`).
const TOGETHER: usize = 10;
const INTERVAL: Duration = Duration::from_secs(5);
/// How long a trace message may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// This many trace messages are in flight at once; the largest has this many bytes.
const AT_ONCE: usize = 64;
const LARGEST: usize = 128_000;
const GROUP_PREFIX: &str = "_INNER_TRACE_PRODUCER-";
const GROUP_SUFFIX: &str = "-PRODUCE";

/// Starts the sender of a producer that is configured so.
pub(super) fn start(config: &Config, lost: Lost, runtime: &Handle) -> Trace {
    let client = start_client(config_of_sender(config), runtime);
    let sender = Sender {
        client: client.clone(),
        topic: config.trace_topic.clone(),
        lost: lost.clone(),
        on_their_way: JoinSet::new(),
        deadline: None,
    };
    let discover = Box::new(move |discovery| client.discover(discovery));
    let (trace, Outlet { queue, closing, ended }) = Trace::new(config, lost, discover);
    runtime.spawn(async move {
        sender.run(queue, closing).await;
        drop(ended);
    });
    trace
}

/// The sender is configured as the producer is, but has no observers.
fn config_of_sender(config: &Config) -> Config {
    Config {
        group: group_of_sender(&config.own_group).into(),
        own_group: group_of_sender(&config.own_group).into(),
        // As in Java, it is in no namespace.
        namespace: None,
        identity: Identity {
            // Two clients of one name would get each other's replies.
            instance_name: config
                .identity
                .instance_name
                .as_ref()
                .map(|name| format!("{name}-trace")),
            ..config.identity.clone()
        },
        topics: Vec::new(),
        send_timeout: TIMEOUT,
        // What leaves together may be of as many topics.
        max_pending_messages: AT_ONCE + TOGETHER,
        max_pending_bytes: 2 * AT_ONCE * LARGEST,
        max_message_size: LARGEST,
        interceptors: Vec::new(),
        callback_executor: None,
        message_trace: false,
        checker: None,
        linger: None,
        vip_channel: false,
        ..config.clone()
    }
}

/// The group's name is cut where it would make the sender's too long; in Java 5.x there is no trace
/// then.
fn group_of_sender(group: &str) -> String {
    let room = MAX_GROUP - GROUP_PREFIX.len() - GROUP_SUFFIX.len();
    // It has nothing but ASCII.
    let group = group.get(..room).unwrap_or(group);
    format!("{GROUP_PREFIX}{group}{GROUP_SUFFIX}")
}

/// What runs in the background.
struct Sender {
    client: Arc<Client>,
    topic: Arc<str>,
    lost: Lost,
    on_their_way: JoinSet<()>,
    /// Set when the producer closes.
    deadline: Option<Instant>,
}

impl Sender {
    async fn run(
        mut self,
        mut queue: mpsc::Receiver<Record>,
        mut closing: oneshot::Receiver<Instant>,
    ) {
        let mut records = Vec::with_capacity(TOGETHER);
        let mut flush_at = Instant::now() + INTERVAL;
        let deadline = loop {
            let (room, has_place) = (TOGETHER - records.len(), self.has_place());
            tokio::select! {
                taken = queue.recv_many(&mut records, room), if has_place => if taken == 0 {
                    break None;
                },
                () = tokio::time::sleep_until(flush_at.into()), if has_place => {}
                _ = self.on_their_way.join_next(), if !self.on_their_way.is_empty() => {}
                deadline = &mut closing => break deadline.ok(),
            }
            let now = Instant::now();
            if records.len() == TOGETHER || now >= flush_at {
                self.send(std::mem::take(&mut records));
                flush_at = now + INTERVAL;
            }
        };
        self.deadline = deadline;
        queue.close();
        while queue.recv_many(&mut records, QUEUE).await > 0 {}
        self.end(records).await;
    }

    /// Sends the rest, by the deadline, and ends.
    async fn end(mut self, records: Vec<Record>) {
        // Every message has its own deadline.
        let deadline = self.deadline.unwrap_or_else(|| Instant::now() + TIMEOUT);
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            while !self.has_place() {
                let place = tokio::time::timeout_at(deadline.into(), self.on_their_way.join_next());
                if place.await.is_err() {
                    // From now on it is closed, and the remaining records count as lost.
                    break;
                }
            }
            self.send(records.by_ref().take(TOGETHER).collect());
        }
        self.client.close(deadline).await;
        while self.on_their_way.join_next().await.is_some() {}
    }

    fn has_place(&self) -> bool {
        self.on_their_way.len() < AT_ONCE
    }

    /// Sends records; the records of a topic go together.
    fn send(&mut self, records: Vec<Record>) {
        for parcel in Parcel::of_all(records, LARGEST) {
            let (lost, records) = (self.lost.clone(), parcel.records);
            match self.enqueue(parcel.into_message(&self.topic)) {
                Ok(delivery) => drop(self.on_their_way.spawn(async move {
                    if let Err(error) = delivery.await {
                        not_sent(&lost, records, &error);
                    }
                })),
                Err(error) => not_sent(&lost, records, &error),
            }
        }
    }

    fn enqueue(&self, message: Message) -> Result<Delivery, SendError> {
        let left = self.deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(TIMEOUT, |left| left.min(TIMEOUT));
        let accepted =
            match self.client.ledger.accept(message.into(), Mode::Async, None, timeout)? {
                Admission::Accepted(accepted) => accepted,
                Admission::MustWait(unadmitted) => {
                    return Err(self.client.ledger.no_room(*unadmitted));
                }
            };
        self.client.deliver(accepted.clone());
        Ok(Delivery::new(accepted, self.client.clone(), SendSpan::none()))
    }
}

fn not_sent(lost: &Lost, records: usize, error: &SendError) {
    tracing::debug!(records, %error, "traces lost");
    lost(records);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_s_group_is_never_too_long() {
        assert_eq!(group_of_sender("orders"), "_INNER_TRACE_PRODUCER-orders-PRODUCE");
        let longest = group_of_sender(&"g".repeat(120));
        assert_eq!(longest.len(), 120);
        assert!(longest.starts_with("_INNER_TRACE_PRODUCER-ggg") && longest.ends_with("g-PRODUCE"));
        assert_eq!(crate::message::validate::group(&longest), Ok(()));
    }
}
