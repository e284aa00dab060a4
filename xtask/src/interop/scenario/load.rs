//! A steady load of sends whose ends are all remembered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use posthaste::{Delivery, Message, Outcome, Producer, Receipt, SendError};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::interop::envelope::Received;

/// Keeps the load to what can be read back in a few seconds.
const PAUSE: Duration = Duration::from_millis(4);
/// How many messages an ordered sender has on their way.
const AHEAD: usize = 10;

/// A load that is running.
pub(crate) struct Load {
    stopping: Arc<AtomicBool>,
    senders: Vec<JoinHandle<Vec<Ended>>>,
}

/// How one send ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) body: String,
    pub(crate) took: Duration,
    pub(crate) at: Instant,
    pub(crate) result: Result<Receipt, SendError>,
}

impl Load {
    /// Starts so many tasks that send to any queue: half of them await the answer, half enqueue.
    pub(crate) fn unordered(
        runtime: &Handle,
        producer: &Producer,
        topic: &str,
        tasks: usize,
    ) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let senders = (0..tasks)
            .map(|task| {
                let sender = Sender::new(producer, topic, format!("u{task}"), &stopping);
                runtime.spawn(async move {
                    if task % 2 == 0 { sender.send().await } else { sender.enqueue().await }
                })
            })
            .collect();
        Self { stopping, senders }
    }

    /// Adds tasks that send in order, each by a key of its own, several messages ahead.
    pub(crate) fn with_ordered(
        mut self,
        runtime: &Handle,
        producer: &Producer,
        topic: &str,
        keys: usize,
    ) -> Self {
        for key in 0..keys {
            let sender = Sender::new(producer, topic, format!("o{key}"), &self.stopping);
            self.senders.push(runtime.spawn(sender.send_ordered()));
        }
        self
    }

    /// Stops sending and gives the end of every send, each task's in the order of sending.
    pub(crate) fn finish(self, runtime: &Handle) -> Result<Vec<Ended>> {
        self.stopping.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for sender in self.senders {
            all.extend(runtime.block_on(sender).context("a sender panicked")?);
        }
        Ok(all)
    }
}

struct Sender {
    producer: Producer,
    topic: String,
    name: String,
    stopping: Arc<AtomicBool>,
    sent: usize,
}

impl Sender {
    fn new(producer: &Producer, topic: &str, name: String, stopping: &Arc<AtomicBool>) -> Self {
        let (producer, stopping) = (producer.clone(), Arc::clone(stopping));
        Self { producer, topic: topic.to_owned(), name, stopping, sent: 0 }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn next_body(&mut self) -> String {
        self.sent += 1;
        format!("{}:{}", self.name, self.sent)
    }

    async fn send(mut self) -> Vec<Ended> {
        let mut all = Vec::new();
        while !self.is_stopping() {
            let (body, begun) = (self.next_body(), Instant::now());
            let result = self.producer.send(Message::new(self.topic.as_str(), body.clone())).await;
            all.push(Ended::now(body, begun, result));
            tokio::time::sleep(PAUSE).await;
        }
        all
    }

    async fn enqueue(mut self) -> Vec<Ended> {
        let mut all = Vec::new();
        while !self.is_stopping() {
            let (body, begun) = (self.next_body(), Instant::now());
            let message = Message::new(self.topic.as_str(), body.clone());
            let result = match self.producer.enqueue(message).await {
                Ok(delivery) => delivery.await,
                Err(error) => Err(error),
            };
            all.push(Ended::now(body, begun, result));
            tokio::time::sleep(PAUSE).await;
        }
        all
    }

    async fn send_ordered(mut self) -> Vec<Ended> {
        let mut all = Vec::new();
        let mut on_their_way: VecDeque<(String, Instant, Delivery)> = VecDeque::new();
        while !self.is_stopping() {
            let (body, begun) = (self.next_body(), Instant::now());
            let message =
                Message::new(self.topic.as_str(), body.clone()).order_by(self.name.as_str());
            match self.producer.enqueue(message).await {
                Ok(delivery) => on_their_way.push_back((body, begun, delivery)),
                Err(error) => all.push(Ended::now(body, begun, Err(error))),
            }
            if on_their_way.len() > AHEAD {
                await_oldest(&mut on_their_way, &mut all).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        while !on_their_way.is_empty() {
            await_oldest(&mut on_their_way, &mut all).await;
        }
        all
    }
}

async fn await_oldest(
    on_their_way: &mut VecDeque<(String, Instant, Delivery)>,
    all: &mut Vec<Ended>,
) {
    if let Some((body, begun, delivery)) = on_their_way.pop_front() {
        let result = delivery.await;
        all.push(Ended::now(body, begun, result));
    }
}

impl Ended {
    fn now(body: String, begun: Instant, result: Result<Receipt, SendError>) -> Self {
        Self { body, took: begun.elapsed(), at: Instant::now(), result }
    }

    pub(crate) fn is_acked(&self) -> bool {
        self.result.is_ok()
    }

    fn outcome(&self) -> &'static str {
        match &self.result {
            Ok(_) => "acked",
            Err(error) if error.outcome() == Outcome::NotStored => "not_stored",
            Err(_) => "unknown",
        }
    }
}

/// What was promised about a load and what became of it, in numbers.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    pub(crate) acked: usize,
    pub(crate) not_stored: usize,
    pub(crate) unknown: usize,
    pub(crate) unknown_stored: usize,
    /// Copies beyond the first.
    pub(crate) copies: usize,
}

/// Holds every send's end against what the brokers stored: acked messages are there, not_stored ones
/// are not, and nothing is there that was not sent.
pub(crate) fn check(all: &[Ended], stored: &[Received]) -> Result<Balance> {
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for message in stored {
        *copies.entry(message.text()).or_default() += 1;
    }
    let mut balance = Balance::default();
    for ended in all {
        let found = copies.remove(&ended.body).unwrap_or(0);
        balance.copies += found.saturating_sub(1);
        match ended.outcome() {
            "acked" => {
                balance.acked += 1;
                ensure!(found > 0, "LOST: {} was acked and is not stored: {ended:?}", ended.body);
            }
            "not_stored" => {
                balance.not_stored += 1;
                ensure!(found == 0, "{} is stored {found} times: {:?}", ended.body, ended.result);
            }
            _ => {
                balance.unknown += 1;
                balance.unknown_stored += usize::from(found > 0);
            }
        }
    }
    ensure!(copies.is_empty(), "stored, but never sent: {:?}", copies.iter().next());
    Ok(balance)
}

/// Checks that the first copies of each key's messages are stored in the order of sending.
pub(crate) fn check_order(stored: &[Received]) -> Result<()> {
    let mut by_queue: Vec<&Received> = stored.iter().collect();
    by_queue.sort_by_key(|message| (message.broker.clone(), message.queue, message.offset));
    let mut seen = BTreeMap::new();
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for message in by_queue {
        let text = message.text();
        let Some((key, number)) = text.split_once(':') else { continue };
        let is_first_copy = seen.insert(text.clone(), ()).is_none();
        if !key.starts_with('o') || !is_first_copy {
            continue;
        }
        let number: usize = number.parse().with_context(|| text.clone())?;
        let before = last.insert(key.to_owned(), number);
        ensure!(before < Some(number), "{key}: {number} is stored behind {before:?}");
    }
    Ok(())
}
