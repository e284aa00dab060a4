//! An engine whose time is moved by hand.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use posthaste_protocol::command::put_request;
use posthaste_protocol::request::{
    ConsumerGroup, CreateTopic, Heartbeat, Pull, PullAnswer, SendMessage, Subscription, pull_flag,
};
use posthaste_protocol::{Command, Frame, ResponseCode, StoredMessage, frame};

use crate::engine::effects::Effects;
use crate::engine::halves::Timing;
use crate::engine::{Engine, Identity, Millis, SessionId};
use crate::request::Request;
use crate::store::{MemoryStore, Store};

/// The time at which every test begins.
pub(super) const START: Millis = 1_700_000_000_000;

/// As 5.x has it.
const TIMING: Timing = Timing { first_ms: 6_000, again_ms: 30_000, most: 15 };

pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) now: Millis,
    pub(super) effects: Effects,
    opaque: i32,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_store(Box::new(MemoryStore::new(1 << 30)))
    }

    pub(super) fn with_store(store: Box<dyn Store>) -> Self {
        Self::with(store, Some(8))
    }

    pub(super) fn with(store: Box<dyn Store>, auto_create_queues: Option<u16>) -> Self {
        let identity = Identity {
            cluster: "DefaultCluster".into(),
            broker: "dev".into(),
            address: "127.0.0.1:10911".into(),
            store_host: SocketAddr::from((Ipv4Addr::LOCALHOST, 10911)),
            auto_create_queues,
        };
        let mut engine = Engine::new(identity, TIMING, store, 42).expect("engine");
        engine.create_topics(&[("orders".into(), 4)]).expect("topics");
        for session in 0..4 {
            let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000 + session as u16));
            engine.open(START, SessionId(session), peer);
        }
        Self { engine, now: START, effects: Effects::default(), opaque: 0 }
    }

    /// Hands a request over, without ending the turn; gives back its number.
    pub(super) fn put<R: posthaste_protocol::Request>(&mut self, session: u64, request: &R) -> i32 {
        self.put_as(session, request, false)
    }

    pub(super) fn put_as<R: posthaste_protocol::Request>(
        &mut self,
        session: u64,
        request: &R,
        oneway: bool,
    ) -> i32 {
        self.opaque += 1;
        let mut bytes = BytesMut::new();
        put_request(&mut bytes, self.opaque, oneway, request);
        let command = commands(bytes).remove(0);
        let request = Request::of(&command);
        self.engine.handle(self.now, SessionId(session), request, &mut self.effects);
        self.opaque
    }

    /// Ends the turn; what leaves, by session.
    pub(super) fn settle(&mut self) -> Vec<(u64, Command)> {
        self.engine.settle(self.now, &mut self.effects);
        self.taken()
    }

    /// What may leave, by session.
    pub(super) fn taken(&mut self) -> Vec<(u64, Command)> {
        let mut all = Vec::new();
        for (session, bytes) in self.effects.take_ready() {
            all.extend(commands(bytes).into_iter().map(|command| (session.0, command)));
        }
        all.sort_by_key(|(session, command)| (*session, command.opaque));
        all
    }

    /// One request, one turn, one answer.
    pub(super) fn ask<R: posthaste_protocol::Request>(
        &mut self,
        session: u64,
        request: &R,
    ) -> Command {
        let opaque = self.put(session, request);
        let left = self.settle();
        let answer = left.into_iter().find(|(to, c)| *to == session && c.is_answer());
        let (_, answer) = answer.expect("an answer");
        assert_eq!(answer.opaque, opaque);
        answer
    }

    pub(super) fn code<R: posthaste_protocol::Request>(
        &mut self,
        session: u64,
        request: &R,
    ) -> ResponseCode {
        self.ask(session, request).response_code()
    }

    pub(super) fn call<R: posthaste_protocol::Request>(
        &mut self,
        session: u64,
        request: &R,
    ) -> R::Answer {
        let answer = self.ask(session, request);
        assert_eq!(answer.response_code(), ResponseCode::SUCCESS, "{:?}", answer.remark);
        answer.read().expect("the answer's type")
    }

    /// Lets time pass, with a turn whenever something is due.
    pub(super) fn pass(&mut self, ms: Millis) -> Vec<(u64, Command)> {
        let until = self.now + ms;
        let mut left = Vec::new();
        while let Some(due) = self.engine.next_wake().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.engine.tick(self.now, &mut self.effects);
            left.extend(self.settle());
        }
        self.now = until;
        left
    }

    /// All messages of a queue that consumers see.
    pub(super) fn read(&mut self, topic: &str, queue_id: i32) -> Vec<StoredMessage> {
        let mut all = Vec::new();
        let mut next = 0;
        loop {
            let answer = self.ask(3, &pull(topic, queue_id, next));
            let found: PullAnswer = answer.read().expect("pull answer");
            next = found.next_offset;
            match answer.response_code() {
                ResponseCode::SUCCESS => {
                    all.extend(StoredMessage::decode_all(found.messages).expect("records"));
                }
                ResponseCode::PULL_OFFSET_MOVED => {}
                ResponseCode::PULL_NOT_FOUND => return all,
                other => panic!("{other}: {:?}", answer.remark),
            }
        }
    }

    pub(super) fn bodies(&mut self, topic: &str, queue_id: i32) -> Vec<String> {
        let text = |m: StoredMessage| String::from_utf8_lossy(&m.body).into_owned();
        self.read(topic, queue_id).into_iter().map(text).collect()
    }
}

