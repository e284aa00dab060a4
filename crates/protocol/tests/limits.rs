//! What does not fit, is too much, or was made to do harm.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use posthaste_protocol::batch::{self, BatchEntry};
use posthaste_protocol::frame::{self, MAX_FRAME};
use posthaste_protocol::properties::{self, Properties};
use posthaste_protocol::request::TopicRoute;
use posthaste_protocol::{
    Command, DecodeError, Fields, Frame, HeaderEncoding, Language, Payload, RequestCode,
    ResponseCode, StoredMessage, json,
};
use support::{decode, encode};

fn command(encoding: HeaderEncoding) -> Command {
    Command {
        code: 105,
        language: Language::Rust,
        version: 513,
        opaque: 7,
        flag: 0,
        remark: None,
        fields: Fields::new(),
        body: Bytes::from_static(b"body"),
        encoding,
    }
}

fn stored(topic: &str, properties: &str) -> StoredMessage {
    StoredMessage {
        topic: topic.into(),
        queue_id: 1,
        queue_offset: 2,
        physical_offset: 3,
        flag: 4,
        sys_flag: 0,
        born_at_ms: 5,
        born_host: "10.0.0.1:5555".parse().unwrap(),
        stored_at_ms: 6,
        store_host: "10.0.0.2:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_offset: 0,
        body: Bytes::from_static(b"hello"),
        properties: properties.into(),
    }
}

fn record(message: &StoredMessage) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

fn read_route(text: &[u8]) -> Result<TopicRoute, DecodeError> {
    TopicRoute::read(&Fields::new(), &Bytes::copy_from_slice(text))
}

/// Runs `work`, which must be done long before it would be if it were quadratic.
fn soon<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
    done
}

#[test]
fn another_protocol_is_told_by_its_first_words() {
    for (bytes, expected) in [
        (&b"HTTP/1.1 400"[..], "HTTP"),
        (b"GET / HTTP/1.1", "HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        (b"\x16\x03\x03\x00\x7a\x02\x00", "TLS"),
        (b"SSH-2.0-OpenSSH", "SSH"),
        (b"\xff\xff\xff\xff\x00\x00\x00\x00", "a length of -1 bytes"),
    ] {
        let error = frame::whole_frames(bytes, MAX_FRAME).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn hostile_prefixes_are_refused_without_memory() {
    let prefixes: [&[u8]; 14] = [
        &[0, 0, 0, 0],
        &[0, 0, 0, 3],
        &[0xff, 0xff, 0xff, 0xff],
        &[0x80, 0, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff],
        // 16 MiB + 1, and the first length that is too long once the prefix counts.
        &[0x01, 0, 0, 1],
        &[0x00, 0xff, 0xff, 0xfd],
        // A header longer than its frame, by one byte and by far.
        &[0, 0, 0, 8, 0, 0, 0, 5],
        &[0, 0, 0, 8, 1, 0xff, 0xff, 0xff],
        // A header of more than 256 KiB, by one byte and by far, of which nothing has come.
        &[0x00, 0x10, 0, 0, 0, 0x04, 0, 1],
        &[0x00, 0xd5, 0, 0, 1, 0xd4, 0, 0],
        // An unknown encoding.
        &[0, 0, 0, 8, 2, 0, 0, 4],
        b"HTTP/1.1 400 Bad Request",
        // A TLS alert.
        &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46],
    ];
    for prefix in prefixes {
        let mut buffer = BytesMut::with_capacity(64);
        buffer.extend_from_slice(prefix);
        let taken = Frame::take(&mut buffer, MAX_FRAME);
        assert!(matches!(taken, Err(DecodeError::Frame(_))), "{prefix:?}: {taken:?}");
        assert_eq!(buffer.capacity(), 64, "{prefix:?}");
        assert_eq!(buffer, prefix, "nothing is taken");
    }
}

#[test]
fn nothing_is_reserved_for_a_declared_length() {
    let mut buffer = BytesMut::with_capacity(64);
    buffer.extend_from_slice(&[0x00, 0xff, 0xff, 0xfc, 0, 0, 0, 4]);
    assert_eq!(Frame::take(&mut buffer, MAX_FRAME), Ok(None));
    assert_eq!(buffer.capacity(), 64);
}

#[test]
fn a_header_of_256_kib_may_come() {
    let mut buffer = BytesMut::from(&[0x00, 0x10, 0, 0, 0, 0x04, 0, 0][..]);
    assert_eq!(Frame::take(&mut buffer, MAX_FRAME), Ok(None));
}

#[test]
fn the_longest_frame_is_taken_and_no_longer_one() {
    let largest =
        Command { body: vec![7; MAX_FRAME - 400].into(), ..command(HeaderEncoding::Json) };
    let spare = MAX_FRAME - encode(&largest).len();
    let of = |more| Command { body: vec![7; MAX_FRAME - 400 + more].into(), ..largest.clone() };
    let mut exact = encode(&of(spare));
    assert_eq!(exact.len(), MAX_FRAME);
    assert!(Frame::take(&mut exact, MAX_FRAME).unwrap().is_some());
    let mut longer = encode(&of(spare + 1));
    assert!(Frame::take(&mut longer, MAX_FRAME).is_err());
}

/// The header's length has 24 bits; a longer header must not become a shorter one of a frame that
/// a peer reads.
#[test]
fn a_header_of_16_mib_makes_a_frame_that_is_refused() {
    for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
        let remark = Some("x".repeat((1 << 24) + 10));
        let mut out = encode(&Command { remark, ..command(encoding) });
        assert!(Frame::take(&mut out, MAX_FRAME).is_err());
        // Whatever the limit is.
        assert!(Frame::take(&mut out, usize::MAX).is_err());
    }
}

#[test]
fn long_headers_and_bodies_round_trip() {
    for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
        for (header, body) in [(255, 256), (65_535, 65_536), (70_000, 1 << 20), (261_000, 0)] {
            let text = "x".repeat(header);
            let fields = Fields::from_iter([("i", &*text)]);
            let body = "x".repeat(body).into();
            let command = Command { fields, body, ..command(encoding) };
            assert_eq!(decode(&encode(&command)), command);
        }
    }
}

