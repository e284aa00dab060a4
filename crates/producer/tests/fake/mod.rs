//! A name server and brokers that do what a script says, to see what a producer makes of it.
//!
//! They speak the real protocol on loopback sockets. A broker records each send in the order of
//! arrival, asks its script what to do with it, and keeps a list of what it "stored": the truth
//! that the producer's outcomes are held against. Of a batch each message is recorded, and the
//! script is asked once, with the first or with all.

#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use posthaste::{Producer, ProducerBuilder, Stats};
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::properties::name;
use posthaste_protocol::request::{
    BrokerData, Empty, Heartbeat, HeartbeatAnswer, Payload, QueueData, RouteOf, SendAnswer,
    SendMessage, SendReply, TopicRoute, UnregisterClient,
};
use posthaste_protocol::{
    Command, Fields, Frame, Incoming, Properties, Request, RequestCode, ResponseCode, batch,
    command,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

/// More than any test waits for on purpose: beyond this something hangs.
pub const HANG: Duration = Duration::from_secs(20);

// ---- what a broker does with a send ----

/// A send as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Number of the connection at its broker.
    pub connection: usize,
    pub opaque: i32,
    pub code: i32,
    pub oneway: bool,
    /// The unique id.
    pub id: String,
    /// As it is called on the wire.
    pub topic: String,
    pub group: String,
    /// The broker that the request names.
    pub broker: String,
    pub unit_mode: bool,
    pub queue: i32,
    /// The namespace that the message says it is of.
    pub instance: Option<String>,
    /// The ordering key.
    pub key: Option<String>,
    pub properties: Properties,
    /// As they were on the wire.
    pub wire: String,
    pub sys_flag: i32,
    pub body: Bytes,
    /// How many messages came in the request.
    pub together: usize,
    /// The outer properties of a batch.
    pub outer: Option<String>,
    pub at: Instant,
}

impl Seen {
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Every value that a property had on the wire.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let pairs = self.wire.split('\u{2}').filter_map(|pair| pair.split_once('\u{1}'));
        pairs.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
    }
}

/// What is done with a send.
#[derive(Debug, Clone)]
pub struct Action {
    store: bool,
    after: Duration,
    /// Nothing is done before a permit of this is there, which it takes.
    gate: Option<Arc<Semaphore>>,
    write: Write,
    close: Close,
}

#[derive(Debug, Clone)]
enum Write {
    Nothing,
    Answer(i32, String),
    /// Not the answer, but these bytes.
    Bytes(Vec<u8>),
    /// Bytes made of the request's number.
    Frames(fn(i32) -> Vec<u8>),
    /// The first half of the answer.
    Half,
    Twice,
    /// Byte by byte.
    Slowly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    No,
    Fin,
    Reset,
}

impl Action {
    const fn new(store: bool, write: Write, close: Close) -> Self {
        Self { store, after: Duration::ZERO, gate: None, write, close }
    }

    /// Stores and says so.
    pub fn ok() -> Self {
        Self::new(true, Write::Answer(0, String::new()), Close::No)
    }

    /// Does not store, and answers with a code.
    pub fn refuse(code: i32, remark: &str) -> Self {
        Self::new(false, Write::Answer(code, remark.into()), Close::No)
    }

    /// Stores, and answers with a code.
    pub fn store_and_say(code: i32, remark: &str) -> Self {
        Self::new(true, Write::Answer(code, remark.into()), Close::No)
    }

    /// Neither stores nor answers.
    pub fn ignore() -> Self {
        Self::new(false, Write::Nothing, Close::No)
    }

    /// Stores and never answers.
    pub fn store_silently() -> Self {
        Self::new(true, Write::Nothing, Close::No)
    }

    /// Closes the connection instead.
    pub fn close() -> Self {
        Self::new(false, Write::Nothing, Close::Fin)
    }

    pub fn reset() -> Self {
        Self::new(false, Write::Nothing, Close::Reset)
    }

    pub fn store_and_close() -> Self {
        Self::new(true, Write::Nothing, Close::Fin)
    }

