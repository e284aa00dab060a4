//! A name server that answers as the test says, and routes for it to give.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::{BrokerData, Empty, QueueData, RouteOf, TopicRoute};
use posthaste_protocol::{Command, Fields, Frame, RequestCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use super::broker::Broker;
use super::frames::answer;

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
    /// This, once a permit of the gate is there, which it takes.
    Once(Arc<Semaphore>, Box<Say>),
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

    /// The answer for every topic without one of its own.
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
        Say::Once(gate, say) => {
            let out = out.clone();
            tokio::spawn(async move {
                gate.acquire().await.unwrap().forget();
                give(opaque, *say, &out);
            });
            return;
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
