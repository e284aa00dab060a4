//! Answers to sends, read in place.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;
#[path = "targets/mod.rs"]
mod targets;

use bytes::{Bytes, BytesMut};
use posthaste_protocol::answer::{Stored, StoredReader};
use posthaste_protocol::command::put_answer;
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::SendAnswer;
use posthaste_protocol::{Command, Frame, HeaderEncoding, ResponseCode};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{RECORDINGS, encode, recorded};

fn frame(bytes: &[u8]) -> Frame {
    Frame::take(&mut BytesMut::from(bytes), MAX_FRAME).unwrap().unwrap()
}

fn json(header: &str) -> Frame {
    let header = Bytes::copy_from_slice(header.as_bytes());
    Frame { encoding: HeaderEncoding::Json, header, body: Bytes::new() }
}

/// Whatever real servers answered to sends is read in place, and nothing else is.
#[test]
fn recorded_answers() {
    let mut counts = Vec::new();
    for (_, text) in RECORDINGS {
        let mut stored = 0;
        let mut reader = StoredReader::default();
        for line in recorded(text) {
            let command = line.command();
            let binary = encode(&Command { encoding: HeaderEncoding::Binary, ..command.clone() });
            for frame in [frame(&line.bytes()), frame(&binary)] {
                let read = Stored::peek(frame.view());
                assert_eq!(reader.peek(frame.view()), read, "line {}", line.n);
                assert_eq!(read.is_some(), line.is_send_answer(), "line {}", line.n);
                if let Some(read) = read {
                    assert_eq!(Stored::of(&command), Ok(Some(read)));
                    stored += 1;
                }
            }
        }
        counts.push(stored);
    }
    assert_eq!(counts, [30, 32, 32]);
}

#[test]
fn ids_of_a_batch() {
    let answer = SendAnswer { offset_message_id: "A,B,C".into(), ..SendAnswer::default() };
    let mut out = BytesMut::new();
    put_answer(&mut out, 7, ResponseCode::FLUSH_DISK_TIMEOUT, Some("slow"), &answer);
    let frame = frame(&out);
    let stored = Stored::peek(frame.view()).unwrap();
    assert_eq!((stored.opaque, stored.code), (7, ResponseCode::FLUSH_DISK_TIMEOUT));
    assert_eq!(stored.offset_message_ids().collect::<Vec<_>>(), ["A", "B", "C"]);
}

