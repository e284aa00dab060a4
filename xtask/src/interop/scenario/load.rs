//! A steady load of sends whose ends are all remembered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// What a broker may take until it stores messages, on a machine that is busy.
const STORES_WITHIN: Duration = Duration::from_secs(90);

/// A load that is running.
pub(crate) struct Load {
    stopping: Arc<AtomicBool>,
    acks: Acks,
    senders: Vec<JoinHandle<Vec<Ended>>>,
}

/// When each broker last acknowledged a send.
#[derive(Clone, Default)]
struct Acks(Arc<Mutex<BTreeMap<String, Instant>>>);

impl Acks {
    fn note(&self, ended: &Ended) {
        if let End::Acked { broker } = &ended.end {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(broker.clone(), ended.at);
        }
    }

    /// Whether this broker, or any, has acknowledged a send since then.
    fn since(&self, then: Instant, broker: Option<&str>) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|(by, at)| *at > then && broker.is_none_or(|broker| broker == by))
    }
}

/// How one send ended, and when.
pub(crate) struct Ended {
    pub(crate) body: String,
    pub(crate) took: Duration,
    pub(crate) at: Instant,
    pub(crate) end: End,
}

/// What a send's end says.
pub(crate) enum End {
    Acked { broker: String },
    NotStored(String),
    Unknown(String),
}

impl Load {
    /// Starts this many tasks that send to any queue: half of them await the answer, half enqueue.
    pub(crate) fn unordered(
        runtime: &Handle,
        producer: &Producer,
        topic: &str,
        tasks: usize,
    ) -> Self {
        let (stopping, acks) = (Arc::new(AtomicBool::new(false)), Acks::default());
        let senders = (0..tasks)
            .map(|task| {
                let sender = Sender::new(producer, topic, format!("u{task}"), &stopping, &acks);
                runtime.spawn(async move {
                    if task % 2 == 0 { sender.send().await } else { sender.enqueue().await }
                })
            })
            .collect();
        Self { stopping, acks, senders }
    }

