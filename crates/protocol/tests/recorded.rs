//! Traffic of official clients and servers: see `recorded/README.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;
#[path = "targets/mod.rs"]
mod targets;

use std::collections::{BTreeMap, HashMap};

use bytes::{Bytes, BytesMut};
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::{
    ConsumerList, Empty, LockedQueues, OffsetAnswer, PullAnswer, QueryAnswer, RawBody,
    RecallAnswer, RecallHandle, SendAnswer, StoreTime, TopicRoute,
};
use posthaste_protocol::{
    Command, Frame, HeaderEncoding, Incoming, Payload, Properties, RequestCode, ResponseCode,
    StoredMessage, batch, command, json, properties,
};
use support::{RECORDINGS, Recorded, decode, encode, recorded};

#[test]
fn every_frame_is_read_and_written_again() {
    let mut counts = Vec::new();
    for (version, text) in RECORDINGS {
        let lines = recorded(text);
        for line in &lines {
            let command = line.command();
            let at = format!("{version}, line {}", line.n);
            assert_eq!(command.code, line.code, "{at}");
            assert_eq!(command.opaque, line.opaque, "{at}");
            assert_eq!(command.is_answer(), line.is_answer(), "{at}");
            assert_eq!(command.is_oneway(), line.kind == "oneway", "{at}");
            assert_eq!(command.encoding, HeaderEncoding::Json, "{at}");
            assert_eq!(command.body, line.body(), "{at}");
            let written = encode(&command);
            assert!(written.ends_with(&line.body()), "{at}");
            assert_eq!(decode(&written), command, "{at}");
            let binary = Command { encoding: HeaderEncoding::Binary, ..command };
            let written = encode(&binary);
            assert!(written.ends_with(&line.body()), "{at}");
            assert_eq!(decode(&written), binary, "{at}");
        }
        counts.push(lines.len());
    }
    assert_eq!(counts, [175, 185, 189]);
}

/// What is written differs from what was recorded in the order of the keys alone.
#[test]
fn headers_are_written_with_the_same_content() {
    for (version, text) in RECORDINGS {
        for line in recorded(text) {
            let mut ours = header_of(&encode(&line.command()));
            let mut theirs = header_of(&line.bytes());
            for header in [&mut ours, &mut theirs] {
                // Java leaves empty fields out, and 5.5.0 writes an empty remark into some answers.
                let members = header.as_object_mut().unwrap();
                members.entry("extFields").or_insert_with(|| serde_json::json!({}));
                members.entry("remark").or_insert_with(|| "".into());
            }
            assert_eq!(ours, theirs, "{version}, line {}", line.n);
        }
    }
}

fn header_of(frame: &[u8]) -> serde_json::Value {
    let length = u32::from_be_bytes(frame[4..8].try_into().unwrap()) as usize;
    serde_json::from_slice(&frame[8..8 + length]).unwrap()
}

#[test]
fn a_connection_is_read_as_a_stream() {
    for (_, text) in RECORDINGS {
        let lines = recorded(text);
        let mut stream = BytesMut::new();
        lines.iter().for_each(|line| stream.extend_from_slice(&line.bytes()));
        let mut read = 0;
        while let Some(frame) = Frame::take(&mut stream, MAX_FRAME).unwrap() {
            assert_eq!(Command::decode(frame).unwrap().opaque, lines[read].opaque);
            read += 1;
        }
        assert_eq!(read, lines.len());
        assert!(stream.is_empty());
    }
}

#[test]
fn sends_of_java_clients_are_read_where_they_lie() {
    for (version, text) in RECORDINGS {
        let sends = recorded(text).into_iter();
        let sends = sends.filter(|line| !line.is_answer() && [310, 320].contains(&line.code));
        let mut count = 0;
        for line in sends {
            let mut bytes = BytesMut::from(&*line.bytes());
            let frame = Frame::take(&mut bytes, MAX_FRAME).unwrap().unwrap();
            let read = targets::received_send_is_what_the_general_reader_reads(&frame);
            assert!(read, "{version}, line {}: {:?}", line.n, frame.header);
            count += 1;
        }
        assert!(count > 10, "{version}: {count}");
    }
}