/// What is not plain is left to the general reader, which may make something else of it.
#[test]
fn what_is_not_plain() {
    const PLAIN: &str = r#"{"code":0,"extFields":{"queueId":"3","msgId":"A","queueOffset":"5"},"flag":1,"language":"JAVA","opaque":7,"remark":"r","version":513,"x":1,"y":""}"#;
    assert!(Stored::peek(json(PLAIN).view()).is_some());
    for (part, other) in [
        (r#""code":0"#, r#""code":1"#),
        (r#""code":0"#, r#""code":0.0"#),
        (r#""code":0"#, r#""code":00"#),
        (r#""code":0"#, r#""code":-0"#),
        (r#""code":0"#, r#""code":"0""#),
        (r#""code":0"#, r#""code":null"#),
        (r#""code":0"#, r#""code":0,"code":0"#),
        (r#""code":0"#, r#""code": 0"#),
        (r#""code":0"#, r#""c\u006fde":0"#),
        (r#""code":0,"#, r#""code":0,,"#),
        (r#""flag":1"#, r#""flag":0"#),
        (r#""opaque":7"#, r#""opaque":2147483648"#),
        (r#""opaque":7"#, r#""o":7"#),
        (r#""queueId":"3""#, r#""queueId":3"#),
        (r#""queueId":"3""#, r#""queueId":"three""#),
        (r#""queueId":"3""#, r#""q":"3""#),
        (r#""msgId":"A""#, "\"msgId\":\"\u{1}\""),
        (r#""msgId":"A""#, r#""msgId":"\u0041""#),
        (r#""msgId":"A""#, r#""msgId":["A"]"#),
        (r#""remark":"r""#, r#""remark":null"#),
        (r#""remark":"r""#, r#""remark":"r","extFields":{}"#),
        (r#""x":1"#, r#""x":{}"#),
        (r#""x":1"#, r#""x":true"#),
        (r#""y":""}"#, r#""y":""}}"#),
        (r#""y":""}"#, r#""y":"","#),
    ] {
        assert!(PLAIN.contains(part), "{part}");
        let other = json(&PLAIN.replace(part, other));
        assert_eq!(Stored::peek(other.view()), None, "{other:?}");
        let (plain, mut reader) = (json(PLAIN), StoredReader::default());
        assert!(reader.peek(plain.view()).is_some());
        assert_eq!(reader.peek(other.view()), None, "{other:?}");
    }
}

/// One member of a header: its name, and a value that may or may not be of its kind.
fn member() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "code",
        "flag",
        "opaque",
        "version",
        "language",
        "remark",
        "extFields",
        "more",
    ]);
    (name, value()).prop_map(|(name, value)| format!("\"{name}\":{value}"))
}

fn value() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec![
        "0",
        "1",
        "-1",
        "10",
        "01",
        "1.0",
        "1e2",
        "2147483648",
        "null",
        "true",
        "\"\"",
        "\"x\"",
        "\"\\n\"",
        "\"é\"",
        "\"5\"",
        " 7",
        "7 ",
        "[1]",
        "{\"a\":{}}",
    ]);
    let name = prop::sample::select(vec!["msgId", "queueId", "queueOffset", "TRACE_ON", "z"]);
    let field = (name, scalar.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
    let fields = vec(field, 0..6).prop_map(|fields| format!("{{{}}}", fields.join(",")));
    prop_oneof![3 => scalar.prop_map(str::to_owned), 1 => fields]
}

/// Mostly what a field of an answer may be: otherwise no header of many would be right.
fn field_value() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just("\"5\"".to_owned()), 1 => value()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// A header that is nearly plain, with members twice, of other kinds, or unknown.
    #[test]
    fn nearly_plain(more in vec(member(), 0..3), fields in vec(field_value(), 4), comma in prop::sample::select(vec![",", ", ", ",,"])) {
        let [queue, offset, trace, id] = &fields[..] else { unreachable!() };
        let mut members = vec![
            r#""code":0,"flag":1,"opaque":7"#.to_owned(),
            format!(r#""extFields":{{"queueId":{queue},"queueOffset":{offset},"TRACE_ON":{trace},"msgId":{id}}}"#),
        ];
        members.extend(more);
        targets::send_answer(format!(" {{{}}}", members.join(comma)).as_bytes());
        targets::send_answer(format!(" {{{}}}", members.join(",")).as_bytes());
    }

    /// Whatever came before, and whether or not it looks like that.
    #[test]
    fn one_after_another(answers in vec((answer(), any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut reader = StoredReader::default();
        for (answer, at, byte) in &answers {
            let mut header = answer.clone().into_bytes();
            let (whole, place) = (json(answer), at.index(header.len()));
            prop_assert_eq!(reader.peek(whole.view()), Stored::peek(whole.view()));
            header[place] = *byte;
            let other = Frame { header: header.into(), ..whole };
            prop_assert_eq!(reader.peek(other.view()), Stored::peek(other.view()));
        }
    }
}

/// An answer as brokers of three versions write it.
fn answer() -> impl Strategy<Value = String> {
    let fields = prop::sample::select(vec![
        r#""queueId":"<q>","TRACE_ON":"true","MSG_REGION":"here","msgId":"<i>","queueOffset":"<o>""#,
        r#""queueId":"<q>","transactionId":"<i>","TRACE_ON":"true","msgId":"<i>","queueOffset":"<o>""#,
        r#""msgId":"<i>","queueOffset":"<o>","queueId":"<q>","recallHandle":"<i>","msgId":"<i>""#,
        r#""opaque":"<q>","msgId":"<i>","queueOffset":"<o>","queueId":"<q>""#,
    ]);
    let ids = prop::sample::select(vec!["A", "A,B", "", "é", "7F000001"]);
    let numbers = (any::<i32>(), any::<u8>(), any::<i64>());
    (fields, ids, numbers).prop_map(|(fields, ids, (opaque, queue, offset))| {
        let fields = fields.replace("<q>", &queue.to_string()).replace("<i>", ids);
        let fields = fields.replace("<o>", &offset.to_string());
        format!(r#"{{"code":0,"extFields":{{{fields}}},"flag":1,"language":"JAVA","opaque":{opaque},"version":513}}"#)
    })
}