    pub fn store_and_reset() -> Self {
        Self::new(true, Write::Nothing, Close::Reset)
    }

    /// Stores, and closes in the middle of the answer.
    pub fn half_an_answer() -> Self {
        Self::new(true, Write::Half, Close::Fin)
    }

    /// Stores, and writes these bytes in place of an answer.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(true, Write::Bytes(bytes.into()), Close::No)
    }

    /// Stores, and writes what is made of the request's number.
    pub fn frames(make: fn(i32) -> Vec<u8>) -> Self {
        Self::new(true, Write::Frames(make), Close::No)
    }

    pub fn ok_twice() -> Self {
        Self::new(true, Write::Twice, Close::No)
    }

    pub fn ok_byte_by_byte() -> Self {
        Self::new(true, Write::Slowly, Close::No)
    }

    /// The same, answered later; what is stored is stored at once.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// The same, but nothing is stored or answered before `gate` has a permit, which it takes.
    pub fn once(mut self, gate: &Arc<Semaphore>) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    pub fn stores(&self) -> bool {
        self.store
    }
}

/// Decides about the messages of a request.
type Script = Box<dyn FnMut(&[Seen]) -> Action + Send>;

// ---- brokers ----

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
    /// Connections that ended without a torn frame, and those with one.
    torn: AtomicUsize,
    address: Mutex<SocketAddr>,
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
            torn: AtomicUsize::new(0),
            address: Mutex::new(SocketAddr::from(([127, 0, 0, 1], 0))),
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

    /// Refuses connections and drops those that are there.
    pub fn down(&self) {
        if let Some((listener, task)) = self.0.listening.lock().unwrap().take() {
            // Now: a task ends some time later, and who connects meanwhile would lose what he writes.
            socket2::SockRef::from(&*listener).shutdown(Shutdown::Both).unwrap();
            task.abort();
        }
        self.0.life.send_modify(|life| *life += 1);
    }

    /// Listens again, at the same address.
    pub async fn up(&self) {
        let address = *self.0.address.lock().unwrap();
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                // The listener of the life before goes with its task.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        *self.0.address.lock().unwrap() = listener.local_addr().unwrap();
        let listener = Arc::new(listener);
        let (broker, listens) = (self.clone(), listener.clone());
        let task = tokio::spawn(async move {
            // It fails when it is down.
            while let Ok((stream, _)) = listens.accept().await {
                let number = broker.0.accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(broker.clone().serve(number, stream));
            }
        });
        *self.0.listening.lock().unwrap() = Some((listener, task.abort_handle()));
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

    /// Writes frames of its own on its latest connection.
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

    /// Frames that could not be read, and connections that ended inside of one.
    pub fn broken(&self) -> (usize, usize) {
        (self.0.broken_frames.load(Ordering::Relaxed), self.0.torn.load(Ordering::Relaxed))
    }

    /// Forgets what was seen and stored.
    pub fn forget(&self) {
        self.0.seen.lock().unwrap().clear();
        self.0.stored.lock().unwrap().clear();
    }

    async fn serve(self, number: usize, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut life = self.0.life.subscribe();
        let born = *life.borrow_and_update();
        let (mut reader, mut writer) = stream.into_split();
        let (out, mut queue) = mpsc::unbounded_channel::<Out>();
        self.0.outs.lock().unwrap().push(out.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Some(next) = queue.recv().await {
                match next {
                    Out::Bytes(bytes) => drop(writer.write_all(&bytes).await),
                    Out::Slowly(bytes) => {
                        for byte in bytes {
                            drop(writer.write_all(&[byte]).await);
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                    Out::Close(Close::Reset) => {
                        let stream = writer.as_ref();
                        let zero = Some(Duration::ZERO);
                        drop(socket2::SockRef::from(stream).set_linger(zero));
                        return;
                    }
                    Out::Close(_) => return,
                }
            }
        });
        let mut reading = self.0.reading.subscribe();
        let mut input = BytesMut::new();
        loop {
            tokio::select! {
                // Once it is down nothing more is read, even where it may read again.
                biased;
                // The writer ends when it was told to close.
                _ = tasks.join_next() => return,
                _ = life.wait_for(|now| *now != born) => return,
                stopped = reading.wait_for(|reading| *reading) => drop(stopped.unwrap()),
            }
            let read = tokio::select! {
                biased;
                _ = tasks.join_next() => return,
                _ = life.wait_for(|now| *now != born) => return,
                read = reader.read_buf(&mut input) => read,
            };
            loop {
                match Frame::take(&mut input, MAX_FRAME).map(|frame| frame.map(Command::decode)) {
                    Ok(Some(Ok(command))) => self.receive(number, command, &out),
                    Ok(None) => break,
                    Ok(Some(Err(_))) | Err(_) => {
                        self.0.broken_frames.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                }
            }
            if read.is_err() || matches!(read, Ok(0)) {
                self.0.torn.fetch_add(usize::from(!input.is_empty()), Ordering::Relaxed);
                return;
            }
        }
    }

    fn receive(&self, connection: usize, command: Command, out: &mpsc::UnboundedSender<Out>) {
        if command.is_answer() {
            self.0.answers.lock().unwrap().push(command);
            return;
        }
        let (opaque, oneway) = (command.opaque, command.is_oneway());
        let send = match Incoming::read(&command) {
            Ok(Incoming::Send(send) | Incoming::SendReply(SendReply(send))) => send,
            _ => return self.receive_other(command, out),
        };
        let mut requests = self.0.requests.lock().unwrap();
        if requests.len() < 64 {
            requests.push(command.clone());
        }
        drop(requests);
        let messages = messages_of(&send);
        let together = messages.len();
        let seen: Vec<Seen> = messages
            .into_iter()
            .map(|(text, body)| {
                let properties = Properties::decode(&text);
                Seen {
                    connection,
                    opaque,
                    code: command.code,
                    oneway,
                    id: properties.get(name::UNIQ_KEY).unwrap_or_default().to_owned(),
                    topic: send.topic.clone().into_owned(),
                    group: send.group.clone().into_owned(),
                    broker: send.broker_name.as_deref().unwrap_or_default().to_owned(),
                    unit_mode: send.unit_mode,
                    instance: properties.get(name::INSTANCE_ID).map(str::to_owned),
                    queue: send.queue_id,
                    key: properties.get(name::SHARDING_KEY).map(str::to_owned),
                    properties,
                    wire: text,
                    sys_flag: send.sys_flag,
                    body,
                    together,
                    outer: send.batch.then(|| send.properties.clone().into_owned()),
                    at: Instant::now(),
                }
            })
            .collect();
        let action = {
            let mut all = self.0.seen.lock().unwrap();
            all.extend(seen.iter().cloned());
            (self.0.script.lock().unwrap())(&seen)
        };
        let (broker, out) = (self.clone(), out.clone());
        match action.gate.clone() {
            None => broker.act(action, opaque, oneway, seen, out),
            Some(gate) => drop(tokio::spawn(async move {
                gate.acquire().await.unwrap().forget();
                broker.act(action, opaque, oneway, seen, out);
            })),
        }
    }

    /// Stores the messages of a request, if that is to be done, and answers it.
    fn act(
        &self,
        action: Action,
        opaque: i32,
        oneway: bool,
        seen: Vec<Seen>,
        out: mpsc::UnboundedSender<Out>,
    ) {
        let together = seen.len();
        let first_offset = {
            let mut stored = self.0.stored.lock().unwrap();
            let mut offsets = self.0.offsets.lock().unwrap();
            let next = offsets.entry((seen[0].topic.clone(), seen[0].queue)).or_default();
            let first = *next;
            if action.store {
                stored.extend(seen.iter().cloned());
                *next += seen.len() as i64;
            }
            first
        };
        if oneway && action.close == Close::No {
            return;
        }
        let id = |place: usize| format!("{:016X}{:016X}", opaque, place);
        let stored_at = SendAnswer {
            offset_message_id: (0..together).map(id).collect::<Vec<_>>().join(","),
            queue_id: seen[0].queue,
            queue_offset: first_offset,
            ..SendAnswer::default()
        };
        let ok = || answer(opaque, 0, "", &stored_at);
        let mut steps = Vec::new();
        match &action.write {
            Write::Nothing => {}
            Write::Answer(code @ (0 | 10 | 11 | 12), remark) => {
                steps.push(Out::Bytes(answer(opaque, *code, remark, &stored_at)));
            }
            Write::Answer(code, remark) => {
                steps.push(Out::Bytes(answer(opaque, *code, remark, &Empty)));
            }
            Write::Bytes(bytes) => steps.push(Out::Bytes(bytes.clone())),
            Write::Frames(make) => steps.push(Out::Bytes(make(opaque))),
            Write::Half => steps.push(Out::Bytes(ok()[..ok().len() / 2].to_vec())),
            Write::Twice => steps.push(Out::Bytes([ok(), ok()].concat())),
            Write::Slowly => steps.push(Out::Slowly(ok())),
        }
        if action.close != Close::No {
            steps.push(Out::Close(action.close));
        }
        let send = move || {
            for step in steps {
                let _ = out.send(step);
            }
        };
        if action.after.is_zero() {
            send();
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(action.after).await;
                send();
            });
        }
    }
}

