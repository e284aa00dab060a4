//! The callers of a round: every verb of the producer, with futures that are dropped, callbacks that
//! panic and transactions that no caller ends.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use posthaste::{
    Attempt, Delivery, ErrorKind, Interceptor, Message, MessageQueue, Outcome, Producer,
    ReadMessage, Receipt, RequestError, SendError, Transaction, TransactionState,
};

use tokio::task::JoinSet;

use super::deed::NUMBER;
use super::fault::{Fault, dice};
use super::journal::{CallId, End, Journal, Place, Unit, Verb};
use super::plan::{Caller, TROUBLE};
use super::record::Number;
use super::trouble::topic_name;
use super::world::World;

/// What the callers of a round share.
pub(super) struct Stage {
    pub(super) world: Arc<World>,
    pub(super) journal: Journal,
    /// The producer is being closed.
    pub(super) closing: AtomicBool,
    /// Calls that no message belongs to.
    pub(super) waits: Mutex<Vec<Wait>>,
    /// The longest time that a send is given.
    pub(super) longest: Duration,
}

/// A call that ends by a time, however its messages end.
#[derive(Debug, Clone)]
pub(super) struct Wait {
    pub(super) what: &'static str,
    pub(super) begun: Duration,
    pub(super) most: Duration,
    pub(super) ended: Option<Duration>,
}

impl Stage {
    pub(super) fn waits(&self) -> MutexGuard<'_, Vec<Wait>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Awaits a call that has to end within a time.
    pub(super) async fn wait<T>(
        &self,
        what: &'static str,
        most: Duration,
        call: impl Future<Output = T>,
    ) -> T {
        let place = self.begin_wait(what, most);
        let output = call.await;
        self.end_wait(place);
        output
    }

    pub(super) fn begin_wait(&self, what: &'static str, most: Duration) -> usize {
        let mut waits = self.waits();
        waits.push(Wait { what, begun: self.world.now(), most, ended: None });
        waits.len() - 1
    }

    pub(super) fn end_wait(&self, place: usize) {
        let now = self.world.now();
        if let Some(wait) = self.waits().get_mut(place) {
            wait.ended = Some(now);
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }
}

/// Counts the attempts of each message that ended unknown.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Mutex<HashMap<Number, usize>>>);

impl Watch {
    pub(super) fn counts(&self) -> HashMap<Number, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Interceptor for Watch {
    fn attempt_failed(&self, message: &Message, _id: &str, attempt: &Attempt) {
        if attempt.outcome == Outcome::Unknown
            && let Some(number) = number_of(message)
        {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(number).or_default() += 1;
        }
    }
}

pub(super) fn number_of(message: &Message) -> Option<Number> {
    let mut properties = message.properties();
    properties.find(|(name, _)| *name == NUMBER)?.1.parse().ok()
}

/// What the transaction checker says of a message; nothing, where it panics.
pub(super) fn checker_says(number: Number) -> Option<TransactionState> {
    match number % 7 {
        0 => None,
        1 | 2 => Some(TransactionState::Rollback),
        3 => Some(TransactionState::Unknown),
        _ => Some(TransactionState::Commit),
    }
}

/// The transaction checker of a round.
pub(super) async fn check(world: Arc<World>, half: ReadMessage) -> TransactionState {
    let number = half.property(NUMBER).and_then(|text| text.parse().ok());
    checker_says(number.unwrap_or(3)).unwrap_or_else(|| {
        world.happens(Fault::PanickingChecker);
        intended()
    })
}

/// The same for the blocking facade, where none panics.
pub(super) fn check_blocking(half: ReadMessage) -> TransactionState {
    let number = half.property(NUMBER).and_then(|text| text.parse().ok());
    checker_says(number.unwrap_or(3)).unwrap_or(TransactionState::Unknown)
}

/// A panic that is part of the round: the hook that notes panics is passed by.
fn intended() -> ! {
    resume_unwind(Box::new("a panic of the campaign"))
}

/// One caller.
pub(super) struct Hand {
    pub(super) stage: Arc<Stage>,
    pub(super) caller: Caller,
    pub(super) dice: Rng,
    left: u32,
    given: MessageQueue,
}

impl Hand {
    pub(super) fn new(stage: Arc<Stage>, caller: Caller, brokers: usize, queues: i32) -> Self {
        let mut dice = dice(&[caller.seed, 4]);
        let broker = super::broker::name_of(dice.usize(..brokers.max(1)));
        let given = MessageQueue::new(topic_name(caller.topic), broker, dice.i32(0..queues.max(1)));
        let left = caller.messages;
        Self { stage, caller, dice, left, given }
    }