#[test]
fn requests_have_types() {
    let mut typed = BTreeMap::new();
    for (version, text) in RECORDINGS {
        for line in recorded(text).iter().filter(|line| !line.is_answer()) {
            let command = line.command();
            let at = format!("{version}, line {}", line.n);
            let known = targets::incoming_round_trips(&command)
                .unwrap_or_else(|| panic!("{at}: {:?}", Incoming::read(&command)));
            assert!(known, "{at}");
            *typed.entry(line.code).or_insert(0) += 1;
        }
    }
    let typed: Vec<_> = typed.into_iter().collect();
    assert_eq!(
        typed,
        [
            (11, 24),
            (12, 6),
            (14, 24),
            (15, 24),
            (17, 3),
            (29, 3),
            (30, 4),
            (31, 3),
            (32, 3),
            (33, 3),
            (34, 24),
            (35, 24),
            (36, 2),
            (37, 11),
            (38, 24),
            (39, 2),
            (40, 9),
            (41, 19),
            (42, 5),
            (105, 24),
            (310, 45),
            (320, 3),
            (325, 8),
            (326, 2),
            (370, 1)
        ]
    );
}

/// Fields that types do not keep: empty attributes read as none, and the rest does not matter here
/// (`topicSysFlag` of a pull's answer; that of a topic's creation is in `vectors.rs`).
const LOST_FIELDS: [&str; 6] = [
    "attributes",
    "force",
    "topicSysFlag",
    "groupSysFlag",
    "IS_SUPPORT_HEART_BEAT_V2",
    "IS_SUB_CHANGE",
];

/// Members of subscriptions that are left out.
const LOST_MEMBERS: [&str; 2] = ["classFilterMode", "codeSet"];

/// What was recorded is in what was written again: each field, and the body or its members.
fn assert_kept(recorded: &Command, again: &Command, at: &str) {
    for (name, value) in recorded.fields.iter().filter(|(name, _)| !LOST_FIELDS.contains(name)) {
        assert_eq!(again.fields.get(name), Some(value), "{at}: {name}");
    }
    if recorded.body.starts_with(b"{") {
        let value = |body: &[u8]| serde_json::from_slice(&json::normalize(body).unwrap()).unwrap();
        assert_contains(&value(&again.body), &value(&recorded.body), at);
    } else {
        assert_eq!(again.body, recorded.body, "{at}");
    }
}

fn assert_contains(whole: &serde_json::Value, part: &serde_json::Value, at: &str) {
    use serde_json::Value::{Array, Object};
    match (whole, part) {
        (Object(whole), Object(part)) => {
            for (name, value) in
                part.iter().filter(|(name, _)| !LOST_MEMBERS.contains(&name.as_str()))
            {
                let there = whole.get(name).unwrap_or_else(|| panic!("{at}: {name}"));
                assert_contains(there, value, at);
            }
        }
        (Array(whole), Array(part)) => {
            assert_eq!(whole.len(), part.len(), "{at}");
            whole.iter().zip(part).for_each(|(whole, part)| assert_contains(whole, part, at));
        }
        _ => assert_eq!(whole, part, "{at}"),
    }
}

/// No field of a recorded request is lost by its type.
#[test]
fn requests_keep_their_fields() {
    let mut checked = 0;
    for (version, text) in RECORDINGS {
        for line in recorded(text).iter().filter(|line| !line.is_answer()) {
            let command = line.command();
            let Some(again) = written_again(&command) else { continue };
            let at = format!("{version}, line {}", line.n);
            assert_kept(&command, &again, &at);
            checked += 1;
        }
    }
    assert_eq!(checked, 300);
}