pub(super) fn commands(mut bytes: BytesMut) -> Vec<Command> {
    let mut all = Vec::new();
    while let Some(frame) = Frame::take(&mut bytes, frame::MAX_FRAME).expect("frame") {
        all.push(Command::decode(frame).expect("command"));
    }
    all
}

pub(super) fn message(topic: &str, queue_id: i32, body: &str) -> SendMessage<'static> {
    SendMessage {
        group: "producers".into(),
        topic: topic.to_owned().into(),
        default_topic: "TBW102".into(),
        default_topic_queues: 4,
        queue_id,
        born_at_ms: START - 5,
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..SendMessage::default()
    }
}

pub(super) fn with_properties(
    properties: &[(&str, &str)],
    message: SendMessage<'static>,
) -> SendMessage<'static> {
    let mut text = String::new();
    for (name, value) in properties {
        posthaste_protocol::properties::push(&mut text, name, value);
    }
    SendMessage { properties: text.into(), ..message }
}

pub(super) fn pull(topic: &str, queue_id: i32, offset: i64) -> Pull {
    Pull {
        group: "readers".into(),
        topic: topic.into(),
        queue_id,
        queue_offset: offset,
        max_messages: 32,
        sys_flag: pull_flag::SUBSCRIPTION,
        subscription: Some("*".into()),
        ..Pull::default()
    }
}

/// Gives topic `orders` this many queues.
pub(super) fn with_queues(count: i32) -> CreateTopic {
    CreateTopic {
        topic: "orders".into(),
        read_queues: count,
        write_queues: count,
        perm: 6,
        ..CreateTopic::default()
    }
}

pub(super) fn waiting(ms: i64, pull: Pull) -> Pull {
    Pull { sys_flag: pull.sys_flag | pull_flag::SUSPEND, suspend_ms: ms, ..pull }
}

pub(super) fn heartbeat(client_id: &str, group: &str, subscription: Subscription) -> Heartbeat {
    Heartbeat {
        client_id: client_id.into(),
        consumers: vec![ConsumerGroup {
            group_name: group.into(),
            message_model: "CLUSTERING".into(),
            subscriptions: vec![subscription],
            ..ConsumerGroup::default()
        }],
        ..Heartbeat::default()
    }
}

pub(super) fn subscription(topic: &str, expression: &str, version: i64) -> Subscription {
    Subscription {
        topic: topic.into(),
        sub_string: expression.into(),
        sub_version: version,
        ..Subscription::default()
    }
}
