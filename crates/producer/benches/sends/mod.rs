//! Whole sends through a producer, to a peer that answers at once and stores nothing.
//!
//! The producer's tasks run on the thread that is measured; the peer has separate threads.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use bytes::BytesMut;
use posthaste::{Message, Producer};
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::{BrokerData, Empty, QueueData, SendAnswer, TopicRoute};
use posthaste_protocol::{Command, Frame, Incoming, ResponseCode, batch, command};
use tokio::runtime::{Builder, Runtime};

use crate::operations::{Named, Operation};

/// Every operation.
pub(crate) const ALL: &[Named] =
    &[("send one message", || send(1)), ("send 256 messages at once", || send(256))];

const BODY: &[u8] = &[b'x'; 128];

fn send(at_once: usize) -> Operation {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let producer = start(&runtime);
    let mut deliveries = Vec::with_capacity(at_once);
    Box::new(move || {
        runtime.block_on(async {
            for _ in 0..at_once {
                deliveries.push(producer.enqueue(message()).await.unwrap());
            }
            for delivery in deliveries.drain(..) {
                delivery.await.unwrap();
            }
        });
    })
}

fn message() -> Message {
    Message::new("orders", BODY)
}

fn start(runtime: &Runtime) -> Producer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_all(stream, address));
        }
    });
    let builder = Producer::builder("order-service", address.to_string());
    runtime.block_on(builder.start()).unwrap()
}

/// Answers whatever was read, in one write, until the other side goes.
fn answer_all(mut stream: TcpStream, address: SocketAddr) {
    stream.set_nodelay(true).unwrap();
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let mut piece = vec![0; 256 * 1024];
    loop {
        let length = match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        input.extend_from_slice(piece.get(..length).unwrap_or_default());
        while let Some(frame) = Frame::take(&mut input, MAX_FRAME).unwrap() {
            put_answer(&mut out, &Command::decode(frame).unwrap(), address);
        }
        if stream.write_all(&out).is_err() {
            return;
        }
        out.clear();
    }
}

fn put_answer(out: &mut BytesMut, request: &Command, address: SocketAddr) {
    let (opaque, code) = (request.opaque, ResponseCode::SUCCESS);
    match Incoming::read(request).unwrap() {
        Incoming::Send(send) => {
            let messages = if send.batch { batch::decode(send.body).unwrap().len() } else { 1 };
            let answer = SendAnswer {
                offset_message_id: vec!["7F00000100002A9F00000000075BCD15"; messages].join(","),
                queue_id: send.queue_id,
                region: Some("DefaultRegion".into()),
                ..SendAnswer::default()
            };
            command::put_answer(out, opaque, code, None, &answer);
        }
        Incoming::RouteOf(_) => command::put_answer(out, opaque, code, None, &route(address)),
        _ => command::put_answer(out, opaque, code, None, &Empty),
    }
}

fn route(address: SocketAddr) -> TopicRoute {
    TopicRoute {
        brokers: vec![BrokerData {
            broker_addrs: [(0, address.to_string())].into(),
            broker_name: "broker-a".into(),
            ..BrokerData::default()
        }],
        queues: vec![QueueData {
            broker_name: "broker-a".into(),
            perm: 6,
            read_queue_nums: 8,
            write_queue_nums: 8,
            ..QueueData::default()
        }],
        ..TopicRoute::default()
    }
}
