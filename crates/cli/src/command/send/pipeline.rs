//! The loop of `send`: takes messages from the input while there is room, and tells how each ended
//! in the order of the input.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use posthaste::{Message, Producer, Receipt, SendError};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};

use super::pace::Pace;
use super::report::{Keepsake, Report};
use super::room::Room;
use super::tally::Tally;
use crate::input::{Input, Item};
use crate::interrupt::Interrupt;
use crate::talk::REDRAW;

/// Messages that ended, but are told after an earlier one that did not: this many times as many
/// as may be in flight. A single slow answer does not hold up the others, and memory stays bounded.
const AHEAD: usize = 4;

/// What the flags say of the run.
pub(crate) struct Settings {
    pub(crate) in_flight: usize,
    pub(crate) oneway: bool,
    pub(crate) stop_on_error: bool,
    /// Messages to send at most.
    pub(crate) count: Option<u64>,
    pub(crate) rate: Option<f64>,
    /// Deadline of each message; and how long those on their way may take to end after an
    /// interrupt.
    pub(crate) timeout: Duration,
}

/// How a message ended. A one-way message has no receipt.
type Ending = Result<Option<Receipt>, SendError>;

/// A message ended.
struct Ended {
    /// Which message of the run.
    sequence: u64,
    at: Instant,
    ending: Ending,
}

/// A message that was taken from the input and is not told yet.
struct Slot {
    number: u64,
    started: Instant,
    keepsake: Keepsake,
    state: State,
}

enum State {
    OnItsWay,
    Ended { at: Instant, ending: Ending },
    Bad(String),
}

/// The messages between input and report.
pub(crate) struct Pipeline {
    producer: Producer,
    settings: Settings,
    report: Report,
    tally: Tally,
    pace: Option<Pace>,
    room: Room,
    started: Instant,
    slots: VecDeque<Slot>,
    /// Messages that were told: the sequence number of the first slot.
    told: u64,
    on_their_way: usize,
    endings: mpsc::UnboundedReceiver<Ended>,
    /// At most as many endings wait as messages are on their way, so no bound is needed.
    sender: mpsc::UnboundedSender<Ended>,
    /// Messages taken from the input.
    taken: u64,
    /// Number of the last record taken from the input.
    last: u64,
    reading: bool,
    stopped_early: bool,
    drain_until: Option<Instant>,
}

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) report: Report,
    pub(crate) tally: Tally,
    pub(crate) elapsed: Duration,
    /// Number of the last record that was taken, when the input was not read to its end because
    /// of an error or an interrupt.
    pub(crate) stopped_after: Option<u64>,
}

impl Pipeline {
    pub(crate) fn new(producer: Producer, settings: Settings, report: Report) -> Self {
        let (sender, endings) = mpsc::unbounded_channel();
        let started = Instant::now();
        Self {
            producer,
            pace: settings.rate.map(|rate| Pace::new(rate, started)),
            room: Room::new(settings.in_flight, settings.timeout),
            settings,
            report,
            tally: Tally::new(),
            started,
            slots: VecDeque::new(),
            told: 0,
            on_their_way: 0,
            endings,
            sender,
            taken: 0,
            last: 0,
            reading: true,
            stopped_early: false,
            drain_until: None,
        }
    }

    /// Runs until the input is at its end, or something stops it, and every message has ended.
    pub(crate) async fn run(mut self, input: &mut Input, interrupt: &mut Interrupt) -> Outcome {
        loop {
            while let Ok(ended) = self.endings.try_recv() {
                self.settle(ended);
            }
            if self.has_room()
                && let Some(item) = input.take_ready()
            {
                self.take(item).await;
                continue;
            }
            if !self.reading && self.on_their_way == 0 {
                break;
            }
            self.wait(input, interrupt).await;
        }
        Outcome {
            elapsed: self.started.elapsed(),
            stopped_after: self.stopped_early.then_some(self.last),
            report: self.report,
            tally: self.tally,
        }
    }

    /// Waits for whatever comes next.
    async fn wait(&mut self, input: &mut Input, interrupt: &mut Interrupt) {
        let flush_at = self.report.flush_soon();
        if !self.report.stdout.is_open() {
            // Whoever read the receipts has gone: no more of them, and so no more messages.
            self.reading = false;
        }
        let (in_flight, elapsed) = (self.on_their_way, self.started.elapsed());
        let tally = &self.tally;
        self.report.talk.progress(|| tally.so_far(elapsed, in_flight));
        // More is asked for only when nothing is left, be a send due or not: so nothing takes the
        // place of what was not sent yet, and the end of the input is seen at once.
        let used_up = input.is_used_up();
        let due = self.pace.as_ref().map(Pace::due).filter(|_| self.has_space() && !used_up);
        tokio::select! {
            biased;
            () = interrupt.wait(), if !self.tally.interrupted => self.interrupt(),
            Some(ended) = self.endings.recv() => self.settle(ended),
            more = input.wait(), if self.reading && used_up => self.reading &= more,
            () = until(due), if due.is_some() => {}
            () = until(flush_at), if flush_at.is_some() => {}
            () = until(self.drain_until), if self.drain_until.is_some() => self.abandon().await,
            () = sleep(REDRAW), if self.report.talk.shows_progress() => {}
        }
    }