    /// Sends until it has sent what it should, or the producer is closed.
    pub(super) async fn run(mut self, producer: Producer) {
        let mut after_close = 3;
        while self.left > 0 && after_close > 0 && self.stage.world.now() < TROUBLE {
            if self.stage.is_closing() {
                after_close -= 1;
            }
            self.step(&producer).await;
            let pause = match self.dice.u32(..10) {
                0..5 if !self.is_steady() => 0,
                ..9 => self.dice.u64(1..20),
                _ => self.dice.u64(20..120),
            };
            if pause > 0 {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            if self.dice.u32(..200) == 0 && !self.stage.is_closing() {
                // The flushes of other callers take their turns first.
                let most = 2 * self.stage.longest;
                self.stage.wait("flush", most, producer.flush()).await;
            }
        }
    }

    async fn step(&mut self, producer: &Producer) {
        match self.caller.verb {
            Verb::Send | Verb::Delayed | Verb::GivenQueue => self.sends(producer).await,
            Verb::Oneway => self.oneway(producer).await,
            Verb::Batch => self.batch(producer).await,
            Verb::Begin => self.transaction(producer).await,
            Verb::Request => self.request(producer).await,
            Verb::TryEnqueue => self.try_enqueue(producer),
            _ => self.enqueue(producer).await,
        }
    }

    /// Whether it sends a few at a time for as long as it may: what comes after a failure shows whether
    /// that was kept in order.
    fn is_steady(&self) -> bool {
        matches!(self.caller.verb, Verb::Keyed | Verb::OrderedQueue)
    }

    /// How many messages follow one another at once.
    pub(super) fn burst(&mut self) -> u32 {
        let ordered = self.is_steady();
        let most = match self.dice.u32(..16) {
            0 => 400,
            1 if !ordered => 400,
            2..7 if !ordered => 20,
            _ => 2,
        };
        self.dice.u32(1..=most).min(self.left)
    }

    /// A call with one message.
    pub(super) fn one(&mut self, verb: Verb) -> (CallId, Duration, Message) {
        let (timeout, numbers) = self.take(1);
        let message = self.message(numbers.start);
        (self.begin(verb, timeout, numbers), timeout, message)
    }

    /// A call with this many messages.
    pub(super) fn call(&mut self, verb: Verb, count: u32) -> (CallId, Duration, Vec<Message>) {
        let (timeout, numbers) = self.take(count);
        let messages = numbers.clone().map(|number| self.message(number)).collect();
        (self.begin(verb, timeout, numbers), timeout, messages)
    }

    fn begin(&self, verb: Verb, timeout: Duration, numbers: Range<Number>) -> CallId {
        self.stage.journal.begin(verb, numbers, &topic_name(self.caller.topic), timeout)
    }

    /// The time, and numbers for this many messages.
    fn take(&mut self, count: u32) -> (Duration, Range<Number>) {
        self.left = self.left.saturating_sub(count);
        let timeout = self.caller.timeout * self.dice.u32(1..=4);
        (timeout, self.stage.journal.numbers(count))
    }

    fn message(&mut self, number: Number) -> Message {
        let length = match self.dice.u32(..40) {
            0 => self.dice.usize(4_000..20_000),
            _ => self.dice.usize(..200),
        };
        let body = format!("{number} {}", "x".repeat(length));
        Message::new(topic_name(self.caller.topic), body).property(NUMBER, number.to_string())
    }

    /// When the next future is dropped, if it is.
    fn drops(&mut self) -> Option<Duration> {
        let drops = self.caller.drops && self.dice.u32(..6) == 0;
        drops.then(|| Duration::from_millis(self.dice.u64(..40)))
    }

    /// Awaits a future, or drops it half way.
    async fn perhaps<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let drops = self.drops();
        perhaps(&self.stage.world, drops, future).await
    }

