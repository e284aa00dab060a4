//! The shapes, as an application would write them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench_session::{Arguments, Latencies, Outcome, Shape, Tally, drive};
use bytes::Bytes;
use posthaste::{Message, Producer};

use crate::settings;

const KEYS: usize = 100;

/// A producer and what it is to send.
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
        let topics = match arguments.value("topics") {
            Some(count) => (0..count.parse()?).map(|n: usize| topic(arguments, n)).collect(),
            None => vec![Arc::from(arguments.topic.as_str())],
        };
        Ok(Self {
            producer: settings::producer(arguments).await?,
            latencies: Arc::new(Mutex::new(Latencies::new()?)),
            topics: topics.into(),
            body: Bytes::from_static(vec![b'x'; arguments.body].leak()),
            keys: (0..KEYS).map(|key| Arc::from(format!("key-{key}"))).collect(),
            shape: arguments.shape,
            in_flight: arguments.in_flight,
            batch: arguments.batch,
        })
    }

    /// Runs the shape for `time`, or until `messages` have been sent; ends with the last answer.
    pub(crate) async fn run(&self, time: Duration, messages: Option<u64>) -> Result<Tally> {
        match self.shape {
            Shape::Callers => self.callers(time, messages).await,
            Shape::Ordered => self.ordered(time, messages).await,
            Shape::Oneway => self.oneway(time, messages).await,
            Shape::Batch => self.batches(time, messages).await,
            Shape::Pipeline => self.pipeline(time).await,
            Shape::Burst => bail!("a burst has no length"),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let stats = self.producer.stats();
        Counts { refused: stats.busy, requests: stats.requests }
    }

    pub(crate) fn message(&self) -> Result<Message> {
        let topic = self.topics.first().context("no topic")?;
        Ok(Message::new(topic.clone(), self.body.clone()))
    }

    async fn callers(&self, time: Duration, messages: Option<u64>) -> Result<Tally> {
        let (producer, topics, body) =
            (self.producer.clone(), self.topics.clone(), self.body.clone());
        let send = move |caller: usize| {
            let (producer, body) = (producer.clone(), body.clone());
            let topic = topics.get(caller % topics.len()).cloned();
            async move {
                let Some(topic) = topic else { return Outcome::of(1, false) };
                Outcome::of(1, producer.send(Message::new(topic, body)).await.is_ok())
            }
        };
        drive(self.in_flight, time, messages, self.fresh()?, send).await
    }

    async fn ordered(&self, time: Duration, messages: Option<u64>) -> Result<Tally> {
        let (producer, message, keys) = (self.producer.clone(), self.message()?, self.keys.clone());
        let send = move |caller: usize| {
            let producer = producer.clone();
            let key = keys.get(caller % KEYS).cloned().unwrap_or_default();
            let message = message.clone().order_by(key);
            async move { Outcome::of(1, producer.send(message).await.is_ok()) }
        };
        drive(self.in_flight, time, messages, self.fresh()?, send).await
    }

    async fn oneway(&self, time: Duration, messages: Option<u64>) -> Result<Tally> {
        let (producer, message) = (self.producer.clone(), self.message()?);
        let send = move |_| {
            let (producer, message) = (producer.clone(), message.clone());
            async move { Outcome::of(1, producer.send_oneway(message).await.is_ok()) }
        };
        drive(self.in_flight, time, messages, self.fresh()?, send).await
    }

    async fn batches(&self, time: Duration, messages: Option<u64>) -> Result<Tally> {
        let (producer, message, size) = (self.producer.clone(), self.message()?, self.batch);
        let send = move |_| {
            let (producer, batch) = (producer.clone(), vec![message.clone(); size]);
            async move { Outcome::of(size as u64, producer.send_batch(batch).await.is_ok()) }
        };
        let calls = messages.map(|messages| messages / size as u64);
        drive(self.in_flight, time, calls, self.fresh()?, send).await
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

fn topic(arguments: &Arguments, number: usize) -> Arc<str> {
    Arc::from(format!("{}-{number}", arguments.topic))
}
