//! A server that answers as a test says, for what the embedded broker never does.

#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::{BrokerData, Empty, Payload, QueueData, RouteOf, TopicRoute};
use posthaste_protocol::{Command, Frame, RequestCode, ResponseCode, command};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Writes an answer to the request of this number.
type Put = Box<dyn FnOnce(i32, &mut BytesMut) + Send>;

/// What is said to a request.
pub(crate) enum Reply {
    Answer(Put),
    Nothing,
    /// The connection is closed.
    Close,
}

impl Reply {
    /// An answer with this code, remark and content.
    pub(crate) fn new(code: i32, remark: &str, payload: impl Payload + Send + 'static) -> Self {
        let remark = Some(remark.to_owned()).filter(|remark| !remark.is_empty());
        Self::Answer(Box::new(move |opaque, out| {
            command::put_answer(out, opaque, ResponseCode(code), remark.as_deref(), &payload);
        }))
    }

    pub(crate) fn ok(payload: impl Payload + Send + 'static) -> Self {
        Self::new(0, "", payload)
    }

    pub(crate) fn refuse(code: i32, remark: &str) -> Self {
        Self::new(code, remark, Empty)
    }
}

type Script = Box<dyn FnMut(&Command) -> Reply + Send>;

/// A running server; it lives as long as the test's runtime.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: String,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<Command>>>,
    heartbeats: Arc<Mutex<Vec<Command>>>,
}

impl Server {
    /// Answers heartbeats itself, and everything else as the script says.
    pub(crate) async fn start(script: impl FnMut(&Command) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            script: Arc::new(Mutex::new(Box::new(script))),
            asked: Arc::default(),
            heartbeats: Arc::default(),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        server
    }

    /// A name server with these routes; of other topics it knows nothing.
    pub(crate) async fn names(
        routes: impl FnMut(&str) -> Option<TopicRoute> + Send + 'static,
    ) -> Self {
        let mut routes = routes;
        Self::start(move |request| {
            let asked: RouteOf = request.read().unwrap();
            routes(&asked.topic).map_or_else(|| Reply::refuse(17, "no route"), Reply::ok)
        })
        .await
    }

    pub(crate) fn script(&self, script: impl FnMut(&Command) -> Reply + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// The requests so far, without heartbeats.
    pub(crate) fn asked(&self) -> Vec<Command> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn heartbeats(&self) -> Vec<Command> {
        self.heartbeats.lock().unwrap().clone()
    }

    async fn serve(self, mut stream: TcpStream) {
        let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
        while matches!(stream.read_buf(&mut input).await, Ok(1..)) {
            while let Some(frame) = Frame::take(&mut input, MAX_FRAME).unwrap() {
                let request = Command::decode(frame).unwrap();
                let reply = match request.request_code() {
                    RequestCode::HEART_BEAT => {
                        self.heartbeats.lock().unwrap().push(request.clone());
                        Reply::ok(Empty)
                    }
                    _ => {
                        self.asked.lock().unwrap().push(request.clone());
                        (self.script.lock().unwrap())(&request)
                    }
                };
                match reply {
                    Reply::Answer(put) => put(request.opaque, &mut out),
                    Reply::Nothing => {}
                    Reply::Close => return,
                }
            }
            if stream.write_all_buf(&mut out).await.is_err() {
                return;
            }
        }
    }
}

/// A route with `queues` queues on each of these brokers, by name and address.
pub(crate) fn route(brokers: &[(&str, &str)], queues: i32) -> TopicRoute {
    let broker = |(name, address): &(&str, &str)| BrokerData {
        broker_name: (*name).to_owned(),
        broker_addrs: BTreeMap::from([(0, (*address).to_owned())]),
        ..BrokerData::default()
    };
    let of_broker = |(name, _): &(&str, &str)| QueueData {
        broker_name: (*name).to_owned(),
        perm: 6,
        read_queue_nums: queues,
        write_queue_nums: queues,
        ..QueueData::default()
    };
    TopicRoute {
        brokers: brokers.iter().map(broker).collect(),
        queues: brokers.iter().map(of_broker).collect(),
        ..TopicRoute::default()
    }
}

/// Stored messages back to back.
pub(crate) fn records(offsets: impl IntoIterator<Item = i64>) -> Bytes {
    let mut out = BytesMut::new();
    for offset in offsets {
        let host = ([127, 0, 0, 1], 1).into();
        let stored = posthaste_protocol::StoredMessage {
            topic: "t".into(),
            queue_id: 0,
            queue_offset: offset,
            physical_offset: offset * 100,
            flag: 0,
            sys_flag: 0,
            born_at_ms: 0,
            born_host: host,
            stored_at_ms: 0,
            store_host: host,
            reconsume_times: 0,
            prepared_offset: 0,
            body: Bytes::from(format!("m{offset}")),
            properties: String::new(),
        };
        stored.encode(&mut out);
    }
    out.freeze()
}
