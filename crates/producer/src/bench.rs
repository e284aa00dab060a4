//! Internal pieces of the send path, each as an operation for the benchmarks (feature `bench`). No
//! part of the API.

#![allow(clippy::expect_used, reason = "a benchmark that cannot be prepared may panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::accepted::{Accepted, BatchRoom, Epoch, MOST_MESSAGES, Mode, Permit, Terms, sharing};
use crate::connection::outbox::{OpenAttempt, Outbox};
use crate::connection::pending_operation;
use crate::connection::target::Target;
use crate::connection::window::{Trip, Window};
use crate::message::content::Content;
use crate::message::unique_id::{UniqueIds, own_ip};
use crate::route::choice;
use crate::route::{BrokerQueues, Route};
use crate::{Message, Producer};

/// Runs an operation once.
pub type Operation = Box<dyn FnMut()>;

/// An operation's name, and what prepares it.
pub type Named = (&'static str, fn() -> Operation);

/// Every piece.
pub const ALL: &[Named] = &[
    ("choose among 1 broker of 8 queues", || choose(1)),
    ("choose among 16 brokers of 8 queues", || choose(16)),
    ("an answer into the window", answer),
    ("a request into the pending table and out", || Box::new(pending_operation(messages(1001)))),
    ("1,024 messages through the outbox, singly", || through_outbox(1)),
    ("1,024 messages through the outbox, as a batch", || through_outbox(MOST_MESSAGES)),
];

const BATCH_BYTES: usize = 1 << 20;

fn choose(brokers: usize) -> Operation {
    let route = route(brokers);
    Box::new(move || drop(black_box(choice::choose(&route, None, 10_000))))
}

fn answer() -> Operation {
    let mut window = Window::new(1024);
    let mut now = Instant::now();
    Box::new(move || {
        now += Duration::from_micros(20);
        let trip = Trip { now, took: Duration::from_micros(300), in_flight: 16 };
        window.answered(black_box(&trip), 1);
    })
}

fn through_outbox(most: usize) -> Operation {
    let mut waiting: Vec<OpenAttempt> = messages(MOST_MESSAGES);
    let mut outbox = Outbox::default();
    Box::new(move || {
        for one in waiting.drain(..) {
            outbox.push(one);
        }
        while let Some(mut outgoing) =
            outbox.next(false, |first| BatchRoom::beside(first, most, BATCH_BYTES))
        {
            waiting.append(&mut outgoing.messages);
        }
    })
}

/// A route to brokers that are never dialled.
fn route(brokers: usize) -> Arc<Route> {
    let plan = (0..brokers).map(|broker| BrokerQueues {
        broker: format!("broker-{broker:02}"),
        cluster: "bench".into(),
        address: Some(format!("127.0.0.1:{}", 1 + broker)),
        logical: None,
        queues: (0..8).collect(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let builder = Producer::builder("bench", "127.0.0.1:1");
    let producer = runtime.block_on(builder.start()).expect("a producer");
    let connection = |address: &str| producer.client().connection(address);
    Arc::new(Route::new("bench".into(), "bench".into(), plan.collect(), false, connection))
}

/// This many messages for one line of an outbox.
fn messages(count: usize) -> Vec<OpenAttempt> {
    let (route, ids, now) = (route(1), UniqueIds::new(own_ip()), Instant::now());
    let broker = route.brokers.first().expect("a broker");
    let deadline = now + Duration::from_secs(86_400);
    let one = |_| {
        let content = Content::from(Message::new("bench", [b'x'; 128].as_slice()));
        let terms = Terms {
            id: ids.next(1),
            since: now,
            deadline,
            epoch: Epoch::default(),
            mode: Mode::Async,
            sharing: sharing(&content, Mode::Async, 300, BATCH_BYTES),
            permit: Permit { messages: 1, bytes: 512 },
            stored_bytes: 300,
            waker: None,
        };
        let accepted = Arc::new(Accepted::new(content, terms));
        let target = Target { broker: broker.clone(), queue: None };
        OpenAttempt { accepted, target, since: now, until: deadline, refused_batch: None }
    };
    (0..count).map(one).collect()
}
