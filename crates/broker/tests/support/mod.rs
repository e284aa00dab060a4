//! A client made of the protocol crate and a socket, for the tests of the broker.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic, and not every test uses everything"
)]

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use posthaste_protocol::command::put_request;
use posthaste_protocol::request::{Pull, PullAnswer, SendAnswer, SendMessage, pull_flag};
use posthaste_protocol::{Command, Frame, Payload, Request, ResponseCode, StoredMessage, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far longer than anything here takes; a test that waits this long has found a bug.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Client {
    pub socket: TcpStream,
    buffer: BytesMut,
    opaque: i32,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("connect");
        socket.set_nodelay(true).expect("nodelay");
        Self { socket, buffer: BytesMut::new(), opaque: 0 }
    }

    /// Sends a request without waiting for the answer; gives back its number.
    pub async fn put<R: Request>(&mut self, request: &R, oneway: bool) -> i32 {
        self.opaque += 1;
        let mut out = BytesMut::new();
        put_request(&mut out, self.opaque, oneway, request);
        self.socket.write_all(&out).await.expect("write");
        self.opaque
    }

    pub async fn put_raw(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.expect("write");
    }

    /// Bytes that a test has read from the socket itself.
    pub fn put_back(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub async fn try_put_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// The next command; `None` when the broker has closed the connection.
    pub async fn next(&mut self) -> Option<Command> {
        let read = async {
            loop {
                if let Some(frame) = Frame::take(&mut self.buffer, frame::MAX_FRAME).expect("frame")
                {
                    return Some(Command::decode(frame).expect("command"));
                }
                match self.socket.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer, or the end")
    }

    /// The answer to a request; requests of the broker are passed over.
    pub async fn answer_to(&mut self, opaque: i32) -> Command {
        loop {
            let command = self.next().await.expect("an answer");
            if command.is_answer() && command.opaque == opaque {
                return command;
            }
        }
    }

    /// Sends a request and waits for its answer, which must be the next command.
    pub async fn ask<R: Request>(&mut self, request: &R) -> Command {
        let opaque = self.put(request, false).await;
        let answer = self.next().await.expect("an answer");
        assert!(answer.is_answer());
        assert_eq!(answer.opaque, opaque);
        answer
    }

    /// Sends a request that must succeed.
    pub async fn call<R: Request>(&mut self, request: &R) -> R::Answer {
        let answer = self.ask(request).await;
        assert_eq!(answer.response_code(), ResponseCode::SUCCESS, "{:?}", answer.remark);
        answer.read().expect("the answer's type")
    }

    /// Sends a request that must fail; gives back the code.
    pub async fn refused<R: Request>(&mut self, request: &R) -> ResponseCode {
        let answer = self.ask(request).await;
        assert!(answer.remark.is_some(), "an error without a remark");
        answer.response_code()
    }

    pub async fn send(&mut self, topic: &str, queue_id: i32, body: &str) -> SendAnswer {
        self.call(&message(topic, queue_id, body)).await
    }

    /// All messages of a queue from `offset` on, without waiting.
    pub async fn read(&mut self, topic: &str, queue_id: i32, offset: i64) -> Vec<StoredMessage> {
        let mut all = Vec::new();
        let mut next = offset;
        loop {
            let answer = self.ask(&pull(topic, queue_id, next)).await;
            let code = answer.response_code();
            let found: PullAnswer = answer.read().expect("pull answer");
            next = found.next_offset;
            match code {
                ResponseCode::SUCCESS => {
                    all.extend(StoredMessage::decode_all(found.messages).expect("records"));
                }
                ResponseCode::PULL_NOT_FOUND => return all,
                other => panic!("{other}: {:?}", answer.remark),
            }
        }
    }
}

pub fn message(topic: &str, queue_id: i32, body: &str) -> SendMessage<'static> {
    SendMessage {
        group: "producers".into(),
        topic: Cow::Owned(topic.to_owned()),
        default_topic: "TBW102".into(),
        default_topic_queues: 4,
        queue_id,
        born_at_ms: 1_700_000_000_000,
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..SendMessage::default()
    }
}

pub fn pull(topic: &str, queue_id: i32, offset: i64) -> Pull {
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

pub fn waiting_pull(topic: &str, queue_id: i32, offset: i64, suspend: Duration) -> Pull {
    Pull {
        sys_flag: pull_flag::SUBSCRIPTION | pull_flag::SUSPEND,
        suspend_ms: suspend.as_millis() as i64,
        ..pull(topic, queue_id, offset)
    }
}

/// A command as a frame.
pub fn encoded(command: &Command) -> BytesMut {
    let mut out = BytesMut::new();
    command.encode(&mut out);
    out
}

/// A request as a frame.
pub fn frame_of<P: Payload + Request>(opaque: i32, oneway: bool, request: &P) -> BytesMut {
    let mut out = BytesMut::new();
    put_request(&mut out, opaque, oneway, request);
    out
}
