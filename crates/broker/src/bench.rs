//! What the engine's thread does with single requests, each as an operation for `cargo xtask counts`
//! (feature `bench`). No part of the API.

#![allow(clippy::expect_used, reason = "a benchmark that cannot be prepared may panic")]

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use posthaste_protocol::request::{Pull, SendMessage, pull_flag};
use posthaste_protocol::{batch, command};
use tokio::sync::Semaphore;

use crate::engine::halves::Timing;
use crate::engine::{Engine, Identity, SessionId};
use crate::engine_loop::{EngineLoop, Event, Permits};
use crate::outbox::Outbox;
use crate::store::MemoryStore;
use crate::wire::{LineInfo, WireLog};

/// Runs an operation once.
pub type Operation = Box<dyn FnMut()>;

/// An operation's name, and what prepares it.
pub type Named = (&'static str, fn() -> Operation);

/// Every operation.
pub const ALL: &[Named] = &[
    ("store one message", || repeated(&send(1))),
    ("store a batch of 32", || repeated(&send(32))),
    ("answer a pull with 32 messages", pull),
];

const BODY: &[u8] = &[b'x'; 128];
const PROPERTIES: &str = "UNIQ_KEY\u{1}7F000001126718B4AAC2075BCD150007\u{2}WAIT\u{1}true";
const SESSION: SessionId = SessionId(1);
/// Few enough that the oldest messages are dropped while the runs are counted.
const MEMORY: u64 = 64 * 1024;

fn repeated(frames: &Bytes) -> Operation {
    let mut bench = Bench::new();
    let frames = frames.clone();
    Box::new(move || bench.handle(&frames))
}

fn pull() -> Operation {
    let mut bench = Bench::new();
    bench.handle(&send(32));
    let pull = Pull {
        group: "readers".into(),
        topic: "orders".into(),
        max_messages: 32,
        sys_flag: pull_flag::SUBSCRIPTION,
        subscription: Some("*".into()),
        ..Pull::default()
    };
    let frames = frame(&pull);
    Box::new(move || bench.handle(&frames))
}

/// A request to store one message, or a batch of several.
fn send(messages: usize) -> Bytes {
    let mut message = SendMessage {
        group: "order-service".into(),
        topic: "orders".into(),
        default_topic: "TBW102".into(),
        default_topic_queues: 8,
        born_at_ms: 1_700_000_000_000,
        properties: PROPERTIES.into(),
        body: Bytes::from_static(BODY),
        ..SendMessage::default()
    };
    if messages > 1 {
        let mut body = BytesMut::new();
        for _ in 0..messages {
            batch::put_entry(&mut body, 0, BODY, PROPERTIES);
        }
        message = SendMessage { body: body.freeze(), batch: true, ..message };
    }
    frame(&message)
}

fn frame<R: posthaste_protocol::Request>(request: &R) -> Bytes {
    let mut frame = BytesMut::new();
    command::put_request(&mut frame, 1, false, request);
    frame.freeze()
}

/// An engine's loop that is turned by hand, and one client of it.
struct Bench {
    engine_loop: EngineLoop,
    outbox: Arc<Outbox>,
    room: Arc<Semaphore>,
}

impl Bench {
    fn new() -> Self {
        let identity = Identity {
            cluster: "DefaultCluster".into(),
            broker: "bench".into(),
            address: "127.0.0.1:10911".into(),
            store_host: SocketAddr::from((Ipv4Addr::LOCALHOST, 10_911)),
            auto_create_queues: Some(8),
        };
        let timing = Timing { first_ms: 6_000, again_ms: 30_000, most: 15 };
        let store = Box::new(MemoryStore::new(MEMORY));
        let mut engine = Engine::new(identity, timing, store, 1).expect("an engine");
        engine.create_topics(&[]).expect("the topics of the system");
        let (_, events) = mpsc::channel();
        let mut engine_loop = EngineLoop::new(engine, events, Arc::default(), Arc::default());
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        // The wire log is there, and off.
        let tap = Arc::new(WireLog::default()).connect(LineInfo {
            id: SESSION.0,
            address: peer,
            port: 0,
            is_encrypted: false,
            connected_at: SystemTime::now(),
        });
        let outbox = Arc::new(Outbox::without_socket(tap));
        let opened = Event::Opened { session: SESSION, peer, port: 0, outbox: Arc::clone(&outbox) };
        engine_loop.turn(Some(opened));
        Self { engine_loop, outbox, room: Arc::new(Semaphore::new(2)) }
    }

    /// Has the frames handled, and takes the answers.
    fn handle(&mut self, frames: &Bytes) {
        let permit = || Arc::clone(&self.room).try_acquire_owned().expect("room");
        let permits = Permits { _own: permit(), _all: permit(), _long_frame: None };
        let event = Event::Frames { session: SESSION, frames: frames.clone(), permits };
        self.engine_loop.turn(Some(event));
        let taken = pin!(self.outbox.take()).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(answers) = taken else { unreachable!("an answer was delivered") };
        drop(black_box(answers));
    }
}