impl Broker {
    /// Declares this version in answers to heartbeats (`MQVersion` ordinal).
    pub fn version(&self, version: i32) {
        *self.0.version.lock().unwrap() = version;
    }

    fn greet(&self, opaque: i32) -> Vec<u8> {
        let mut fields = Fields::new();
        self.0.heartbeat_answer.lock().unwrap().write(&mut fields);
        let mut command = Command::request(RequestCode(0), opaque, fields, Bytes::new());
        (command.flag, command.version) = (1, *self.0.version.lock().unwrap());
        let mut out = BytesMut::new();
        command.encode(&mut out);
        out.to_vec()
    }

    fn receive_other(&self, command: Command, out: &mpsc::UnboundedSender<Out>) {
        let (opaque, oneway, code) = (command.opaque, command.is_oneway(), command.code);
        self.0.others.lock().unwrap().push(command);
        if *self.0.courteous.borrow() && !oneway {
            let refusal = self.0.refusals.lock().unwrap().get(&code).copied();
            let bytes = match refusal {
                None if code == RequestCode::HEART_BEAT.0 => self.greet(opaque),
                refusal => answer(opaque, refusal.unwrap_or_default(), "", &Empty),
            };
            let _ = out.send(Out::Bytes(bytes));
        }
    }
}