fn written_again(command: &Command) -> Option<Command> {
    let mut out = BytesMut::new();
    let (opaque, oneway) = (command.opaque, command.is_oneway());
    macro_rules! put {
        ($request:expr) => {
            command::put_request(&mut out, opaque, oneway, &$request)
        };
    }
    match Incoming::read(command).unwrap() {
        Incoming::Send(send) => put!(send),
        Incoming::Pull(request) => put!(request),
        Incoming::QueryConsumerOffset(request) => put!(request),
        Incoming::UpdateConsumerOffset(request) => put!(request),
        Incoming::CreateTopic(request) => put!(request),
        Incoming::SearchOffset(request) => put!(request),
        Incoming::MaxOffset(request) => put!(request),
        Incoming::MinOffset(request) => put!(request),
        Incoming::EarliestStoreTime(request) => put!(request),
        Incoming::ViewMessage(request) => put!(request),
        Incoming::Heartbeat(request) => put!(request),
        Incoming::UnregisterClient(request) => put!(request),
        Incoming::SendBack(request) => put!(request),
        Incoming::ConsumerListOf(request) => put!(request),
        Incoming::NotifyConsumerIdsChanged(request) => put!(request),
        Incoming::LockQueues(request) => put!(request),
        Incoming::UnlockQueues(request) => put!(request),
        Incoming::CheckClientConfig(request) => put!(request),
        Incoming::RouteOf(request) => put!(request),
        Incoming::TopicListOf(request) => put!(request),
        Incoming::QueryMessages(request) => put!(request),
        Incoming::EndTransaction(request) => put!(request),
        Incoming::CheckTransaction(request) => put!(request),
        Incoming::SendReply(request) => put!(request),
        Incoming::PushReply(request) => put!(request),
        Incoming::Recall(request) => put!(request),
        Incoming::Admin(request) => request.command(opaque).encode(&mut out),
        Incoming::Unknown(_) => return None,
    }
    let again = decode(&out);
    assert_eq!(again.is_oneway(), oneway);
    Some(again)
}

/// Every answer with the request that it belongs to.
fn answers(text: &str) -> Vec<(RequestCode, Recorded)> {
    let mut requests = HashMap::new();
    let mut answers = Vec::new();
    for line in recorded(text) {
        if line.is_answer() {
            let key = (line.connection, line.opaque, line.from == "client");
            let code = requests.remove(&key).expect("the request was recorded");
            answers.push((RequestCode(code), line));
        } else if line.kind == "request" {
            requests.insert((line.connection, line.opaque, line.from != "client"), line.code);
        }
    }
    answers
}

#[test]
fn answers_have_types() {
    let mut counts = BTreeMap::new();
    for (version, text) in RECORDINGS {
        for (request, line) in answers(text) {
            let command = line.command();
            let read = read_answer(request, &command);
            let read = read.unwrap_or_else(|| panic!("{version}, line {}", line.n));
            *counts.entry((request.0, command.code, read)).or_insert(0) += 1;
        }
    }
    let counts: Vec<_> = counts.into_iter().map(|((r, c, read), n)| (r, c, read, n)).collect();
    assert_eq!(
        counts,
        [
            (11, 0, "PullAnswer", 13),
            (11, 19, "PullAnswer", 9),
            (11, 21, "PullAnswer", 2),
            (12, 0, "QueryAnswer", 6),
            (14, 0, "OffsetAnswer", 22),
            (14, 22, "error", 2),
            (17, 0, "Empty", 3),
            (29, 0, "OffsetAnswer", 3),
            (30, 0, "OffsetAnswer", 4),
            (31, 0, "OffsetAnswer", 3),
            (32, 0, "StoreTime", 3),
            (33, 0, "RawBody", 3),
            (34, 0, "Empty", 24),
            (35, 0, "Empty", 24),
            (36, 0, "Empty", 2),
            (38, 0, "ConsumerList", 24),
            (41, 0, "LockedQueues", 19),
            (42, 0, "Empty", 3),
            (105, 0, "TopicRoute", 21),
            (105, 17, "error", 3),
            (310, 0, "SendAnswer", 42),
            (320, 0, "SendAnswer", 3),
            (325, 0, "SendAnswer", 2),
            (325, 1, "error", 6),
            (326, 0, "Empty", 2),
            (370, 0, "RecallAnswer", 1)
        ]
    );
}