/// 5.5 has codes above 200,000, which two bytes cannot carry.
#[test]
fn what_the_binary_header_cannot_carry_goes_as_json() {
    let name = "n".repeat(40_000);
    let whole = command(HeaderEncoding::Binary);
    let commands = [
        Command { code: 200_071, ..whole.clone() },
        Command { code: -40_000, ..whole.clone() },
        Command { version: 70_000, ..whole.clone() },
        Command { fields: Fields::from_iter([(&*name, "value")]), ..whole.clone() },
    ];
    for command in commands {
        let read = decode(&encode(&command));
        assert_eq!(read, Command { encoding: HeaderEncoding::Json, ..command });
    }
    let longest = "n".repeat(i16::MAX as usize);
    let command = Command { fields: Fields::from_iter([(&*longest, "value")]), ..whole };
    assert_eq!(decode(&encode(&command)), command);
}

#[test]
fn a_depth_bomb_is_refused_soon() {
    let bombs = [b"[".repeat(1 << 20), b"{\"a\":".repeat(1 << 18), b"{{".repeat(1 << 19)];
    for bomb in bombs {
        soon(|| read_route(&bomb).unwrap_err());
        let header = [br#"{"opaque":1,"code":0,"x":"#, &*bomb].concat();
        let in_fields = [br#"{"opaque":1,"code":0,"extFields":{"x":"#, &*bomb].concat();
        for header in [header, in_fields] {
            let header = Bytes::from(header);
            let frame = Frame { encoding: HeaderEncoding::Json, header, body: Bytes::new() };
            soon(|| Command::decode(frame).unwrap_err());
        }
    }
}

/// A key that is an object becomes text, and each quote in it two bytes. Were keys allowed in
/// keys, every level would double that: 60 levels would fill any memory.
#[test]
fn keys_within_keys_are_refused() {
    assert_eq!(json::normalize(br#"{{"a":1}:2}"#).unwrap(), br#"{"{\"a\":1}":2}"#);
    for levels in [2, 3, 20, 60] {
        let text = format!("{}\"a\":1{}", "{".repeat(levels + 1), "}:1".repeat(levels) + "}");
        assert!(soon(|| json::normalize(text.as_bytes())).is_err(), "{levels} levels");
    }
}

#[test]
fn keys_without_quotes_are_integers() {
    assert_eq!(json::normalize(b"{0:1,-1 :[{ 12:{}}]}").unwrap(), br#"{"0":1,"-1" :[{ "12":{}}]}"#);
    for text in ["{1\\:2}", "{1.5:2}", "{1a:2}", "{-:2}", "{1\u{1}:2}", "{a:2}"] {
        let normal = json::normalize(text.as_bytes()).unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&normal).is_err(), "{text}");
    }
}

#[test]
fn keys_that_are_not_utf_8_are_refused() {
    assert!(json::normalize(b"{{\"a\":\"\xff\"}:2}").is_err());
}

/// Routes as name servers of 4.7 write them, and worse.
#[test]
fn routes() {
    let route = read_route(
        br#"{"brokerDatas":[{"brokerAddrs":{0:"h:1",1:"{2:}"},"brokerName":"b","cluster":"c"}],"queueDatas":[]}"#,
    )
    .unwrap();
    assert_eq!(route.brokers[0].master(), Some("h:1"));
    assert_eq!(route.brokers[0].broker_addrs[&1], "{2:}");
    for bad in [
        "",
        "null",
        "[]",
        "{",
        "{}{}",
        r#"{"brokerDatas":{}}"#,
        r#"{"brokerDatas":[{"brokerAddrs":{"x":"h:1"},"brokerName":"b"}]}"#,
        r#"{"brokerDatas":[{"brokerAddrs":{0:"h:1"}}]}"#,
        r#"{"queueDatas":[{"perm":6}]}"#,
        r#"{"queueDatas":[{"brokerName":"b","perm":"six"}]}"#,
        r#"{"queueDatas":[],"queueDatas":[]}"#,
        r#"{"brokerDatas":[],}"#,
        r#"{brokerDatas:[]}"#,
    ] {
        assert!(read_route(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_header_is_an_object() {
    for header in ["[0,0,null,7,null,0,null]", "7", "", " ", "null", "\"{}\""] {
        let header = Bytes::from(header);
        let frame = Frame { encoding: HeaderEncoding::Json, header, body: Bytes::new() };
        assert!(Command::decode(frame).is_err());
    }
    let header = Bytes::from(" \n{\"opaque\":7}");
    let frame = Frame { encoding: HeaderEncoding::Json, header, body: Bytes::new() };
    assert_eq!(Command::decode(frame).unwrap().opaque, 7);
}

/// The text of an error goes into logs: it must not be as long as what was received.
#[test]
fn errors_are_short() {
    let long = "x".repeat(1 << 20);
    let header = format!(r#"{{"opaque":"{long}"}}"#).into();
    let frame = Frame { encoding: HeaderEncoding::Json, header, body: Bytes::new() };
    let field = Fields::from_iter([("queueId", &*long)]);
    let errors = [
        Command::decode(frame).unwrap_err(),
        read_route(format!(r#"{{"queueDatas":"{long}"}}"#).as_bytes()).unwrap_err(),
        field.read::<i32>("queueId").unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().len() < 400, "{} bytes", error.to_string().len());
    }
}

/// `1e308` takes five bytes; written out it would be 309.
#[test]
fn numbers_stay_short() {
    let fields: Fields = serde_json::from_str(
        r#"{"a":1e308,"b":5e-324,"c":-1.5,"d":123456789012345678901234567890}"#,
    )
    .unwrap();
    let read: Vec<_> = fields.iter().map(|(_, value)| value).collect();
    assert_eq!(read, ["1e308", "5e-324", "-1.5", "1.2345678901234568e29"]);
}

#[test]
fn very_many_fields() {
    let object: Vec<_> = (0..200_000).map(|n| format!("\"f{n}\":{n}")).collect();
    let header = format!(r#"{{"opaque":1,"code":310,"extFields":{{{}}}}}"#, object.join(","));
    let frame = Frame { encoding: HeaderEncoding::Json, header: header.into(), body: Bytes::new() };
    let command = soon(|| Command::decode(frame)).unwrap();
    assert_eq!(command.fields.len(), 200_000);
    assert_eq!(command.fields.get("f199999"), Some("199999"));
    soon(|| posthaste_protocol::Incoming::read(&command).unwrap_err());
}

#[test]
fn very_many_properties() {
    let text: String = (0..200_000).map(|n| format!("p{n}\u{1}{n}\u{2}")).collect();
    let read = soon(|| Properties::decode(&text));
    assert_eq!(read.len(), 200_000);
    assert_eq!(read.to_wire(), text);
}

/// A real 4.9.7 broker stores the messages of a batch with `WAIT` twice.
#[test]
fn the_last_of_two_properties_counts() {
    let text = "WAIT\u{1}false\u{2}TAGS\u{1}a\u{2}WAIT\u{1}true";
    assert_eq!(properties::find(text, "WAIT"), Some("true"));
    assert_eq!(Properties::decode(text).get("WAIT"), Some("true"));
    assert_eq!(Properties::decode(text).to_wire(), "WAIT\u{1}true\u{2}TAGS\u{1}a\u{2}");
    // An empty value is no value.
    let text = "A\u{1}1\u{2}A\u{1}\u{2}\u{1}x\u{2}B";
    assert_eq!(properties::find(text, "A"), Some("1"));
    assert_eq!(properties::find(text, ""), None);
    assert_eq!(Properties::decode(text).to_wire(), "A\u{1}1\u{2}");
}

/// Java reads the one-byte length as signed: from 128 on a topic needs the second form.
#[test]
fn long_topics_have_a_length_of_two_bytes() {
    for (length, magic) in [(127, 0xDAA3_20A7u32), (128, 0xDAA3_20AB), (255, 0xDAA3_20AB)] {
        let message = stored(&"t".repeat(length), "");
        let bytes = record(&message);
        assert_eq!(bytes[4..8], magic.to_be_bytes(), "{length}");
        assert_eq!(bytes.len(), message.record_length());
        assert_eq!(StoredMessage::decode(&mut bytes.clone()), Ok(message));
    }
}

#[test]
fn impossible_records_are_refused() {
    let good = record(&stored("topic", "a\u{1}b\u{2}"));
    let topic_length = 4 + 84 + 5;
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.to_vec();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        StoredMessage::decode(&mut bad.into())
    };
    assert!(with(0, &[]).is_ok());
    for (what, at, bytes) in [
        ("size 0", 0, &[0, 0, 0, 0][..]),
        ("size too small", 0, &[0, 0, 0, 40]),
        ("size too large", 0, &[0, 0, 1, 0]),
        ("negative size", 0, &[0xff, 0xff, 0xff, 0xff]),
        ("padding", 4, &[0xcb, 0xd4, 0x31, 0x94]),
        ("born port above 65,535", 52, &[0, 1, 0, 0]),
        ("negative store port", 68, &[0xff, 0xff, 0, 0]),
        ("negative body length", 84, &[0xff, 0xff, 0xff, 0xff]),
        ("negative topic length", topic_length, &[0x80]),
        ("topic not UTF-8", topic_length + 1, &[0xff]),
        ("negative properties length", topic_length + 6, &[0x80, 0]),
        ("longer properties", topic_length + 6, &[0, 5]),
    ] {
        assert_eq!(good[topic_length], 5);
        assert!(with(at, bytes).is_err(), "{what}");
    }
    assert!(StoredMessage::decode_all(good.slice(..3)).is_err());
    for length in 1..good.len() {
        assert!(StoredMessage::decode_all(good.slice(..length)).is_err(), "{length} bytes");
    }
}

/// A length that two bytes cannot declare would let the rest be read as something else: as the
/// next message of a batch, say.
#[test]
fn long_properties_cannot_become_another_message() {
    let pair = format!("name\u{1}{}\u{2}", "v".repeat(994));
    for pairs in [32, 33, 66, 70] {
        let text = pair.repeat(pairs);
        let kept = &text[..1000 * pairs.min(32)];
        let entry =
            BatchEntry { flag: 1, body: Bytes::from_static(b"b"), properties: text.clone() };
        let mut out = BytesMut::new();
        entry.encode(&mut out);
        let entries = batch::decode(out.freeze()).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].properties, kept);
        let message = stored("topic", &text);
        let bytes = record(&message);
        assert_eq!(bytes.len(), message.record_length());
        assert_eq!(StoredMessage::decode_all(bytes).unwrap()[0].properties, kept);
    }
    // One property that is too long by itself, and a topic.
    let huge = format!("name\u{1}{}\u{2}", "v".repeat(40_000));
    let message = stored(&"é".repeat(20_000), &huge);
    let read = StoredMessage::decode_all(record(&message)).unwrap();
    assert_eq!(read[0].properties, "");
    assert_eq!(read[0].topic, "é".repeat(16_383));
}

/// Every code of the protocol that a producer sends, receives or is answered with has a name.
#[test]
fn codes_have_names() {
    let requests = [
        10, 12, 17, 29, 30, 31, 32, 33, 34, 35, 37, 39, 40, 105, 220, 221, 307, 309, 310, 320, 324,
        325, 326, 370,
    ];
    for code in requests {
        assert!(RequestCode(code).name().is_some(), "{code}");
    }
    let answers = [
        0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 18, 22, 26, 29, 200, 201, 202, 203, 204,
        205, 208, 215, 501, 604, 1500, -1000, -1002, -1004, -1006, 2017, 2018,
    ];
    for code in answers {
        assert!(ResponseCode(code).name().is_some(), "{code}");
    }
    assert_eq!(ResponseCode(2).to_string(), "2 SYSTEM_BUSY");
    assert_eq!(ResponseCode(999).to_string(), "999");
}