    /// Notes how a call ended.
    pub(super) fn end(&self, call: CallId, end: Option<impl Into<End>>) {
        let end = end.map_or(End::Dropped, Into::into);
        if let End::Failed { kind: ErrorKind::BufferFull, .. } = end {
            self.stage.world.happens(Fault::NoRoom);
        }
        self.stage.journal.end(call, end);
    }

    // ---- the verbs ----

    /// Several at once, each in a separate task.
    async fn sends(&mut self, producer: &Producer) {
        let mut sends = JoinSet::new();
        for _ in 0..self.burst() {
            sends.spawn(self.send(producer));
        }
        while sends.join_next().await.is_some() {}
    }

    fn send(&mut self, producer: &Producer) -> impl Future<Output = ()> + use<> {
        let verb = self.caller.verb;
        let (timeout, numbers) = self.take(1);
        let message = self.message(numbers.start);
        let given = (verb == Verb::GivenQueue).then(|| self.given.clone());
        let message = match verb {
            Verb::Delayed if self.dice.bool() => message.delay_level(self.dice.u8(1..=18)),
            Verb::Delayed => message.deliver_after(Duration::from_secs(5)),
            _ => message,
        };
        let message = match &given {
            Some(queue) => message.queue(queue.clone()),
            None => message,
        };
        let (stage, producer) = (self.stage.clone(), producer.with_timeout(timeout));
        let (topic, drops) = (topic_name(self.caller.topic), self.drops());
        async move {
            // Its time begins with the first poll, which is now.
            let call = stage.journal.begin(verb, numbers, &topic, timeout);
            let given = given.map(|queue| (queue.broker().to_owned(), queue.id()));
            stage.journal.note(call, |call| call.given = given);
            let end = perhaps(&stage.world, drops, producer.send(message)).await;
            stage.journal.end(call, end.map_or(End::Dropped, End::from));
        }
    }

    fn note_given(&self, call: CallId) {
        let given = (self.given.broker().to_owned(), self.given.id());
        self.stage.journal.note(call, |call| call.given = Some(given));
    }

    async fn oneway(&mut self, producer: &Producer) {
        for _ in 0..self.burst() {
            let (call, timeout, message) = self.one(Verb::Oneway);
            let producer = producer.with_timeout(timeout);
            let end = self.perhaps(producer.send_oneway(message)).await;
            self.end(call, end.map(written));
        }
    }

    async fn batch(&mut self, producer: &Producer) {
        let count = self.dice.u32(2..=40).min(self.left.max(2));
        let (call, timeout, messages) = self.call(Verb::Batch, count);
        let producer = producer.with_timeout(timeout);
        let end = self.perhaps(producer.send_batch(messages)).await;
        self.end(call, end.map(all_stored));
    }

    async fn enqueue(&mut self, producer: &Producer) {
        let verb = self.caller.verb;
        for _ in 0..self.burst() {
            let (call, timeout, message) = self.one(verb);
            let message = self.ordered(call, message);
            let producer = producer.with_timeout(timeout);
            match self.perhaps(producer.enqueue(message)).await {
                None => self.end(call, None::<End>),
                Some(Err(error)) => self.end(call, Some(error)),
                Some(Ok(delivery)) => {
                    self.stage.journal.accepted(call);
                    self.follow(call, delivery);
                }
            }
        }
    }

    /// Gives a message what its verb says of its order.
    fn ordered(&mut self, call: CallId, message: Message) -> Message {
        let seed = self.caller.seed;
        let (unit, message) = match self.caller.verb {
            Verb::Keyed => {
                let key = format!("key-{seed:x}-{}", self.dice.u32(..2));
                (Unit::Key(key.clone()), message.order_by(key))
            }
            Verb::OrderedQueue => {
                self.note_given(call);
                (Unit::Queue(format!("{seed:x}")), message.queue(self.given.clone()).ordered())
            }
            Verb::SelectedQueue => {
                let panics = self.dice.u32(..50) == 0;
                let (pick, world) = (seed as usize, self.stage.world.clone());
                let select = move |queues: &[MessageQueue]| {
                    if panics {
                        world.happens(Fault::PanickingSelector);
                        intended();
                    }
                    pick % queues.len().max(1)
                };
                self.stage.journal.note(call, |call| call.spoiled = panics);
                (Unit::Selected(seed), message.select_queue(select))
            }
            _ => return message,
        };
        self.stage.journal.note(call, |call| call.unit = Some(unit));
        message
    }