/// Reads an answer as its request's answer type, writes it and reads it again. Says what it was
/// read as; `None` when it could not be read.
fn read_answer(request: RequestCode, answer: &Command) -> Option<&'static str> {
    let success = answer.response_code() == ResponseCode::SUCCESS;
    Some(match request {
        RequestCode::PULL_MESSAGE => {
            again::<PullAnswer>(answer)?;
            "PullAnswer"
        }
        _ if !success => "error",
        RequestCode::GET_ROUTEINFO_BY_TOPIC => {
            let route = again::<TopicRoute>(answer)?;
            assert_eq!(route.brokers.len(), 1);
            assert!(route.brokers[0].master()?.starts_with("127.0.0.1:"));
            assert!(route.queues.iter().all(|queues| queues.broker_name == "broker-a"));
            "TopicRoute"
        }
        RequestCode::SEND_MESSAGE_V2
        | RequestCode::SEND_BATCH_MESSAGE
        | RequestCode::SEND_REPLY_MESSAGE_V2 => {
            let send = again::<SendAnswer>(answer)?;
            assert_eq!(send.trace_on, Some(true));
            assert!(send.offset_message_id.len() >= 32);
            "SendAnswer"
        }
        RequestCode::SEARCH_OFFSET_BY_TIMESTAMP
        | RequestCode::GET_MAX_OFFSET
        | RequestCode::GET_MIN_OFFSET
        | RequestCode::QUERY_CONSUMER_OFFSET => {
            again::<OffsetAnswer>(answer)?;
            "OffsetAnswer"
        }
        RequestCode::GET_EARLIEST_MSG_STORETIME => {
            again::<StoreTime>(answer)?;
            "StoreTime"
        }
        RequestCode::QUERY_MESSAGE => {
            again::<QueryAnswer>(answer)?;
            "QueryAnswer"
        }
        RequestCode::RECALL_MESSAGE => {
            again::<RecallAnswer>(answer)?;
            "RecallAnswer"
        }
        RequestCode::VIEW_MESSAGE_BY_ID => {
            again::<RawBody>(answer)?;
            "RawBody"
        }
        RequestCode::GET_CONSUMER_LIST_BY_GROUP => {
            again::<ConsumerList>(answer)?;
            "ConsumerList"
        }
        RequestCode::LOCK_BATCH_MQ => {
            again::<LockedQueues>(answer)?;
            "LockedQueues"
        }
        _ => {
            again::<Empty>(answer)?;
            assert!(answer.body.is_empty());
            "Empty"
        }
    })
}

fn again<A: Payload + PartialEq + std::fmt::Debug>(answer: &Command) -> Option<A> {
    let read = answer.read::<A>().ok()?;
    let mut out = BytesMut::new();
    let remark = answer.remark.as_deref();
    command::put_answer(&mut out, answer.opaque, answer.response_code(), remark, &read);
    let written = decode(&out);
    assert_eq!(written.remark, answer.remark);
    assert!(written.is_answer());
    assert_kept(answer, &written, std::any::type_name::<A>());
    assert_eq!(written.read::<A>().as_ref(), Ok(&read));
    Some(read)
}

/// Messages in the answers of pulls, views and queries and in the broker's transaction checks.
#[test]
fn stored_messages_are_written_as_the_same_bytes() {
    let mut counts = BTreeMap::new();
    for (version, text) in RECORDINGS {
        let mut bodies: Vec<_> =
            answers(text).into_iter().map(|(request, line)| (request.0, line)).collect();
        bodies.extend(recorded(text).into_iter().filter(|l| !l.is_answer()).map(|l| (l.code, l)));
        for (code, line) in bodies {
            let stored = match code {
                11 | 12 | 33 => line.is_answer(),
                39 => true,
                _ => false,
            };
            let body = Bytes::from(line.body());
            if !stored || body.is_empty() {
                continue;
            }
            let at = format!("{version}, line {}", line.n);
            let messages = StoredMessage::decode_all(body.clone()).expect(&at);
            let mut out = BytesMut::new();
            messages.iter().for_each(|message| message.encode(&mut out));
            assert_eq!(out, body, "{at}");
            for message in &messages {
                *counts.entry((code, version)).or_insert(0) += 1;
                check_properties(&message.properties);
                assert!(message.property("UNIQ_KEY").is_some_and(|id| id.len() == 56), "{at}");
            }
        }
    }
    let counts: Vec<_> = counts.into_iter().collect();
    assert_eq!(
        counts,
        [
            ((11, "4.7.0"), 14),
            ((11, "4.9.7"), 13),
            ((11, "5.5.0"), 3),
            ((12, "4.7.0"), 2),
            ((12, "4.9.7"), 2),
            ((12, "5.5.0"), 2),
            ((33, "4.7.0"), 1),
            ((33, "4.9.7"), 1),
            ((33, "5.5.0"), 1),
            ((39, "4.7.0"), 1),
            ((39, "4.9.7"), 1)
        ]
    );
}

