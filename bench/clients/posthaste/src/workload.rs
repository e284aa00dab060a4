//! The shapes, as an application would write them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench_session::{Arguments, Caller, Latencies, Outcome, Shape, Tally, drive};
use bytes::Bytes;
use posthaste::{Message, Producer};

use crate::settings;

const KEYS: usize = 100;

/// A producer and what it is to send. Each caller has a copy.
#[derive(Clone)]
pub(crate) struct Workload {
    pub(crate) producer: Producer,
    /// Shared with whoever watches.
    pub(crate) latencies: Arc<Mutex<Latencies>>,
    topics: Arc<[Arc<str>]>,
    body: Bytes,
    keys: Arc<[Arc<str>]>,
    shape: Shape,
    in_flight: usize,
    batch: usize,
}

/// What the producer has counted so far.
pub(crate) struct Counts {
    pub(crate) refused: u64,
    pub(crate) requests: u64,
}

impl Workload {
    pub(crate) async fn start(arguments: &Arguments) -> Result<Self> {
        Ok(Self {
            producer: settings::producer(arguments).await?,
            latencies: Arc::new(Mutex::new(Latencies::new()?)),
            topics: arguments.topics()?.into(),
            body: Bytes::from_static(vec![b'x'; arguments.body].leak()),
            keys: (0..KEYS).map(|key| Arc::from(format!("key-{key}"))).collect(),
            shape: arguments.shape,
            in_flight: arguments.in_flight,
            batch: arguments.batch,
        })
    }

    /// Runs the shape for `time`, or until `messages` have been sent; ends with the last answer.
    pub(crate) async fn run(&self, time: Duration, messages: Option<u64>) -> Result<Tally> {
        let calls = match self.shape {
            Shape::Callers | Shape::Ordered | Shape::Oneway => messages,
            Shape::Batch => messages.map(|messages| messages / self.batch as u64),
            Shape::Pipeline => return self.pipeline(time).await,
            Shape::Burst => bail!("a burst has no length"),
        };
        drive(self, self.in_flight, time, calls, self.fresh()?).await
    }

    pub(crate) fn counts(&self) -> Counts {
        let stats = self.producer.stats();
        Counts { refused: stats.busy, requests: stats.requests }
    }

    pub(crate) fn message(&self) -> Result<Message> {
        self.message_of(0).context("no topic")
    }

    fn message_of(&self, caller: usize) -> Option<Message> {
        let topic = self.topics.get(caller % self.topics.len().max(1))?;
        Some(Message::new(topic.clone(), self.body.clone()))
    }

    /// One caller that takes the oldest answer whenever as many messages are on their way as may be.
    async fn pipeline(&self, time: Duration) -> Result<Tally> {
        let message = self.message()?;
        let end = Instant::now() + time;
        let mut tally = Tally { messages: 0, failed: 0, latencies: Latencies::new()? };
        let mut on_their_way = VecDeque::with_capacity(self.in_flight);
        loop {
            let began = Instant::now();
            let over = began >= end;
            if over || on_their_way.len() >= self.in_flight {
                let Some((began, delivery)) = on_their_way.pop_front() else { return Ok(tally) };
                let delivery: posthaste::Delivery = delivery;
                match delivery.await {
                    Ok(_) => tally.messages += 1,
                    Err(_) => tally.failed += 1,
                }
                let began: Instant = began;
                tally.latencies.record(began.elapsed());
            }
            if !over {
                on_their_way.push_back((began, self.producer.enqueue(message.clone()).await?));
            }
        }
    }

    /// The shared latencies, emptied.
    fn fresh(&self) -> Result<Arc<Mutex<Latencies>>> {
        let mut latencies =
            self.latencies.lock().map_err(|_| anyhow::anyhow!("a caller panicked"))?;
        latencies.clear();
        Ok(self.latencies.clone())
    }
}

impl Caller for Workload {
    async fn call(&self, caller: usize) -> Outcome {
        let Some(message) = self.message_of(caller) else { return Outcome::of(1, false) };
        let producer = &self.producer;
        match self.shape {
            Shape::Batch => {
                let batch = vec![message; self.batch];
                Outcome::of(self.batch as u64, producer.send_batch(batch).await.is_ok())
            }
            Shape::Oneway => Outcome::of(1, producer.send_oneway(message).await.is_ok()),
            Shape::Ordered => {
                let key = self.keys.get(caller % KEYS).cloned().unwrap_or_default();
                Outcome::of(1, producer.send(message.order_by(key)).await.is_ok())
            }
            Shape::Callers | Shape::Pipeline | Shape::Burst => {
                Outcome::of(1, producer.send(message).await.is_ok())
            }
        }
    }
}
