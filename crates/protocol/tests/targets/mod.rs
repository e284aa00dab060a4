//! What a fuzzer does with bytes. The property tests call these functions on the stable compiler,
//! `fuzz/` calls them with libFuzzer: both check the same promises.
//!
//! Each function panics when a promise is broken, and only then.

#![allow(dead_code, reason = "each fuzz binary uses one of them")]
#![allow(clippy::panic, reason = "a broken promise")]

use bytes::{Bytes, BytesMut};
use posthaste_protocol::answer::Stored;
use posthaste_protocol::batch;
use posthaste_protocol::frame::{MAX_FRAME, whole_frames};
use posthaste_protocol::properties::{self, Properties};
use posthaste_protocol::request::{
    LitePull, SendAnswer, SendBatch, SendMessageV1, SendReplyV1, TopicRoute,
};
use posthaste_protocol::{
    Command, DecodeError, Fields, Frame, HeaderEncoding, Incoming, Payload, ReceivedSend, Request,
    RequestCode, StoredMessage, json,
};

/// A target: its name and what it does.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Every target.
pub(crate) const ALL: [Target; 8] = [
    ("frame", frame),
    ("json_header", json_header),
    ("binary_header", binary_header),
    ("send_answer", send_answer),
    ("route_document", route_document),
    ("properties", properties),
    ("batch_body", batch_body),
    ("stored_record", stored_record),
];

/// Reads `data` as the target does and does nothing else: what a peer's bytes cost.
pub(crate) fn read(target: &str, data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let command = |encoding| {
        let frame = Frame { encoding, header: bytes.clone(), body: Bytes::new() };
        drop(Command::decode(frame));
    };
    match target {
        "frame" => {
            let mut buffer = BytesMut::from(data);
            while let Ok(Some(frame)) = Frame::take(&mut buffer, MAX_FRAME) {
                drop(Command::decode(frame));
            }
        }
        "json_header" => command(HeaderEncoding::Json),
        "binary_header" => command(HeaderEncoding::Binary),
        "send_answer" => {
            let _ = answer_frame(data).as_ref().and_then(|frame| Stored::peek(frame.view()));
        }
        "route_document" => drop(TopicRoute::read(&Fields::new(), &bytes)),
        "properties" => drop(std::str::from_utf8(data).map(Properties::decode)),
        "batch_body" => drop(batch::decode(bytes)),
        "stored_record" => drop(StoredMessage::decode_all(bytes)),
        other => panic!("no target {other}"),
    }
}

/// A stream of frames: pieces of any length give what the whole gives, and what was read is
/// written and read again as the same.
pub(crate) fn frame(data: &[u8]) {
    let whole = take_all([data]);
    let piece = data.first().map_or(1, |byte| usize::from(*byte) % 29 + 1);
    assert_eq!(take_all(data.chunks(piece)), whole);
    assert_eq!(take_runs(data), whole);
    for frame in whole.0.into_iter().take(10) {
        if let Ok(command) = Command::decode(frame) {
            command_round_trips(&command);
            incoming_round_trips(&command);
        }
    }
}

/// A JSON header.
pub(crate) fn json_header(data: &[u8]) {
    header(HeaderEncoding::Json, data);
}

/// A binary header.
pub(crate) fn binary_header(data: &[u8]) {
    header(HeaderEncoding::Binary, data);
}

fn header(encoding: HeaderEncoding, data: &[u8]) {
    let frame = Frame { encoding, header: Bytes::copy_from_slice(data), body: Bytes::new() };
    received_send_is_what_the_general_reader_reads(&Frame {
        body: Bytes::from_static(b"hi"),
        ..frame.clone()
    });
    if let Ok(command) = Command::decode(frame) {
        command_round_trips(&command);
        incoming_round_trips(&command);
    }
}

/// The header of an answer to a send, behind a byte that says its encoding: what is read in place is
/// what the general reader reads, or it is left to that one.
pub(crate) fn send_answer(data: &[u8]) {
    let Some(frame) = answer_frame(data) else { return };
    let Some(stored) = Stored::peek(frame.view()) else { return };
    let command = Command::decode(frame.clone()).unwrap_or_else(|e| panic!("{e}: {stored:?}"));
    assert_eq!(Stored::of(&command), Ok(Some(stored)));
    let answer: SendAnswer = command.read().unwrap_or_else(|e| panic!("{e}: {stored:?}"));
    let read = SendAnswer {
        offset_message_id: stored.offset_message_ids.to_owned(),
        queue_id: stored.queue_id,
        queue_offset: stored.queue_offset,
        transaction_id: stored.transaction_id.map(str::to_owned),
        batch_unique_id: answer.batch_unique_id.clone(),
        recall_handle: stored.recall_handle.map(str::to_owned),
        region: stored.region.map(|region| region.to_owned().into()),
        trace_on: stored.trace_on,
    };
    assert_eq!((command.opaque, command.response_code()), (stored.opaque, stored.code));
    assert_eq!(answer, read);
}