/// Properties and body of each message of a send.
fn messages_of(send: &SendMessage<'_>) -> Vec<(String, Bytes)> {
    if !send.batch {
        return vec![(send.properties.clone().into_owned(), send.body.clone())];
    }
    let entries = batch::decode(send.body.clone()).unwrap();
    entries.into_iter().map(|entry| (entry.properties, entry.body)).collect()
}

enum Out {
    Bytes(Vec<u8>),
    Slowly(Vec<u8>),
    Close(Close),
}

/// An answer as a frame.
pub fn answer<P: Payload>(opaque: i32, code: i32, remark: &str, payload: &P) -> Vec<u8> {
    let mut out = BytesMut::new();
    let remark = Some(remark).filter(|remark| !remark.is_empty());
    command::put_answer(&mut out, opaque, ResponseCode(code), remark, payload);
    out.to_vec()
}

/// The answer that a message was stored.
pub fn stored_answer(opaque: i32) -> Vec<u8> {
    let stored = SendAnswer { offset_message_id: "0".repeat(32), ..SendAnswer::default() };
    answer(opaque, 0, "", &stored)
}

/// A typed request of the broker's own.
pub fn request_of<R: Request>(opaque: i32, oneway: bool, request: &R) -> Vec<u8> {
    let mut out = BytesMut::new();
    command::put_request(&mut out, opaque, oneway, request);
    out.to_vec()
}

/// A request of the broker's own.
pub fn request(code: i32, opaque: i32) -> Vec<u8> {
    let mut out = BytesMut::new();
    Command::request(RequestCode(code), opaque, Fields::new(), Bytes::new()).encode(&mut out);
    out.to_vec()
}

