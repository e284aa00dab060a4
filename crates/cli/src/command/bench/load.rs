//! The load of a run: messages alike, and the tasks that send them one after another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use posthaste::{Message, Producer, Receipt, SendError};

use super::measure::Measure;
use super::schedule::Schedule;
use super::settings::Settings;

/// What every message of a run looks like.
pub(super) struct Pattern {
    topic: Arc<str>,
    body: Bytes,
    tag: Option<String>,
    /// In turn; none when order does not matter.
    order_keys: Vec<Arc<str>>,
}

impl Pattern {
    pub(super) fn new(settings: &Settings) -> Self {
        // Random, so that nothing on the way can make it smaller; letters, so that `tail` can show
        // it; the same in every run.
        let mut random = fastrand::Rng::with_seed(1);
        let body: Vec<u8> = (0..settings.size).map(|_| random.alphanumeric() as u8).collect();
        let keys = settings.order_keys.unwrap_or(0);
        Self {
            topic: settings.topic.as_str().into(),
            body: body.into(),
            tag: settings.tag.clone(),
            order_keys: (0..keys).map(|key| format!("key-{key}").into()).collect(),
        }
    }

    /// The message with this number.
    pub(super) fn message(&self, number: u64) -> Message {
        let mut message = Message::new(Arc::clone(&self.topic), self.body.clone());
        if let Some(tag) = &self.tag {
            message = message.tag(tag.as_str());
        }
        let key = number.checked_rem(self.order_keys.len() as u64);
        match key.and_then(|key| self.order_keys.get(key as usize)) {
            Some(key) => message.order_by(Arc::clone(key)),
            None => message,
        }
    }
}

/// A sender: when its turn comes, it sends one message and awaits the answer.
pub(super) struct Sender {
    pub(super) producer: Producer,
    pub(super) oneway: bool,
    pub(super) pattern: Arc<Pattern>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) gauge: Gauge,
}

impl Sender {
    /// Sends until the schedule has no more turns.
    pub(super) async fn run(self) {
        while let Some(turn) = self.schedule.next().await {
            let ending = self.send(self.pattern.message(turn.number)).await;
            let took = turn.due.elapsed();
            self.gauge.lock().count(took, ending);
        }
    }

    async fn send(&self, message: Message) -> Result<Option<Receipt>, SendError> {
        match self.oneway {
            true => self.producer.send_oneway(message).await.map(|()| None),
            false => self.producer.send(message).await.map(Some),
        }
    }
}

/// Where the senders of one producer count, and the run reads.
#[derive(Clone)]
pub(super) struct Gauge(Arc<Mutex<Measure>>);

impl Gauge {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Measure::new())))
    }

    fn lock(&self) -> MutexGuard<'_, Measure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what was counted since the last time into `measure`.
    pub(super) fn empty_into(&self, measure: &mut Measure) {
        measure.take(&mut self.lock());
    }
}