fn answer_frame(data: &[u8]) -> Option<Frame> {
    let (kind, header) = data.split_first()?;
    let encoding = if *kind == 1 { HeaderEncoding::Binary } else { HeaderEncoding::Json };
    Some(Frame { encoding, header: Bytes::copy_from_slice(header), body: Bytes::new() })
}

/// A JSON document: standard JSON keeps its meaning, and a route is written and read again as the
/// same.
pub(crate) fn route_document(data: &[u8]) {
    standard_json_keeps_its_meaning(data);
    if let Ok(route) = read_body::<TopicRoute>(data) {
        assert_eq!(read_body::<TopicRoute>(&route.body()).as_ref(), Ok(&route));
    }
}

/// A text of properties.
pub(crate) fn properties(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = Properties::decode(text);
    // Not all of many: that would be quadratic.
    for (name, value) in read.iter().take(50) {
        assert_eq!(properties::find(text, name), Some(value));
    }
    let wire = read.to_wire();
    // Only the 0x02 after the last property may be new.
    assert!(wire.len() <= text.len() + 1);
    assert_eq!(Properties::decode(&wire), read);
}

/// A batch's body.
pub(crate) fn batch_body(data: &[u8]) {
    let Ok(entries) = batch::decode(Bytes::copy_from_slice(data)) else { return };
    let mut out = BytesMut::new();
    entries.iter().for_each(|entry| entry.encode(&mut out));
    assert_eq!(out.len(), data.len());
    assert_eq!(batch::decode(out.freeze()), Ok(entries));
}

/// Stored messages back to back.
pub(crate) fn stored_record(data: &[u8]) {
    let Ok(messages) = StoredMessage::decode_all(Bytes::copy_from_slice(data)) else { return };
    let mut out = BytesMut::new();
    for message in &messages {
        let start = out.len();
        message.encode(&mut out);
        assert_eq!(out.len() - start, message.record_length());
    }
    assert!(out.len() <= data.len());
    assert_eq!(StoredMessage::decode_all(out.freeze()), Ok(messages));
}

/// Every frame that arrives in these pieces, and the error that ended the stream, if one did.
pub(crate) fn take_all<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<DecodeError>) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match Frame::take(&mut buffer, MAX_FRAME) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// Every frame that arrives in whole frames, and the error that ended the stream, if one did.
fn take_runs(data: &[u8]) -> (Vec<Frame>, Option<DecodeError>) {
    let (mut frames, mut rest) = (Vec::new(), Bytes::copy_from_slice(data));
    let mut error = None;
    while error.is_none() {
        match whole_frames(&rest, MAX_FRAME) {
            Ok(0) => break,
            Ok(length) => {
                let mut run = rest.split_to(length);
                while let Ok(Some(frame)) = Frame::take_of_run(&mut run, MAX_FRAME) {
                    frames.push(frame);
                }
                assert!(run.is_empty());
            }
            Err(_) => match Frame::take_of_run(&mut rest, MAX_FRAME) {
                Ok(frame) => frames.extend(frame),
                Err(reason) => error = Some(reason),
            },
        }
    }
    (frames, error)
}

/// The fast reader of sends reads what the general one reads, or leaves the frame to it. Says
/// whether it has read it.
pub(crate) fn received_send_is_what_the_general_reader_reads(frame: &Frame) -> bool {
    let Some(received) = ReceivedSend::peek(frame) else { return false };
    let command = match Command::decode(frame.clone()) {
        Ok(command) => command,
        Err(error) => panic!("{error}: {frame:?}"),
    };
    assert!(!command.is_answer());
    assert_eq!((received.opaque, received.oneway), (command.opaque, command.is_oneway()));
    let Ok(Incoming::Send(general)) = Incoming::read(&command) else {
        panic!("no send: {frame:?}");
    };
    assert_eq!(received.message, general);
    true
}