    /// Whether another message may be taken from the input now.
    fn has_room(&self) -> bool {
        self.has_space() && self.pace.as_ref().is_none_or(|pace| pace.due() <= Instant::now())
    }

    /// Whether another message may be taken from the input once it is due.
    fn has_space(&self) -> bool {
        self.reading
            && self.on_their_way < self.room.limit()
            && self.slots.len() < AHEAD * self.settings.in_flight
    }

    async fn take(&mut self, item: Item) {
        match item {
            Item::Message { number, message } => self.send(number, message).await,
            Item::Bad { number, why } => {
                self.push(number, Keepsake::Nothing, State::Bad(why));
                self.failed();
                self.tell();
            }
            Item::Unreadable(why) => {
                self.report.talk.error(&why);
                self.tally.unreadable = true;
                self.reading = false;
            }
        }
    }

    async fn send(&mut self, number: u64, message: Message) {
        let keepsake = self.report.keepsake(&message);
        let sequence = self.push(number, keepsake, State::OnItsWay);
        self.on_their_way += 1;
        self.taken += 1;
        if self.settings.count == Some(self.taken) {
            self.reading = false;
        }
        if let Some(pace) = &mut self.pace {
            pace.count();
        }
        let sender = self.sender.clone();
        // The receiver lives as long as the pipeline; after it nobody wants to know.
        let end = move |ending| drop(sender.send(Ended { sequence, at: Instant::now(), ending }));
        if self.settings.oneway {
            let producer = self.producer.clone();
            tokio::spawn(async move { end(producer.send_oneway(message).await.map(|()| None)) });
            return;
        }
        match self.producer.enqueue(message).await {
            Ok(delivery) => delivery.on_complete(move |result| end(result.map(Some))),
            Err(error) => end(Err(error)),
        }
    }

    fn push(&mut self, number: u64, keepsake: Keepsake, state: State) -> u64 {
        self.last = number;
        self.slots.push_back(Slot { number, started: Instant::now(), keepsake, state });
        self.told + self.slots.len() as u64 - 1
    }

    fn settle(&mut self, ended: Ended) {
        self.on_their_way -= 1;
        if ended.ending.is_err() {
            self.failed();
        }
        let index = (ended.sequence - self.told) as usize;
        if let Some(slot) = self.slots.get_mut(index) {
            self.room.ended(ended.at.saturating_duration_since(slot.started));
            slot.state = State::Ended { at: ended.at, ending: ended.ending };
        }
        self.tell();
    }

    /// One failed: with `--on-error stop` nothing more is read. What is on its way ends by itself.
    fn failed(&mut self) {
        if self.settings.stop_on_error && self.reading {
            self.reading = false;
            self.stopped_early = true;
        }
    }

    /// Tells the endings at the front, up to the first message that is still on its way.
    fn tell(&mut self) {
        while self.slots.front().is_some_and(|slot| !matches!(slot.state, State::OnItsWay)) {
            let Some(slot) = self.slots.pop_front() else { return };
            self.told += 1;
            match slot.state {
                State::OnItsWay => {}
                State::Bad(why) => {
                    self.tally.bad += 1;
                    self.report.bad(slot.number, &why);
                }
                State::Ended { at, ending } => {
                    let took = at.saturating_duration_since(slot.started);
                    self.tell_ending(slot.number, &slot.keepsake, took, ending);
                }
            }
        }
    }

    fn tell_ending(&mut self, number: u64, keepsake: &Keepsake, took: Duration, ending: Ending) {
        match ending {
            Ok(Some(receipt)) => {
                self.tally.stored(receipt.status());
                self.tally.took(took);
                self.report.stored(keepsake, &receipt, took);
            }
            Ok(None) => {
                self.tally.handed_over += 1;
                self.tally.took(took);
                self.report.handed_over(keepsake, took);
            }
            Err(error) => {
                self.tally.failed(&error);
                self.report.failed(number, error);
            }
        }
    }

    fn interrupt(&mut self) {
        self.tally.interrupted = true;
        self.stopped_early |= self.reading;
        self.reading = false;
        self.drain_until = Some(Instant::now() + self.settings.timeout);
        if self.on_their_way > 0 {
            self.report
                .talk
                .note("interrupted: waiting for what is on its way; once more ends at once");
        }
    }

    /// The time to drain is over: ends what is still on its way.
    async fn abandon(&mut self) {
        self.drain_until = None;
        self.producer.close(Duration::ZERO).await;
    }
}

/// Sleeps until then; for ever without a time.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
