//! A sender that follows a script for each message, and writes down what it got.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste::Message;
use proptest::prelude::*;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::command::send::sender::Sender;

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Good,
    NotStored,
    Unknown,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Answer {
    /// How long there is no room for it.
    room_after: Duration,
    /// How long its answer takes; without, it comes while the message is handed over.
    after: Option<Duration>,
    end: End,
}

/// Any time shorter than this.
pub(super) fn time_up_to(longest: Duration) -> impl Strategy<Value = Duration> {
    (0..longest.as_micros() as u64).prop_map(Duration::from_micros)
}

impl Answer {
    pub(super) fn good_after(after: Duration) -> Self {
        Self { room_after: Duration::ZERO, after: Some(after), end: End::Good }
    }

    pub(super) fn good_once_there_is_room(room_after: Duration) -> Self {
        Self { room_after, after: None, end: End::Good }
    }
}

/// Answers; of each thirteen as many are bad.
pub(super) fn answer(slowest: Duration, faults: u32) -> impl Strategy<Value = Answer> {
    let room_after = prop_oneof![9 => Just(Duration::ZERO), 1 => time_up_to(slowest)];
    let after = prop_oneof![
        1 => Just(None),
        2 => time_up_to(slowest / 100).prop_map(Some),
        1 => time_up_to(slowest).prop_map(Some),
    ];
    let end = prop_oneof![
        13 => Just(End::Good),
        faults => Just(End::NotStored),
        faults => Just(End::Unknown),
    ];
    (room_after, after, end).prop_map(|(room_after, after, end)| Answer { room_after, after, end })
}

#[derive(Clone)]
pub(super) struct Script(Arc<Shared>);

struct Shared {
    answers: BTreeMap<u64, Answer>,
    /// Numbers of the messages, in the order in which they came.
    sent: Mutex<Vec<u64>>,
    ends: Mutex<BTreeMap<u64, End>>,
    abandoned: watch::Sender<bool>,
}

impl Script {
    pub(super) fn new(answers: BTreeMap<u64, Answer>) -> Self {
        let (sent, ends) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { answers, sent, ends, abandoned: watch::Sender::new(false) }))
    }

    pub(super) fn sent(&self) -> Vec<u64> {
        self.0.sent.lock().unwrap().clone()
    }

    pub(super) fn ends(&self) -> BTreeMap<u64, End> {
        self.0.ends.lock().unwrap().clone()
    }

    /// Whether this much time passed before everything was to end.
    async fn passes(&self, time: Duration) -> bool {
        let mut abandoned = self.0.abandoned.subscribe();
        tokio::select! {
            biased;
            _ = abandoned.wait_for(|abandoned| *abandoned) => false,
            () = sleep(time) => true,
        }
    }

    fn end(&self, number: u64, end: End) -> Result<u64, u64> {
        let before = self.0.ends.lock().unwrap().insert(number, end);
        assert_eq!(before, None, "message {number} ended before");
        if end == End::Good { Ok(number) } else { Err(number) }
    }
}

/// Which record of the source a message is.
pub(super) fn number_of(message: &Message) -> u64 {
    std::str::from_utf8(message.body()).unwrap().parse().unwrap()
}

impl Sender for Script {
    type Receipt = u64;
    type Error = u64;

    async fn send(&self, message: Message, ended: impl FnOnce(Result<u64, u64>) + Send + 'static) {
        let number = number_of(&message);
        self.0.sent.lock().unwrap().push(number);
        let Answer { room_after, after, end } = self.0.answers[&number];
        if !room_after.is_zero() && !self.passes(room_after).await {
            return ended(self.end(number, End::NotStored));
        }
        let Some(after) = after else { return ended(self.end(number, end)) };
        let script = self.clone();
        tokio::spawn(async move {
            let end = if script.passes(after).await { end } else { End::Unknown };
            ended(script.end(number, end));
        });
    }

    fn abandon(&self) {
        self.0.abandoned.send_replace(true);
    }
}