/// A command that was read is written in both encodings and read again as the same.
pub(crate) fn command_round_trips(command: &Command) {
    for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
        let mut written = Command { encoding, ..command.clone() };
        let mut out = BytesMut::new();
        written.encode(&mut out);
        let Ok(Some(frame)) = Frame::take(&mut out, usize::MAX) else {
            panic!("not a frame any more: {command:?}");
        };
        assert!(out.is_empty());
        // What the binary layout cannot carry is written as JSON.
        written.encoding = frame.encoding;
        assert_eq!(Command::decode(frame), Ok(written));
    }
}

/// A request that was read is written and read again as the same. Says whether its code has a
/// type, and `None` when its fields do not fit its code.
pub(crate) fn incoming_round_trips(command: &Command) -> Option<bool> {
    let incoming = Incoming::read(command).ok()?;
    let again = match incoming.clone() {
        Incoming::Send(send) => match command.request_code() {
            RequestCode::SEND_MESSAGE => again(&SendMessageV1(send)),
            // A batch by its code is one by its flag once it is written.
            RequestCode::SEND_BATCH_MESSAGE if send.batch => again(&SendBatch(send)),
            _ => again(&send),
        },
        Incoming::Pull(pull) if command.request_code() == RequestCode::LITE_PULL_MESSAGE => {
            again(&LitePull(pull))
        }
        Incoming::Pull(request) => again(&request),
        Incoming::QueryConsumerOffset(request) => again(&request),
        Incoming::UpdateConsumerOffset(request) => again(&request),
        Incoming::CreateTopic(request) => again(&request),
        Incoming::SearchOffset(request) => again(&request),
        Incoming::MaxOffset(request) => again(&request),
        Incoming::MinOffset(request) => again(&request),
        Incoming::EarliestStoreTime(request) => again(&request),
        Incoming::ViewMessage(request) => again(&request),
        Incoming::Heartbeat(request) => again(&request),
        Incoming::UnregisterClient(request) => again(&request),
        Incoming::SendBack(request) => again(&request),
        Incoming::ConsumerListOf(request) => again(&request),
        Incoming::NotifyConsumerIdsChanged(request) => again(&request),
        Incoming::LockQueues(request) => again(&request),
        Incoming::UnlockQueues(request) => again(&request),
        Incoming::CheckClientConfig(request) => again(&request),
        Incoming::RouteOf(request) => again(&request),
        Incoming::TopicListOf(request) => again(&request),
        Incoming::QueryMessages(request) => again(&request),
        Incoming::EndTransaction(request) => again(&request),
        Incoming::CheckTransaction(request) => again(&request),
        Incoming::SendReply(reply) if command.request_code() == RequestCode::SEND_REPLY_MESSAGE => {
            again(&SendReplyV1(reply.0))
        }
        Incoming::SendReply(request) => again(&request),
        Incoming::PushReply(request) => again(&request),
        Incoming::Recall(request) => again(&request),
        Incoming::Admin(request) => read_again(request.command(7)),
        Incoming::Unknown(_) => return Some(false),
    };
    assert_eq!(again, incoming);
    Some(true)
}

/// Writes a request as a frame and reads it as a receiver does.
pub(crate) fn again<R: Request>(request: &R) -> Incoming {
    let mut out = BytesMut::new();
    posthaste_protocol::command::put_request(&mut out, 7, false, request);
    let Ok(Some(frame)) = Frame::take(&mut out, usize::MAX) else { panic!("not a frame") };
    assert!(out.is_empty());
    match Command::decode(frame).and_then(|command| {
        assert_eq!(command.request_code(), R::CODE);
        Incoming::read(&command)
    }) {
        Ok(incoming) => incoming,
        Err(error) => panic!("cannot be read again: {error}"),
    }
}

/// Reads what was written as a receiver does.
pub(crate) fn read_again(command: Command) -> Incoming {
    match Incoming::read(&command) {
        Ok(incoming) => incoming,
        Err(error) => panic!("cannot be read again: {error}"),
    }
}

/// What the normalizer makes of standard JSON means the same.
pub(crate) fn standard_json_keeps_its_meaning(data: &[u8]) {
    let normal = json::normalize(data);
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    match normal {
        Ok(text) => {
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&text).ok(), Some(value))
        }
        Err(error) => assert!(depth(&value) > 64, "{error}"),
    }
}

fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn read_body<P: Payload>(body: &[u8]) -> Result<P, DecodeError> {
    P::read(&Fields::new(), &Bytes::copy_from_slice(body))
}
