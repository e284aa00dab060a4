//! The operations that are measured, each under the name that it has in every table.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use posthaste_protocol::answer::{Stored, StoredReader};
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::id::{OffsetId, UniqueId};
use posthaste_protocol::properties::{self, Properties, name};
use posthaste_protocol::request::{
    BrokerData, DEFAULT_TOPIC, OwnFields, QueueData, SendAnswer, SendBatch, SendMessage,
    SendTemplate, TopicRoute,
};
use posthaste_protocol::{
    Command, Fields, Frame, HeaderEncoding, Incoming, Payload, ReceivedSend, ResponseCode,
    SendReader, batch, command,
};

/// What is measured: runs the operation once.
pub(crate) type Operation = Box<dyn FnMut()>;

/// An operation's name, and what prepares it.
pub(crate) type Named = (&'static str, fn() -> Operation);

/// Every operation of the wire.
pub(crate) const ALL: &[Named] = &[
    ("encode a send", || encode_sends(1)),
    ("encode a send by its template", encode_by_template),
    ("encode a batch of 32", || encode_sends(32)),
    ("encode a batch of 1,024", || encode_sends(1024)),
    ("decode a send", decode_send),
    ("peek at a send", peek_at_send),
    ("peek at a send like the one before", peek_at_next_send),
    ("encode an answer", encode_answer),
    ("decode an answer", decode_answer),
    ("peek at an answer, JSON", || peek_at_answer(HeaderEncoding::Json, 1)),
    ("peek at an answer like the one before", peek_again),
    ("peek at an answer, binary", || peek_at_answer(HeaderEncoding::Binary, 1)),
    ("peek at an answer to a batch of 1,024", || peek_at_answer(HeaderEncoding::Json, 1024)),
    ("encode properties", encode_properties),
    ("decode properties", decode_properties),
    ("find a property", find_property),
    ("write a unique id", write_unique_id),
    ("decode a batch of 32", || decode_batch(32)),
    ("read a route", read_route),
];

const BODY: [u8; 128] = [b'x'; 128];
const OFFSET_ID: OffsetId = OffsetId {
    host: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 10911),
    offset: 123_456_789,
};
const UNIQUE_ID: UniqueId = UniqueId {
    ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
    process: 4711,
    instance: 0x18B4_AAC2,
    time_ms: 1_234_567_890,
    counter: 7,
};

/// What a message carries beside its body: tag, key, wait flag and unique id.
fn put_properties(text: &mut String) {
    put_own_properties(text);
    put_common_properties(text);
}

fn put_own_properties(text: &mut String) {
    properties::push(text, name::TAGS, "new");
    properties::push(text, name::KEYS, "order-4711");
}

fn put_common_properties(text: &mut String) {
    properties::push(text, name::WAIT, "true");
    properties::push(text, name::UNIQ_KEY, UNIQUE_ID.text().as_str());
}

fn send(properties: &str) -> SendMessage<'_> {
    SendMessage {
        group: "order-service".into(),
        topic: "orders".into(),
        default_topic: DEFAULT_TOPIC.into(),
        default_topic_queues: 4,
        queue_id: 3,
        born_at_ms: 1_700_000_000_000,
        properties: properties.into(),
        broker_name: Some("broker-a".into()),
        body: Bytes::from_static(&BODY),
        ..SendMessage::default()
    }
}

fn put_send(out: &mut BytesMut, scratch: &mut String, messages: usize) {
    scratch.clear();
    if messages == 1 {
        put_properties(scratch);
        return command::put_request(out, 4711, false, &send(scratch));
    }
    properties::push(scratch, name::WAIT, "true");
    let request = SendBatch(send("WAIT\u{1}true\u{2}"));
    command::put_request_with(out, 4711, false, &request, |out| {
        for _ in 0..messages {
            scratch.clear();
            put_properties(scratch);
            batch::put_entry(out, 0, &BODY, scratch);
        }
    });
}

fn encode_sends(messages: usize) -> Operation {
    let (mut out, mut scratch) = (BytesMut::with_capacity(1 << 20), String::with_capacity(1024));
    Box::new(move || {
        out.clear();
        put_send(black_box(&mut out), &mut scratch, messages);
    })
}

fn encode_by_template() -> Operation {
    let (mut out, mut scratch) = (BytesMut::with_capacity(1 << 20), String::with_capacity(1024));
    put_common_properties(&mut scratch);
    let id = UNIQUE_ID.text();
    let template = SendTemplate::of(&send(&scratch), &id);
    Box::new(move || {
        out.clear();
        scratch.clear();
        put_own_properties(&mut scratch);
        let own = OwnFields {
            queue_id: 3,
            born_at_ms: 1_700_000_000_000,
            properties: &scratch,
            id: black_box(&id),
        };
        template.put(black_box(&mut out), 4711, false, &own, |out| out.extend_from_slice(&BODY));
    })
}