    fn try_enqueue(&mut self, producer: &Producer) {
        for _ in 0..self.burst() {
            let (call, timeout, message) = self.one(Verb::TryEnqueue);
            match producer.with_timeout(timeout).try_enqueue(message) {
                Err(error) => self.end(call, Some(error)),
                Ok(delivery) => {
                    self.stage.journal.accepted(call);
                    self.follow(call, delivery);
                }
            }
        }
    }

    /// Awaits a delivery elsewhere, hands it a callback, or drops it.
    fn follow(&mut self, call: CallId, delivery: Delivery) {
        let (journal, world) = (self.stage.journal.clone(), self.stage.world.clone());
        if self.caller.drops && self.dice.u32(..10) == 0 {
            world.happens(Fault::DroppedFuture);
            return journal.end(call, End::Dropped);
        }
        if self.caller.verb == Verb::Callback {
            let panics = self.dice.u32(..30) == 0;
            delivery.on_complete(move |end| {
                journal.end(call, end);
                if panics {
                    world.happens(Fault::PanickingCallback);
                    intended();
                }
            });
        } else {
            tokio::spawn(async move { journal.end(call, delivery.await) });
        }
    }

    async fn transaction(&mut self, producer: &Producer) {
        let (call, timeout, message) = self.one(Verb::Begin);
        let producer = producer.with_timeout(timeout);
        let begun = match self.perhaps(producer.begin(message)).await {
            None => return self.end(call, None::<End>),
            Some(Err(error)) => return self.end(call, Some(error)),
            Some(Ok(begun)) => begun,
        };
        self.end(call, Some(begun_at(&begun)));
        let work = self.dice.choice([0, 0, 5, 200]).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(work)).await;
        let commit = match self.dice.u32(..5) {
            0 => return drop(begun),
            1 | 2 => false,
            _ => true,
        };
        let ending =
            async move { if commit { begun.commit().await } else { begun.rollback().await } };
        let stage = self.stage.clone();
        let ended = stage.wait("a transaction's end", timeout, ending).await;
        let failed = ended.err().map(|error| error.outcome());
        self.stage.journal.decided(call, commit, failed);
    }

    async fn request(&mut self, producer: &Producer) {
        let (call, timeout, message) = self.one(Verb::Request);
        let producer = producer.with_timeout(timeout);
        let end = self.perhaps(producer.request(message)).await;
        self.end(call, end.map(replied));
    }
}

/// Awaits a future, or drops it after a time.
async fn perhaps<T>(
    world: &World,
    drops: Option<Duration>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let Some(after) = drops else { return Some(future.await) };
    let output = tokio::time::timeout(after, future).await.ok();
    if output.is_none() {
        world.happens(Fault::DroppedFuture);
    }
    output
}

pub(super) fn written(end: Result<(), SendError>) -> End {
    end.map_or_else(End::from, |()| End::Written)
}

pub(super) fn all_stored(end: Result<Vec<Receipt>, SendError>) -> End {
    end.map_or_else(End::from, |receipts| End::Acked(receipts.iter().map(Place::from).collect()))
}

pub(super) fn begun_at(begun: &Transaction) -> End {
    End::Acked(vec![Place::from(begun.receipt())])
}

pub(super) fn replied(end: Result<ReadMessage, RequestError>) -> End {
    match end {
        Ok(reply) => {
            End::Replied(std::str::from_utf8(reply.body()).ok().and_then(|text| text.parse().ok()))
        }
        Err(RequestError::NoReply { receipt, .. }) => End::Unreplied(Place::from(&*receipt)),
        Err(RequestError::Send(error)) => End::from(error),
        // A kind of error that is not known here: nothing is claimed.
        Err(_) => End::Dropped,
    }
}