    /// Waits until this broker, or any, has acknowledged a send from now on.
    pub(crate) fn await_ack(&self, broker: Option<&str>) -> Result<()> {
        let since = Instant::now();
        while !self.acks.since(since, broker) {
            ensure!(since.elapsed() < STORES_WITHIN, "{} stores nothing", broker.unwrap_or("it"));
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Adds tasks that send in order, each by another key, several messages ahead.
    pub(crate) fn with_ordered(
        mut self,
        runtime: &Handle,
        producer: &Producer,
        topic: &str,
        keys: usize,
    ) -> Self {
        for key in 0..keys {
            let name = format!("o{key}");
            let sender = Sender::new(producer, topic, name, &self.stopping, &self.acks);
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
    acks: Acks,
    sent: usize,
}

impl Sender {
    fn new(
        producer: &Producer,
        topic: &str,
        name: String,
        stopping: &Arc<AtomicBool>,
        acks: &Acks,
    ) -> Self {
        let (producer, stopping) = (producer.clone(), Arc::clone(stopping));
        Self { producer, topic: topic.to_owned(), name, stopping, acks: acks.clone(), sent: 0 }
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
            all.push(Ended::now(body, begun, result, &self.acks));
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
            all.push(Ended::now(body, begun, result, &self.acks));
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
                Err(error) => all.push(Ended::now(body, begun, Err(error), &self.acks)),
            }
            if on_their_way.len() > AHEAD {
                await_oldest(&mut on_their_way, &mut all, &self.acks).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        while !on_their_way.is_empty() {
            await_oldest(&mut on_their_way, &mut all, &self.acks).await;
        }
        all
    }
}

async fn await_oldest(
    on_their_way: &mut VecDeque<(String, Instant, Delivery)>,
    all: &mut Vec<Ended>,
    acks: &Acks,
) {
    if let Some((body, begun, delivery)) = on_their_way.pop_front() {
        let result = delivery.await;
        all.push(Ended::now(body, begun, result, acks));
    }
}

impl Ended {
    fn now(body: String, begun: Instant, result: Result<Receipt, SendError>, acks: &Acks) -> Self {
        let end = match result {
            Ok(receipt) => End::Acked { broker: receipt.queue().broker().to_owned() },
            Err(error) => match error.outcome() {
                Outcome::NotStored => End::NotStored(error.to_string()),
                Outcome::Unknown => End::Unknown(error.to_string()),
            },
        };
        let ended = Self { body, took: begun.elapsed(), at: Instant::now(), end };
        acks.note(&ended);
        ended
    }

    pub(crate) fn is_acked(&self) -> bool {
        matches!(self.end, End::Acked { .. })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {:?}: ", self.body, self.took)?;
        match &self.end {
            End::Acked { broker } => write!(f, "acked by {broker}"),
            End::NotStored(error) | End::Unknown(error) => f.write_str(error),
        }
    }
}

/// The ends of a load's sends, in numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    acked: usize,
    not_stored: usize,
    unknown: usize,
    unknown_stored: usize,
    /// Copies beyond the first.
    duplicates: usize,
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acked, not_stored, unknown, unknown_stored, duplicates } = self;
        write!(f, "{acked} acked, {not_stored} not_stored, {unknown} unknown")?;
        write!(f, " ({unknown_stored} of them stored), {duplicates} duplicates")
    }
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
        balance.duplicates += found.saturating_sub(1);
        match &ended.end {
            End::Acked { .. } => {
                balance.acked += 1;
                ensure!(found > 0, "LOST: acked and not stored: {ended}");
            }
            End::NotStored(_) => {
                balance.not_stored += 1;
                ensure!(found == 0, "stored {found} times nevertheless: {ended}");
            }
            End::Unknown(_) => {
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
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for message in by_queue {
        let text = message.text();
        let Some((key, number)) = text.split_once(':') else { continue };
        let is_first_copy = seen.insert(text.clone());
        if !key.starts_with('o') || !is_first_copy {
            continue;
        }
        let number: usize = number.parse().with_context(|| text.clone())?;
        let before = last.insert(key.to_owned(), number);
        ensure!(before < Some(number), "{key}: {number} is stored behind {before:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(body: &str, end: End) -> Ended {
        Ended { body: body.to_owned(), took: Duration::ZERO, at: Instant::now(), end }
    }

    fn acked(body: &str) -> Ended {
        ended(body, End::Acked { broker: "a".to_owned() })
    }

    fn stored(bodies: &[&str]) -> Vec<Received> {
        let bodies = bodies.iter().enumerate();
        bodies
            .map(|(offset, body)| Received {
                topic: "t".to_owned(),
                broker: None,
                queue: 0,
                offset: offset as i64,
                msg_id: String::new(),
                tags: None,
                keys: None,
                flag: 0,
                reconsume_times: 0,
                properties: BTreeMap::new(),
                body: body.as_bytes().to_vec(),
            })
            .collect()
    }

    #[test]
    fn a_lost_message_is_found() {
        let all = [acked("u0:1"), acked("u0:2")];
        assert!(check(&all, &stored(&["u0:1", "u0:2"])).is_ok());
        assert!(check(&all, &stored(&["u0:1"])).is_err());
    }

    #[test]
    fn a_message_that_is_stored_against_its_promise_is_found() {
        let all = [ended("u0:1", End::NotStored(String::new()))];
        assert!(check(&all, &stored(&[])).is_ok());
        assert!(check(&all, &stored(&["u0:1"])).is_err());
    }

    #[test]
    fn a_message_that_nobody_sent_is_found() {
        assert!(check(&[], &stored(&["u0:1"])).is_err());
    }

    #[test]
    fn unknown_ones_may_be_stored_or_not_and_copies_are_counted() {
        let unknown = |body| ended(body, End::Unknown(String::new()));
        let all = [acked("u0:1"), unknown("u0:2"), unknown("u0:3")];
        let balance = check(&all, &stored(&["u0:1", "u0:2", "u0:1"])).unwrap();
        let expected =
            Balance { acked: 1, not_stored: 0, unknown: 2, unknown_stored: 1, duplicates: 1 };
        assert_eq!(balance, expected);
    }

    #[test]
    fn order_counts_for_ordered_senders_and_first_copies() {
        assert!(check_order(&stored(&["o0:1", "o1:5", "o0:2", "o0:1", "u0:9", "u0:3"])).is_ok());
        assert!(check_order(&stored(&["o0:2", "o0:1"])).is_err());
    }
}
