//! A broker that does what its script says.

mod serve;

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste_protocol::request::{Heartbeat, HeartbeatAnswer, UnregisterClient};
use posthaste_protocol::{Command, RequestCode};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;

use super::action::{Action, Script};
use super::seen::Seen;
use super::until;
use serve::Out;

/// A broker. It lives as long as the test's runtime.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    name: String,
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    /// What is stored, in order; a copy is one more entry.
    stored: Mutex<Vec<Seen>>,
    /// The offset that each queue's next message gets.
    offsets: Mutex<HashMap<(String, i32), i64>>,
    /// Every other request.
    others: Mutex<Vec<Command>>,
    /// Answers that the producer gave to requests of the broker.
    answers: Mutex<Vec<Command>>,
    /// Frames that could not be read.
    broken_frames: AtomicUsize,
    accepted: AtomicUsize,
    /// Connections that have ended.
    ended: AtomicUsize,
    /// Connections that ended without a torn frame, and those with one.
    torn: AtomicUsize,
    address: Mutex<SocketAddr>,
    /// Where sends wait until they are let pass.
    gate: Arc<Semaphore>,
    /// Keeps the address while it is down: to this nobody can connect, and no other socket gets it.
    reserved: Mutex<Option<TcpSocket>>,
    listening: Mutex<Option<(Arc<TcpListener>, AbortHandle)>>,
    /// Number of the life: connections of an earlier one end.
    life: watch::Sender<usize>,
    /// While false nothing is read.
    reading: watch::Sender<bool>,
    /// While false nothing but sends is answered.
    courteous: watch::Sender<bool>,
    /// Codes of answers to requests of these codes that are no sends, where it is not 0.
    refusals: Mutex<HashMap<i32, i32>>,
    /// Where to write to on each connection.
    outs: Mutex<Vec<mpsc::UnboundedSender<Out>>>,
    /// The first sends, as they arrived.
    requests: Mutex<Vec<Command>>,
    /// What is said to heartbeats.
    heartbeat_answer: Mutex<HeartbeatAnswer>,
    version: Mutex<i32>,
}