fn frame_of(put: impl FnOnce(&mut BytesMut)) -> Frame {
    let mut out = BytesMut::new();
    put(&mut out);
    Frame::take(&mut out, MAX_FRAME).unwrap().unwrap()
}

fn decode_send() -> Operation {
    let frame = send_frame();
    Box::new(move || {
        let command = Command::decode(black_box(&frame).clone()).unwrap();
        black_box(Incoming::read(&command).unwrap());
    })
}

fn send_frame() -> Frame {
    frame_of(|out| put_send(out, &mut String::new(), 1))
}

fn peek_at_send() -> Operation {
    let frame = send_frame();
    Box::new(move || drop(black_box(ReceivedSend::peek(black_box(&frame)).unwrap())))
}

fn peek_at_next_send() -> Operation {
    let (frame, mut reader) = (send_frame(), SendReader::default());
    Box::new(move || drop(black_box(reader.peek(black_box(&frame)).unwrap())))
}

fn answer(messages: usize) -> SendAnswer {
    let ids = vec![OFFSET_ID.to_string(); messages];
    SendAnswer {
        offset_message_id: ids.join(","),
        queue_id: 3,
        queue_offset: 123_456,
        transaction_id: Some(UNIQUE_ID.to_string()),
        region: Some("DefaultRegion".into()),
        trace_on: Some(true),
        ..SendAnswer::default()
    }
}

fn encode_answer() -> Operation {
    let mut out = BytesMut::with_capacity(1024);
    let answer = answer(1);
    Box::new(move || {
        out.clear();
        command::put_answer(&mut out, 4711, ResponseCode::SUCCESS, None, black_box(&answer));
    })
}

fn answer_frame(encoding: HeaderEncoding, messages: usize) -> Frame {
    let frame = frame_of(|out| {
        command::put_answer(out, 4711, ResponseCode::SUCCESS, None, &answer(messages));
    });
    let command = Command { encoding, ..Command::decode(frame).unwrap() };
    frame_of(|out| command.encode(out))
}

fn decode_answer() -> Operation {
    let frame = answer_frame(HeaderEncoding::Json, 1);
    Box::new(move || {
        let command = Command::decode(black_box(&frame).clone()).unwrap();
        black_box(Stored::of(&command).unwrap().unwrap());
    })
}

fn peek_at_answer(encoding: HeaderEncoding, messages: usize) -> Operation {
    let frame = answer_frame(encoding, messages);
    Box::new(move || {
        let stored = Stored::peek(black_box(&frame).view()).unwrap();
        assert_eq!(stored.offset_message_ids().count(), messages);
    })
}

fn peek_again() -> Operation {
    let (frame, mut reader) = (answer_frame(HeaderEncoding::Json, 1), StoredReader::default());
    Box::new(move || {
        let stored = reader.peek(black_box(&frame).view()).unwrap();
        assert_eq!(stored.offset_message_ids().count(), 1);
    })
}

fn encode_properties() -> Operation {
    let mut text = String::with_capacity(1024);
    Box::new(move || {
        text.clear();
        put_properties(black_box(&mut text));
    })
}

fn properties_text() -> String {
    let mut text = String::new();
    put_properties(&mut text);
    text
}

fn decode_properties() -> Operation {
    let text = properties_text();
    Box::new(move || drop(black_box(Properties::decode(black_box(&text)))))
}

fn find_property() -> Operation {
    let text = properties_text();
    Box::new(move || {
        black_box(properties::find(black_box(&text), name::KEYS));
    })
}

fn write_unique_id() -> Operation {
    Box::new(|| {
        black_box(black_box(UNIQUE_ID).text().as_str());
    })
}

fn decode_batch(messages: usize) -> Operation {
    let body = frame_of(|out| put_send(out, &mut String::new(), messages)).body;
    Box::new(move || drop(black_box(batch::decode(black_box(&body).clone()).unwrap())))
}

fn read_route() -> Operation {
    let names = ["broker-a", "broker-b", "broker-c", "broker-d"];
    let route = TopicRoute {
        brokers: names
            .map(|name| BrokerData {
                broker_addrs: [(0, "10.0.0.1:10911".into()), (1, "10.0.0.2:10911".into())].into(),
                broker_name: name.into(),
                cluster: "DefaultCluster".into(),
                ..BrokerData::default()
            })
            .into(),
        queues: names
            .map(|name| QueueData {
                broker_name: name.into(),
                perm: 6,
                read_queue_nums: 8,
                write_queue_nums: 8,
                topic_sys_flag: Some(0),
                ..QueueData::default()
            })
            .into(),
        ..TopicRoute::default()
    };
    let body = Bytes::from(route.body().into_owned());
    Box::new(move || {
        let route = TopicRoute::read(&Fields::new(), black_box(&body)).unwrap();
        black_box(route);
    })
}