#[test]
fn batches_are_written_as_the_same_bytes() {
    let mut missing_ends = Vec::new();
    for (version, text) in RECORDINGS {
        for line in recorded(text).iter().filter(|line| line.code == 320) {
            let body = Bytes::from(line.body());
            let entries = batch::decode(body.clone()).unwrap();
            assert_eq!(entries.len(), 3);
            let mut out = BytesMut::new();
            entries.iter().for_each(|entry| entry.encode(&mut out));
            assert_eq!(out, body, "{version}");
            for entry in entries {
                check_properties(&entry.properties);
                if !entry.properties.ends_with(properties::VALUE_END) {
                    missing_ends.push(version);
                }
            }
        }
    }
    assert_eq!(missing_ends, ["4.9.7"; 3]);
}

#[test]
fn properties_of_sends_are_written_again() {
    let mut counts = Vec::new();
    for (_, text) in RECORDINGS {
        let sends = recorded(text);
        let sends = sends.iter().filter(|line| [310, 320, 325].contains(&line.code));
        let texts = sends.map(|line| line.command().fields.get("i").unwrap().to_owned());
        counts.push(texts.inspect(|text| check_properties(text)).count());
    }
    assert_eq!(counts, [16, 20, 20]);
}

/// Reads and writes a text of properties: only the last 0x02 may be new.
fn check_properties(text: &str) {
    let read = Properties::decode(text);
    let wire = read.to_wire();
    let whole = format!("{}\u{2}", text.trim_end_matches('\u{2}'));
    if whole.matches("WAIT\u{1}").count() == 2 {
        // 4.9.7 stores a batch's messages with WAIT twice.
        assert_eq!(format!("{wire}WAIT\u{1}true\u{2}"), whole);
    } else {
        assert_eq!(wire, whole);
    }
    assert_eq!(Properties::decode(&wire), read);
    for (name, value) in read.iter() {
        assert_eq!(properties::find(text, name), Some(value));
    }
}

/// The recall of the 5.5.0 client: its handle says what it is for, and is written as it was.
#[test]
fn the_handle_of_a_timer_message_is_read_and_written() {
    let mut handles = Vec::new();
    for (_, text) in RECORDINGS {
        for line in recorded(text).iter().filter(|line| line.code == 370 && !line.is_answer()) {
            let Ok(Incoming::Recall(recall)) = Incoming::read(&line.command()) else { panic!() };
            let handle: RecallHandle = recall.handle.parse().unwrap();
            assert_eq!(handle.to_string(), recall.handle);
            assert_eq!(handle.topic, recall.topic);
            handles.push(handle);
        }
    }
    let expected = RecallHandle {
        topic: "WireTopic".into(),
        broker: "broker-a".into(),
        deliver_at_ms: 1_795_321_668_001,
        unique_id: "FD0000000000000000000000000000022E475FFD2B276D19D298000D".into(),
    };
    assert_eq!(handles, [expected]);
    for bad in ["", "djE", "djI gV2", "djIgdCBiIDEgaWQ=", "djEgdCBiIHggaWQ=", "djEgdCBiIDE="] {
        assert!(bad.parse::<RecallHandle>().is_err(), "{bad}");
    }
    // Without padding, and with what a later version may add.
    assert!("djEgdCBiIDEgaWQ".parse::<RecallHandle>().is_ok());
    assert!("djEgdCBiIDEgaWQgbmV3".parse::<RecallHandle>().is_ok());
}
