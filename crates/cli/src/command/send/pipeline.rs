//! The loop of `send`: takes messages from the input while there is room, and tells how each ended
//! in the order of the input.

mod slots;
mod step;
#[cfg(test)]
mod tests;

use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use posthaste::Message;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use self::slots::{Slots, Told};
use self::step::{Next, Situation, Step};
use super::in_flight_limit::InFlightLimit;
use super::listener::Listener;
use super::pace::Pace;
use super::sender::Sender;
use crate::input::{Input, Item};
use crate::interrupt::Interrupt;

/// Messages that ended, but are reported after an earlier one that did not: this many times as many
/// as may be in flight. A single slow answer does not hold up the others, and memory stays bounded.
const AHEAD: usize = 4;
/// Items that are taken one after another before the loop looks up. Of a fast input to a fast broker
/// there is always one more.
const IN_A_ROW: usize = 256;

/// What the flags say of the run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) in_flight: usize,
    pub(crate) stop_on_error: bool,
    /// Messages to send at most.
    pub(crate) count: Option<u64>,
    pub(crate) rate: Option<f64>,
    /// Deadline of each message; and how long messages in flight may take to end after an interrupt.
    pub(crate) timeout: Duration,
}

/// A message ended.
struct Ended<E> {
    /// Which message of the run.
    sequence: u64,
    at: Instant,
    ending: E,
}

/// How a message ends.
type Ending<S> = Result<<S as Sender>::Receipt, <S as Sender>::Error>;

/// The messages between input, sender and listener.
pub(crate) struct Pipeline<S: Sender, L: Listener> {
    sender: S,
    listener: L,
    settings: Settings,
    pace: Option<Pace>,
    limit: InFlightLimit,
    started: Instant,
    slots: Slots<L::Original, Ending<S>>,
    on_their_way: usize,
    endings: mpsc::UnboundedReceiver<Ended<Ending<S>>>,
    /// At most as many endings wait as messages are on their way, so no bound is needed.
    ended: mpsc::UnboundedSender<Ended<Ending<S>>>,
    /// Messages taken from the input.
    sent: u64,
    /// Items taken since the loop last looked up.
    in_a_row: usize,
    reading: bool,
    stopped_early: bool,
    interrupted: bool,
    drain_until: Option<Instant>,
    abandoned: bool,
}

/// What a run came to.
pub(crate) struct Outcome<L> {
    pub(crate) listener: L,
    pub(crate) elapsed: Duration,
    /// Number of the last record that anything became of, when the input was not read to its end
    /// because of an error or an interrupt.
    pub(crate) stopped_after: Option<u64>,
    /// What was on its way was ended before its time: the sender has been closed.
    pub(crate) abandoned: bool,
}