/// A frame with this header and no body, whatever the header is.
pub fn frame_of(header: &[u8]) -> Vec<u8> {
    let mut out = ((header.len() + 4) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(header.len() as u32).to_be_bytes());
    out.extend_from_slice(header);
    out
}

// ---- name servers ----

/// What a name server says of a topic.
#[derive(Debug, Clone)]
pub enum Say {
    Route(TopicRoute),
    /// Success, with this body.
    Body(Vec<u8>),
    Code(i32),
    /// Nothing at all.
    Nothing,
    /// Not even a frame.
    Bytes(Vec<u8>),
    Later(Duration, Box<Say>),
}

/// A name server. It lives as long as the test's runtime.
#[derive(Clone)]
pub struct NameServer(Arc<Names>);

struct Names {
    address: SocketAddr,
    topics: Mutex<HashMap<String, Say>>,
    /// What is said of every other topic.
    otherwise: Mutex<Say>,
    asked: Mutex<Vec<(String, Instant)>>,
    requests: Mutex<Vec<Command>>,
    accepted: AtomicUsize,
    /// Connections that have ended.
    ended: AtomicUsize,
}

impl NameServer {
    /// A name server that knows no topic.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self(Arc::new(Names {
            address: listener.local_addr().unwrap(),
            topics: Mutex::default(),
            otherwise: Mutex::new(Say::Code(17)),
            asked: Mutex::default(),
            requests: Mutex::default(),
            accepted: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
        }));
        let accepting = server.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                accepting.0.accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        server
    }

    /// One that has queues of every topic on these brokers, `queues` on each.
    pub async fn of(brokers: &[&Broker], queues: i32) -> Self {
        let server = Self::start().await;
        server.otherwise(Say::Route(route(brokers, queues)));
        server
    }

    pub fn address(&self) -> String {
        self.0.address.to_string()
    }

    /// Says this of a topic from now on.
    pub fn say(&self, topic: &str, say: Say) {
        self.0.topics.lock().unwrap().insert(topic.into(), say);
    }

    /// Says this of every topic that it was told nothing of.
    pub fn otherwise(&self, say: Say) {
        *self.0.otherwise.lock().unwrap() = say;
    }

    /// What it was asked.
    pub fn requests(&self) -> Vec<Command> {
        self.0.requests.lock().unwrap().clone()
    }

    /// How often it was asked for a topic.
    pub fn asked(&self, topic: &str) -> usize {
        self.0.asked.lock().unwrap().iter().filter(|(asked, _)| asked == topic).count()
    }

    pub fn connections(&self) -> usize {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Connections that have not ended.
    pub fn open_connections(&self) -> usize {
        self.connections() - self.0.ended.load(Ordering::Relaxed)
    }

    async fn serve(self, stream: TcpStream) {
        let (mut reader, mut writer) = stream.into_split();
        let (out, mut queue) = mpsc::unbounded_channel::<Vec<u8>>();
        tokio::spawn(async move {
            while let Some(bytes) = queue.recv().await {
                drop(writer.write_all(&bytes).await);
            }
        });
        let mut input = BytesMut::new();
        loop {
            while let Some(frame) = Frame::take(&mut input, MAX_FRAME).unwrap() {
                let command = Command::decode(frame).unwrap();
                let Ok(asked) = command.read::<RouteOf>() else { continue };
                self.0.requests.lock().unwrap().push(command.clone());
                let say = self.look_up(&asked.topic);
                give(command.opaque, say, &out);
            }
            if reader.read_buf(&mut input).await.unwrap_or_default() == 0 {
                self.0.ended.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }

    fn look_up(&self, topic: &str) -> Say {
        self.0.asked.lock().unwrap().push((topic.into(), Instant::now()));
        let known = self.0.topics.lock().unwrap().get(topic).cloned();
        known.unwrap_or_else(|| self.0.otherwise.lock().unwrap().clone())
    }
}

fn give(opaque: i32, say: Say, out: &mpsc::UnboundedSender<Vec<u8>>) {
    let bytes = match say {
        Say::Route(route) => answer(opaque, 0, "", &route),
        Say::Code(code) => answer(opaque, code, "", &Empty),
        Say::Nothing => return,
        Say::Bytes(bytes) => bytes,
        Say::Body(body) => {
            let mut command =
                Command::request(RequestCode(0), opaque, Fields::new(), Bytes::from(body));
            command.flag = 1;
            let mut bytes = BytesMut::new();
            command.encode(&mut bytes);
            bytes.to_vec()
        }
        Say::Later(delay, say) => {
            let out = out.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                give(opaque, *say, &out);
            });
            return;
        }
    };
    let _ = out.send(bytes);
}