impl Broker {
    /// A broker that stores everything.
    pub async fn start(name: &str) -> Self {
        let broker = Self(Arc::new(Inner {
            name: name.into(),
            script: Mutex::new(Box::new(|_| Action::ok())),
            seen: Mutex::default(),
            stored: Mutex::default(),
            offsets: Mutex::default(),
            others: Mutex::default(),
            answers: Mutex::default(),
            broken_frames: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            torn: AtomicUsize::new(0),
            address: Mutex::new(SocketAddr::from(([127, 0, 0, 1], 0))),
            gate: Arc::new(Semaphore::new(0)),
            reserved: Mutex::default(),
            listening: Mutex::default(),
            life: watch::Sender::new(0),
            reading: watch::Sender::new(true),
            courteous: watch::Sender::new(true),
            requests: Mutex::default(),
            heartbeat_answer: Mutex::default(),
            version: Mutex::new(posthaste_protocol::VERSION),
            refusals: Mutex::default(),
            outs: Mutex::default(),
        }));
        broker.up().await;
        broker
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn address(&self) -> String {
        self.0.address.lock().unwrap().to_string()
    }

    /// Replaces the script.
    pub fn script(&self, mut script: impl FnMut(&Seen) -> Action + Send + 'static) {
        self.script_requests(move |messages| script(&messages[0]));
    }

    /// Replaces the script by one that looks at all messages of a request.
    pub fn script_requests(&self, script: impl FnMut(&[Seen]) -> Action + Send + 'static) {
        *self.0.script.lock().unwrap() = Box::new(script);
    }

    /// Does the same with each send.
    pub fn always(&self, action: Action) {
        self.script(move |_| action.clone());
    }

    /// Does these with the first sends, and stores the rest.
    pub fn first(&self, actions: impl IntoIterator<Item = Action>) {
        let mut actions: std::collections::VecDeque<_> = actions.into_iter().collect();
        self.script(move |_| actions.pop_front().unwrap_or_else(Action::ok));
    }

    /// Lets this many sends pass that wait, or will wait, at the gate.
    pub fn open_gate(&self, sends: usize) {
        self.0.gate.add_permits(sends);
    }

    /// Refuses connections and drops those that are there.
    pub fn down(&self) {
        if let Some((listener, task)) = self.0.listening.lock().unwrap().take() {
            // Now: a task ends some time later, and a client that connects meanwhile would lose
            // what it writes.
            socket2::SockRef::from(&*listener).shutdown(Shutdown::Both).unwrap();
            task.abort();
        }
        self.0.life.send_modify(|life| *life += 1);
    }

    /// Listens again, at the same address.
    pub async fn up(&self) {
        let address = self.reserve();
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                // The listener of the life before goes with its task.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let listener = Arc::new(listener);
        let (broker, listens) = (self.clone(), listener.clone());
        let task = tokio::spawn(async move {
            // It fails when it is down.
            while let Ok((stream, _)) = listens.accept().await {
                let number = broker.0.accepted.fetch_add(1, Ordering::Relaxed);
                let broker = broker.clone();
                tokio::spawn(async move {
                    broker.serve(number, stream).await;
                    broker.0.ended.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        *self.0.listening.lock().unwrap() = Some((listener, task.abort_handle()));
    }

    /// Its address: the one that it has, or one that is free.
    fn reserve(&self) -> SocketAddr {
        let mut address = self.0.address.lock().unwrap();
        if address.port() == 0 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(*address).unwrap();
            *address = socket.local_addr().unwrap();
            *self.0.reserved.lock().unwrap() = Some(socket);
        }
        *address
    }

    /// Goes down and comes back at another address.
    pub async fn move_away(&self) {
        self.down();
        self.0.address.lock().unwrap().set_port(0);
        self.up().await;
    }

    /// Stops, or goes on, reading what arrives.
    pub fn read(&self, reading: bool) {
        self.0.reading.send_replace(reading);
    }

    /// Whether heartbeats and the like are answered.
    pub fn answer_others(&self, courteous: bool) {
        self.0.courteous.send_replace(courteous);
    }

    /// Answers requests of this code, which are no sends, with this code.
    pub fn refuse(&self, request: RequestCode, code: i32) {
        self.0.refusals.lock().unwrap().insert(request.0, code);
    }

    /// Writes unasked frames on its latest connection.
    pub fn push(&self, bytes: Vec<u8>) {
        let _ = self.0.outs.lock().unwrap().last().unwrap().send(Out::Bytes(bytes));
    }

    /// Says this to heartbeats.
    pub fn answer_heartbeats(&self, answer: HeartbeatAnswer) {
        *self.0.heartbeat_answer.lock().unwrap() = answer;
    }

    /// The heartbeats that came, in their order.
    pub fn heartbeats(&self) -> Vec<Heartbeat> {
        let others = self.others();
        let heartbeats = others.iter().filter(|one| one.request_code() == RequestCode::HEART_BEAT);
        heartbeats.map(|one| one.read().unwrap()).collect()
    }

    /// The first sends, as they arrived.
    pub fn requests(&self) -> Vec<Command> {
        self.0.requests.lock().unwrap().clone()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    pub fn seen_count(&self) -> usize {
        self.0.seen.lock().unwrap().len()
    }

    pub fn stored(&self) -> Vec<Seen> {
        self.0.stored.lock().unwrap().clone()
    }

    pub fn stored_count(&self) -> usize {
        self.0.stored.lock().unwrap().len()
    }

    pub fn others(&self) -> Vec<Command> {
        self.0.others.lock().unwrap().clone()
    }

    pub fn count_of(&self, code: RequestCode) -> usize {
        self.0.others.lock().unwrap().iter().filter(|other| other.code == code.0).count()
    }

    /// Awaits that a client leaves its group: `close` does not wait until that has been read.
    pub async fn goodbye(&self) -> UnregisterClient {
        let code = RequestCode::UNREGISTER_CLIENT;
        until("a client leaves its group", || self.count_of(code) > 0).await;
        let left = self.others().into_iter().find(|one| one.request_code() == code);
        left.expect("it has been counted").read().expect("it reads")
    }

    pub fn answers(&self) -> Vec<Command> {
        self.0.answers.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Connections that have not ended.
    pub fn open_connections(&self) -> usize {
        self.connections() - self.0.ended.load(Ordering::Relaxed)
    }

    /// Frames that could not be read, and connections that ended inside of one.
    pub fn broken(&self) -> (usize, usize) {
        (self.0.broken_frames.load(Ordering::Relaxed), self.0.torn.load(Ordering::Relaxed))
    }

    /// Forgets what was seen and stored.
    pub fn forget(&self) {
        self.0.seen.lock().unwrap().clear();
        self.0.stored.lock().unwrap().clear();
    }

    /// Declares this version in answers to heartbeats (`MQVersion` ordinal).
    pub fn version(&self, version: i32) {
        *self.0.version.lock().unwrap() = version;
    }
}