impl<S, L> Pipeline<S, L>
where
    S: Sender,
    L: Listener<Receipt = S::Receipt, Error = S::Error>,
{
    pub(crate) fn new(sender: S, settings: Settings, listener: L) -> Self {
        let (ended, endings) = mpsc::unbounded_channel();
        let started = Instant::now();
        Self {
            sender,
            listener,
            pace: settings.rate.map(|rate| Pace::new(rate, started)),
            limit: InFlightLimit::new(settings.in_flight, settings.timeout),
            settings,
            started,
            slots: Slots::new(),
            on_their_way: 0,
            endings,
            ended,
            sent: 0,
            in_a_row: 0,
            reading: true,
            stopped_early: false,
            interrupted: false,
            drain_until: None,
            abandoned: false,
        }
    }

    /// Runs until the input is at its end, or something stops it, and every message has ended.
    pub(crate) async fn run(mut self, input: &mut Input, interrupt: &mut Interrupt) -> Outcome<L> {
        loop {
            while let Ok(ended) = self.endings.try_recv() {
                self.settle(ended);
            }
            match self.situation(input).step(Instant::now()) {
                Step::Take if self.in_a_row == IN_A_ROW => {
                    self.wait(interrupt, None, ready(())).await;
                }
                Step::Take => {
                    if let Some(item) = input.take() {
                        self.take(item, interrupt).await;
                    }
                }
                Step::WaitForInput => {
                    if self.wait(interrupt, None, input.wait()).await == Some(false) {
                        self.reading = false;
                    }
                }
                Step::Wait { due } => {
                    self.wait(interrupt, due, pending::<()>()).await;
                }
                Step::End => break,
            }
        }
        Outcome {
            elapsed: self.started.elapsed(),
            stopped_after: self.stopped_early.then_some(input.passed()),
            listener: self.listener,
            abandoned: self.abandoned,
        }
    }

    fn situation(&self, input: &Input) -> Situation {
        Situation {
            reading: self.reading,
            next: match input.peek() {
                None => Next::Nothing,
                Some(Item::Message { .. }) => Next::Message,
                Some(Item::Bad { .. } | Item::Remark(_) | Item::Unreadable(_)) => Next::Other,
            },
            room: self.on_their_way < self.limit.limit()
                && self.slots.len() < AHEAD * self.settings.in_flight,
            due: self.pace.as_ref().map(Pace::due),
            on_their_way: self.on_their_way,
        }
    }

    /// Waits until this is over, and gives what it came to; or until something else has happened,
    /// and gives nothing.
    async fn wait<T>(
        &mut self,
        interrupt: &mut Interrupt,
        due: Option<Instant>,
        this: impl Future<Output = T>,
    ) -> Option<T> {
        self.in_a_row = 0;
        let idle_until = self.listener.idle(self.on_their_way);
        tokio::select! {
            biased;
            () = interrupt.next() => self.interrupt(),
            Some(ended) = self.endings.recv() => self.settle(ended),
            over = this => return Some(over),
            () = until(due), if due.is_some() => {}
            () = until(idle_until), if idle_until.is_some() => {}
            () = until(self.drain_until), if self.drain_until.is_some() => self.abandon(),
        }
        None
    }

    async fn take(&mut self, item: Item, interrupt: &mut Interrupt) {
        self.in_a_row += 1;
        match item {
            Item::Message { number, message } => self.send(number, message, interrupt).await,
            Item::Bad { number, bad } => {
                self.slots.add_bad(number, bad);
                self.stop_early_if(self.settings.stop_on_error);
                self.tell();
            }
            Item::Remark(text) => self.listener.remark(&text),
            Item::Unreadable(why) => {
                self.listener.unreadable(&why);
                self.stop_early_if(true);
            }
        }
    }

    async fn send(&mut self, number: u64, message: Message, interrupt: &mut Interrupt) {
        let original = self.listener.original(&message);
        let sequence = self.slots.add_message(number, original);
        self.on_their_way += 1;
        self.sent += 1;
        if self.settings.count == Some(self.sent) {
            self.reading = false;
        }
        if let Some(pace) = &mut self.pace {
            pace.count();
        }
        let ended = self.ended.clone();
        // The receiver lives as long as the pipeline, which waits for every message.
        let ended = move |ending| drop(ended.send(Ended { sequence, at: Instant::now(), ending }));
        let sender = self.sender.clone();
        let mut handing_over = pin!(sender.send(message, ended));
        if !is_over(handing_over.as_mut()).await {
            while self.wait(interrupt, None, handing_over.as_mut()).await.is_none() {}
        }
    }

    fn settle(&mut self, ended: Ended<Ending<S>>) {
        let Ended { sequence, at, ending } = ended;
        self.on_their_way -= 1;
        self.stop_early_if(self.settings.stop_on_error && ending.is_err());
        if let Some(took) = self.slots.end(sequence, at, ending) {
            self.limit.ended(took);
        }
        self.tell();
    }

    /// Reads nothing more. Messages in flight end by themselves.
    fn stop_early_if(&mut self, reason: bool) {
        self.stopped_early |= reason && self.reading;
        self.reading &= !reason;
    }

    fn tell(&mut self) {
        while let Some(told) = self.slots.next_to_tell() {
            match told {
                Told::Bad { number, bad } => self.listener.bad(number, &bad),
                Told::Ended { number, original, took, ending } => {
                    self.listener.ended(number, &original, took, ending);
                }
            }
        }
    }

    /// The first interrupt ends the reading, the second what is on its way.
    fn interrupt(&mut self) {
        if self.interrupted {
            return self.abandon();
        }
        self.interrupted = true;
        self.stop_early_if(true);
        self.drain_until = Some(Instant::now() + self.settings.timeout);
        self.listener.interrupted(self.on_their_way);
    }

    /// Ends what is still on its way.
    fn abandon(&mut self) {
        self.drain_until = None;
        self.abandoned = true;
        self.sender.abandon();
    }
}

/// Whether this is over as soon as it has begun.
async fn is_over(mut this: Pin<&mut impl Future<Output = ()>>) -> bool {
    poll_fn(|context| Poll::Ready(this.as_mut().poll(context).is_ready())).await
}

/// Sleeps until then; for ever without a time.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
