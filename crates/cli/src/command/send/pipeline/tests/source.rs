//! The counted source: what is in it is known before anything reads it.

use std::time::Duration;

use posthaste::Message;
use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::script::{self, Answer};
use crate::input::{BadRecord, Batch, Input, Item};

/// A record of the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Record {
    /// A message, and what becomes of it when it is sent.
    Message(Answer),
    Bad,
    Blank,
}

impl Record {
    pub(super) fn answer(self) -> Option<Answer> {
        match self {
            Self::Message(answer) => Some(answer),
            Self::Bad | Self::Blank => None,
        }
    }
}

/// How the input ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Unreadable,
    /// It does not: more may come, and never does.
    Open,
}

#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) records: Vec<Record>,
    /// How many records come at a time, and after which pause; what is left comes at last.
    pub(super) arrivals: Vec<(usize, Duration)>,
    pub(super) end: End,
}

impl Source {
    /// The numbers of these records, from 1.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u64, Record)> {
        (1..).zip(self.records.iter().copied())
    }

    /// An input that gives the records as they arrive.
    pub(super) fn input(&self) -> Input {
        let (sender, batches) = mpsc::channel(4);
        let source = self.clone();
        tokio::spawn(async move {
            // When the loop has ended, nothing takes what still comes.
            let _ = source.feed(sender).await;
        });
        Input::of(batches)
    }

    async fn feed(self, sender: mpsc::Sender<Batch>) -> Result<(), mpsc::error::SendError<Batch>> {
        let mut rest = self.numbered().peekable();
        let mut read = 0;
        let mut arrivals = self.arrivals.iter();
        while rest.peek().is_some() {
            let (size, pause) = arrivals.next().copied().unwrap_or((usize::MAX, Duration::ZERO));
            sleep(pause).await;
            let mut items = Vec::new();
            for (number, record) in rest.by_ref().take(size) {
                read = number;
                items.extend(item(number, record));
            }
            sender.send(Batch { items, read }).await?;
        }
        match self.end {
            End::Whole => Ok(()),
            End::Unreadable => {
                sender.send(Batch { items: vec![Item::Unreadable("broken".into())], read }).await
            }
            End::Open => std::future::pending().await,
        }
    }
}

fn item(number: u64, record: Record) -> Option<Item> {
    match record {
        Record::Message(_) => {
            Some(Item::Message { number, message: Message::new("T", number.to_string()) })
        }
        Record::Bad => {
            Some(Item::Bad { number, bad: BadRecord { why: "bad".into(), record: None } })
        }
        Record::Blank => None,
    }
}

/// Records; in half of the cases nothing is wrong with any of them, and else with some.
pub(super) fn records(slowest: Duration, most: usize) -> impl Strategy<Value = Vec<Record>> {
    any::<bool>().prop_flat_map(move |faulty| {
        let faults = u32::from(faulty);
        let record = prop_oneof![
            12 => script::answer(slowest, faults).prop_map(Record::Message),
            2 => Just(Record::Blank),
            faults => Just(Record::Bad),
        ];
        prop::collection::vec(record, 0..most)
    })
}

pub(super) fn arrivals(longest: Duration) -> impl Strategy<Value = Vec<(usize, Duration)>> {
    let pause = prop_oneof![3 => Just(Duration::ZERO), 1 => script::time_up_to(longest)];
    prop::collection::vec((1..60_usize, pause), 0..20)
}