/// A route over these brokers, with `queues` writable queues on each.
pub fn route(brokers: &[&Broker], queues: i32) -> TopicRoute {
    TopicRoute {
        brokers: brokers
            .iter()
            .map(|broker| broker_data(broker.name(), &broker.address()))
            .collect(),
        queues: brokers.iter().map(|broker| queue_data(broker.name(), queues, 6)).collect(),
        ..TopicRoute::default()
    }
}

/// A master at an address.
pub fn broker_data(name: &str, address: &str) -> BrokerData {
    BrokerData {
        broker_name: name.into(),
        broker_addrs: BTreeMap::from([(0, address.into())]),
        ..BrokerData::default()
    }
}

pub fn queue_data(broker: &str, queues: i32, perm: i32) -> QueueData {
    QueueData {
        broker_name: broker.into(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm,
        ..QueueData::default()
    }
}

// ---- addresses where nobody answers ----

/// An address that takes no connection and refuses none: its backlog is full.
pub struct BlackHole {
    address: SocketAddr,
    _listener: socket2::Socket,
    _fillers: Vec<socket2::Socket>,
}

impl BlackHole {
    pub fn open() -> Self {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let fillers = (0..4).map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            drop(filler.connect(&address));
            filler
        });
        let fillers = fillers.collect();
        std::thread::sleep(Duration::from_millis(20));
        Self { address: address.as_socket().unwrap(), _listener: listener, _fillers: fillers }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

/// An address that refuses connections.
pub async fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

// ---- producers, and what must hold of them ----

/// A producer that gives a send three seconds, and sends bodies as they are.
pub fn producer(servers: &[&NameServer]) -> ProducerBuilder {
    let list: Vec<String> = servers.iter().map(|server| server.address()).collect();
    Producer::builder("faults", list.join(";"))
        .send_timeout(Duration::from_secs(3))
        .compress_from(usize::MAX)
}

/// A broker, its name server, and a producer for them.
pub async fn one_broker() -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    (broker, server, producer)
}

/// Two brokers, their name server, and a producer for them.
pub async fn two_brokers() -> (Broker, Broker, NameServer, Producer) {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let server = NameServer::of(&[&a, &b], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    (a, b, server, producer)
}

/// Awaits a condition; fails when it does not come about.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANG, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Awaits something that must not hang.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.expect("this hangs")
}

/// Polls a future once.
pub fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// What the producer has counted when all have ended: whoever ends a message counts it a moment
/// after its end can be seen.
pub fn settled(producer: &Producer) -> Stats {
    for _ in 0..1000 {
        if producer.stats().in_flight == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    producer.stats()
}

/// Every message has ended, each once, and none holds anything any more.
#[track_caller]
pub fn assert_all_ended(producer: &Producer) {
    let stats = settled(producer);
    let ended = stats.acked + stats.not_stored + stats.unknown + stats.oneway + stats.withdrawn;
    assert_eq!((stats.sent, stats.in_flight), (ended, 0), "{stats:?}");
}

/// The unique ids in a list.
pub fn ids(list: &[Seen]) -> HashSet<String> {
    list.iter().map(|seen| seen.id.clone()).collect()
}

/// The first copy of each stored message, in the order of storing.
pub fn first_copies(stored: &[Seen]) -> Vec<Seen> {
    let mut known = HashSet::new();
    stored.iter().filter(|seen| known.insert(seen.id.clone())).cloned().collect()
}

/// Locks, whatever a panicking test has left.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
