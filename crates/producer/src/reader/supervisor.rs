//! The task behind a reader: it keeps one puller per queue, and the route fresh.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::Pulled;
use super::puller::{NO_END, Puller, Range};
use super::queues::{self, Home, Homes};
use crate::MessageQueue;
use crate::admin::offset_at;
use crate::client::Client;

/// How often the route is looked up again (Java: `pollNameServerInterval`).
const REFRESH: Duration = Duration::from_secs(30);
/// The shortest time between two of these look-ups, when a broker makes trouble.
const TROUBLE_REFRESH: Duration = Duration::from_millis(800);
/// What is pulled and not taken stays within this, also for a topic of many queues.
const BYTES: usize = 16 * 1024 * 1024;
const MOST_BYTES_PER_PULL: usize = 256 * 1024;
const LEAST_BYTES_PER_PULL: usize = 16 * 1024;

/// What a reader is to read.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) topic: String,
    /// When the reader was opened, if it starts with what landed from then on.
    pub(super) from_end: Option<SystemTime>,
    pub(super) until_now: bool,
    pub(super) tags: Arc<HashSet<String>>,
    pub(super) patience: Duration,
}

pub(super) struct Supervisor {
    client: Arc<Client>,
    plan: Plan,
    subscription: Arc<str>,
    homes: watch::Sender<Homes>,
    trouble: Arc<Notify>,
    pulled: mpsc::Sender<Pulled>,
    known: HashSet<MessageQueue>,
    pullers: JoinSet<()>,
}

impl Supervisor {
    pub(super) fn new(
        client: &Arc<Client>,
        plan: Plan,
        homes: Homes,
        pulled: mpsc::Sender<Pulled>,
    ) -> Self {
        let mut tags: Vec<&str> = plan.tags.iter().map(String::as_str).collect();
        tags.sort_unstable();
        let subscription = if tags.is_empty() { "*".into() } else { tags.join("||").into() };
        Self {
            client: client.clone(),
            plan,
            subscription,
            homes: watch::Sender::new(homes),
            trouble: Arc::new(Notify::new()),
            pulled,
            known: HashSet::new(),
            pullers: JoinSet::new(),
        }
    }

    /// Runs until the reader is dropped, the producer ends, or everything is read that was to be.
    pub(super) async fn run(mut self, ranges: Vec<(MessageQueue, Range)>) {
        let count = ranges.len();
        for (queue, range) in ranges {
            self.start(queue, range, count);
        }
        let mut refreshed = Instant::now();
        let mut due = refreshed + REFRESH;
        loop {
            tokio::select! {
                () = self.client.ledger.stopped.cancelled() => return,
                ended = self.pullers.join_next(), if !self.pullers.is_empty() => {
                    if let Some(Err(error)) = ended {
                        tracing::error!(%error, topic = self.plan.topic, "reading has ended");
                        return;
                    }
                }
                () = self.trouble.notified() => due = due.min(refreshed + TROUBLE_REFRESH),
                () = tokio::time::sleep_until(due.into()) => {
                    self.refresh().await;
                    refreshed = Instant::now();
                    due = refreshed + REFRESH;
                }
            }
            if self.plan.until_now && self.pullers.is_empty() {
                // When the reader is gone, nothing waits for it.
                let _ = self.pulled.send(Pulled::End).await;
                return;
            }
        }
    }

    fn start(&mut self, queue: MessageQueue, range: Range, queues: usize) {
        self.known.insert(queue.clone());
        let max_bytes = BYTES / queues.max(1);
        let puller = Puller {
            queue,
            range,
            subscription: self.subscription.clone(),
            max_bytes: max_bytes.clamp(LEAST_BYTES_PER_PULL, MOST_BYTES_PER_PULL) as i32,
            patience: self.plan.patience,
            homes: self.homes.subscribe(),
            trouble: self.trouble.clone(),
            pulled: self.pulled.clone(),
        };
        self.pullers.spawn(puller.run());
    }

    /// Looks the route up again: brokers may have moved, and the topic may have gained queues.
    async fn refresh(&mut self) {
        let deadline = Instant::now() + self.client.ledger.config().lookup_timeout;
        let topic = self.client.ledger.config().on_wire(&self.plan.topic);
        let document = match self.client.directory.route(&topic, deadline).await {
            Ok(Some(document)) => document,
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, "route not refreshed"),
        };
        let queues = queues::readable(&self.plan.topic, &document);
        let homes = queues::homes(&self.client, &queues, &document, &self.homes.borrow());
        self.homes.send_if_modified(|known| {
            let changed = !Arc::ptr_eq(known, &homes);
            *known = homes;
            changed
        });
        if self.plan.until_now {
            return;
        }
        let count = queues.len();
        for queue in queues {
            if self.known.contains(&queue) {
                continue;
            }
            if let Some(offset) = self.start_of_new(&queue, deadline).await {
                tracing::debug!(%queue, offset, "the topic has gained a queue");
                self.start(queue, Range { offset, until: NO_END }, count);
            }
        }
    }

    /// Where reading of a queue starts that was not there when the reader was opened: with its
    /// oldest message, or, for a reader that starts at the end, its first since then. `None` when
    /// the broker cannot say now.
    async fn start_of_new(&self, queue: &MessageQueue, deadline: Instant) -> Option<i64> {
        let Some(opened_at) = self.plan.from_end else { return Some(0) };
        let Home { queue, connection } = self.homes.borrow().get(queue).cloned()?;
        let answer = connection.call(&offset_at(queue, opened_at), deadline).await;
        answer.ok().map(|answer| answer.offset)
    }
}
